use std::io;
use std::ops::Range;

use xen_disk::{ReadAt, WriteAt};

use super::bitmap::Bitmap;
use super::copy::is_zero;
use super::disk::FooterAt;
use super::fields::put;
use super::read::{read_vec, size_of, within};
use super::tables::{Blocks, UNUSED};
use super::{Error, Footer, Grow, NoParent, Vhd};

/// blktap puts the data of a block on a page of this size, for which it leaves gaps between blocks.
const PAGE: u64 = 4096;

/// A VHD to which blocks are added where a write needs them.
///
/// Whatever the moment at which writing is cut off, the file stays a VHD that holds what was written before: a new block
/// comes behind the others and a new footer behind it, then its entry in the block table, then its data counts as there,
/// sector by sector. In between, everything is flushed.
///
/// ```
/// use vhd_mbr::vhd::{Vhd, Writer};
/// use vhd_mbr::xen_disk::{ReadAt, WriteAt};
///
/// let mut file = Vec::new();
/// Writer::dynamic(vec![0; 8 << 20]).plan()?.write_to(&mut file)?;
///
/// let mut disk = Vhd::open(&mut file)?;
/// assert!(disk.write_all_at(1000, b"hello").is_err(), "the block is not in the file");
/// let mut disk = disk.allocating()?;
/// disk.write_all_at(1000, b"hello")?;
///
/// let disk = Vhd::open(&file)?;
/// assert_eq!(disk.next_present(0)?, Some(512..1024));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Allocating<S, P = NoParent> {
    disk: Vhd<S, P>,
    /// Where the footer is.
    end: u64,
}

impl<S: Grow, P: ReadAt> Vhd<S, P> {
    /// Lets writes add blocks.
    ///
    /// # Errors
    /// [`Error::CannotGrow`] where the file is not in order: its footer is damaged, or a block is where new ones would
    /// come; [`Error::Misplaced`] where a block lies over something else.
    pub fn allocating(mut self) -> Result<Allocating<S, P>, Error> {
        self.ensure_in_order()?;
        let FooterAt::End { offset: end } = self.footer_at else {
            return Err(Error::CannotGrow {
                reason: "its footer is damaged",
            });
        };
        if let Some(blocks) = &self.blocks {
            if blocks.blocks_end() > end {
                return Err(Error::CannotGrow {
                    reason: "a block reaches behind its end",
                });
            }
            if blocks.tables_end() > end {
                return Err(Error::CannotGrow {
                    reason: "its tables reach behind its end",
                });
            }
        }
        Ok(Allocating { disk: self, end })
    }
}

impl<S, P> Allocating<S, P> {
    /// The disk, no longer to be given new blocks.
    pub fn into_disk(self) -> Vhd<S, P> {
        self.disk
    }

    /// The disk, to be asked what it is.
    pub fn disk(&self) -> &Vhd<S, P> {
        &self.disk
    }
}

impl<S: ReadAt, P: ReadAt> ReadAt for Allocating<S, P> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.disk.read_exact_at(offset, buf)
    }

    fn size(&self) -> io::Result<u64> {
        self.disk.size()
    }

    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        self.disk.next_data(from)
    }
}

impl<S: Grow, P: ReadAt> WriteAt for Allocating<S, P> {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if !within(self.disk.disk_size(), offset, bytes.len() as u64) {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(self.write(offset, bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.disk.flush()
    }
}

impl<S: Grow, P: ReadAt> Allocating<S, P> {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let Some(blocks) = &self.disk.blocks else {
            return self.disk.write_in_place(offset, bytes);
        };
        if self.disk.has_children {
            return Err(Error::HasChildren);
        }
        let block_size = u64::from(blocks.header.block_size);
        let (mut at, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let (block, inside) = ((at / block_size) as u32, at % block_size);
            let len = (block_size - inside).min(rest.len() as u64);
            let (part, left) = rest.split_at(len as usize);
            self.write_part(block, at, part)?;
            at += len;
            rest = left;
        }
        Ok(())
    }

    /// Writes to one block.
    fn write_part(&mut self, block: u32, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let Some(blocks) = &self.disk.blocks else {
            return Ok(());
        };
        let absent = blocks.offset(block).is_none();
        if absent {
            if self.disk.parent.is_none() && blocks.header.parent_id.is_nil() && is_zero(bytes) {
                return Ok(());
            }
            // What is not overwritten comes from below; if that cannot be read, no block should be added for it.
            let (start, widened) = self.whole_sectors(None, offset, bytes)?;
            self.add_block(block)?;
            self.write_sectors(block, start, &widened)
        } else {
            let bitmap = self.disk.read_bitmap(blocks, block)?;
            let (start, widened) = self.whole_sectors(Some(&bitmap), offset, bytes)?;
            self.write_sectors(block, start, &widened)
        }
    }

    /// The bytes with what surrounds them in their first and last sector, and where they start then. Sectors that are
    /// in the file need no company.
    fn whole_sectors(&self, bitmap: Option<&Bitmap>, offset: u64, bytes: &[u8]) -> Result<(u64, Vec<u8>), Error> {
        let size = self.disk.disk_size();
        let block_size = self.disk.header().map_or(1, |header| u64::from(header.block_size));
        let end = offset + bytes.len() as u64;
        let absent = |at: u64| bitmap.is_none_or(|bitmap| !bitmap.is_set(at % block_size / 512));
        let start = if absent(offset) { offset / 512 * 512 } else { offset };
        let stop = if absent(end - 1) {
            end.next_multiple_of(512)
        } else {
            end
        };
        let mut sectors = vec![0; (stop - start) as usize];
        let (before, behind) = ((offset - start) as usize, (end - start) as usize);
        self.disk.read(start, &mut sectors[..before])?;
        let there = (stop.min(size) - start) as usize;
        self.disk.read(end, &mut sectors[behind..there])?;
        sectors[before..behind].copy_from_slice(bytes);
        Ok((start, sectors))
    }

    /// Writes to a block that is in the file, then marks the sectors as there.
    fn write_sectors(&mut self, block: u32, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let Some(blocks) = &self.disk.blocks else {
            return Ok(());
        };
        let header = &blocks.header;
        let inside = offset % u64::from(header.block_size);
        let sectors = u64::from(header.block_size) / 512;
        let place = blocks.offset(block).unwrap_or_default();
        let data = place + header.bitmap_len() + inside;
        let mut bitmap = self.disk.read_bitmap(blocks, block)?;
        let touched = inside / 512..(inside + bytes.len() as u64).div_ceil(512);
        let known = touched.clone().all(|sector| bitmap.is_set(sector));
        self.disk.put(data, bytes)?;
        if known {
            return Ok(());
        }
        touched.clone().for_each(|sector| bitmap.set(sector));
        let (first, last) = (touched.start / 8 / 512 * 512, (touched.end - 1) / 8 / 512 * 512 + 512);
        let order = self.disk.footer.has_old_bit_order();
        let changed = bitmap.to_file(first as usize, last as usize, order);
        self.settle()?;
        self.disk.put(place + first, &changed)?;
        super::disk::lock(&self.disk.bitmaps).forget(block);
        if bitmap.summary(sectors).0 {
            self.settle()?;
            self.mark_full(block, true)?;
        }
        Ok(())
    }

    /// Adds a block of which nothing is there yet.
    fn add_block(&mut self, block: u32) -> Result<(), Error> {
        let Some(blocks) = &self.disk.blocks else {
            return Ok(());
        };
        let bitmap_len = blocks.header.bitmap_len();
        let block_len = blocks.block_len();
        let entry_offset = blocks.header.table_offset + u64::from(block) * 4;
        let place = (self.end + bitmap_len).next_multiple_of(PAGE.max(512)) - bitmap_len;
        let place = place.next_multiple_of(512);
        let limit = u64::from(UNUSED) * 512;
        if place + block_len >= limit {
            return Err(Error::TooLarge {
                size: self.disk.disk_size(),
                limit,
            });
        }
        // A mark left behind by another program would make a block without sectors count as whole.
        self.mark_full(block, false)?;
        let (old_end, new_end) = (self.end, place + block_len);
        let new_size = new_end + Footer::LEN as u64;
        let grown = self.disk.source.set_size(new_size);
        grown.map_err(|source| Error::Write {
            offset: new_end,
            source,
        })?;
        let footer = self.disk.footer.to_bytes();
        self.disk.put(new_end, &footer)?;
        // The old footer lies where the gap and the bitmap are now.
        let cleared = vec![0; (place + bitmap_len - old_end) as usize];
        self.disk.put(old_end, &cleared)?;
        self.settle()?;
        self.end = new_end;
        self.disk.footer_at = FooterAt::End { offset: new_end };
        let entry = (place / 512) as u32;
        self.put_in_sector(entry_offset, entry.to_be_bytes())?;
        self.settle()?;
        if let Some(Blocks { table, .. }) = &mut self.disk.blocks {
            table[block as usize] = entry;
        }
        super::disk::lock(&self.disk.bitmaps).forget(block);
        Ok(())
    }

    fn mark_full(&mut self, block: u32, full: bool) -> Result<(), Error> {
        let Some(batmap) = self.disk.blocks.as_mut().and_then(|blocks| blocks.batmap.as_mut()) else {
            return Ok(());
        };
        let Some(marked) = batmap.mark(block, full) else {
            return Ok(());
        };
        let (offset, sector) = (marked.sector_offset, marked.sector.to_vec());
        let (checksum_offset, checksum) = (marked.checksum_offset, marked.checksum);
        self.disk.put(offset, &sector)?;
        self.put_in_sector(checksum_offset, checksum.to_be_bytes())
    }

    /// Changes four bytes by writing the sector that they are in.
    fn put_in_sector(&mut self, offset: u64, bytes: [u8; 4]) -> Result<(), Error> {
        let start = offset / 512 * 512;
        let len = (size_of(&self.disk.source)? - start).min(512);
        let mut sector = read_vec(&self.disk.source, start, len)?;
        put(&mut sector, (offset - start) as usize, bytes);
        self.disk.put(start, &sector)
    }

    fn settle(&mut self) -> Result<(), Error> {
        let flushed = self.disk.source.flush();
        flushed.map_err(|source| Error::Write {
            offset: self.end,
            source,
        })
    }
}
