use std::io;
use std::ops::Range;
use std::sync::Mutex;

use xen_disk::ReadAt;

use super::bitmap::Bitmap;
use super::cache::Cache;
use super::known::Known;
use super::read::{read_into, read_vec, within};
use super::tables::{Blocks, UNUSED};
use super::{Batmap, Error, Footer, Header, Kind, Platform, Problem};
use crate::Guid;

/// The most bytes of a path to a parent that are read.
const MAX_PATH: u32 = 16 << 10;

/// An opened VHD: the disk that it holds, to be read at any position.
///
/// `S` is the file, `P` the parent of a differencing disk; one without its parent can still be asked for what it holds
/// itself. Where `S` can be written, so can the disk, as far as its bytes are in this file; see
/// [`Allocating`](super::Allocating) for the rest.
///
/// ```
/// use vhd_mbr::vhd::{Vhd, Writer};
/// use vhd_mbr::xen_disk::ReadAt;
///
/// let mut image = vec![0; 8 << 20];
/// image[5 << 20] = 7;
/// let mut file = Vec::new();
/// Writer::dynamic(&image).plan()?.write_to(&mut file)?;
///
/// let disk = Vhd::open(&file)?;
/// assert_eq!(disk.size()?, 8 << 20);
/// assert_eq!(disk.next_data(0)?, Some(4 << 20..6 << 20), "one block of 2 MiB");
/// let mut byte = [0];
/// disk.read_exact_at(5 << 20, &mut byte)?;
/// assert_eq!(byte, [7]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Vhd<S, P = NoParent> {
    pub(super) source: S,
    pub(super) parent: Option<P>,
    pub(super) footer: Footer,
    pub(super) footer_at: FooterAt,
    /// Without them, the disk is fixed.
    pub(super) blocks: Option<Blocks>,
    pub(super) bitmaps: Mutex<Cache>,
    pub(super) source_data: Known,
    parent_data: Known,
    pub(super) has_children: bool,
    /// Whether it is known that all blocks have places of their own.
    pub(super) is_in_order: bool,
}

/// Where the footer of an opened VHD was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FooterAt {
    /// At the end of the file, as it should be.
    End {
        /// Where it starts.
        offset: u64,
    },
    /// Only its copy at the start can be used; the end of the file is damaged or missing.
    Start {
        /// What is wrong at the end.
        end: Problem,
    },
}

/// The parent of a disk that has none, or whose parent has not been given.
#[derive(Debug, Clone, Copy)]
pub enum NoParent {}

impl ReadAt for NoParent {
    fn read_exact_at(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
        match *self {}
    }

    fn size(&self) -> io::Result<u64> {
        match *self {}
    }
}

/// A stretch of the disk whose bytes are all in one place.
pub(super) struct Run {
    pub(super) place: Place,
    pub(super) len: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In this file, from this byte on.
    Here(u64),
    /// In the parent, or nowhere.
    Below,
}

/// Which sectors of a block are in the file.
#[derive(Debug, Clone)]
pub(super) enum Presence {
    None,
    All,
    Some(std::sync::Arc<Bitmap>),
}

impl<S: ReadAt> Vhd<S> {
    /// Opens the VHD in `source`. Where the footer at the end is damaged, its copy at the start is used.
    ///
    /// Reads the footer, the header and the block table; what is wrong elsewhere shows when it is read, or in a
    /// [check](super::check).
    ///
    /// # Errors
    /// Where the source cannot be read or is no VHD, or its tables are damaged.
    pub fn open(source: S) -> Result<Self, Error> {
        let (footer, footer_at) = super::tables::footer(&source)?;
        let blocks = match footer.kind {
            Kind::Fixed => None,
            Kind::Dynamic | Kind::Differencing => Some(Blocks::read(&source, &footer)?),
        };
        Ok(Self {
            source,
            parent: None,
            has_children: footer.hidden,
            is_in_order: false,
            footer,
            footer_at,
            blocks,
            bitmaps: Mutex::default(),
            source_data: Known::default(),
            parent_data: Known::default(),
        })
    }
}

impl<S, P> Vhd<S, P> {
    /// Reads what is not in this file from `parent`: a VHD, a raw image, anything. Where it is smaller than this disk,
    /// the rest is zero.
    ///
    /// Nothing is checked. The exports of xapi name a parent by an id that no other file has, so whoever has made them
    /// must know how they belong together; for other disks, see [`with_parent_vhd`](Self::with_parent_vhd).
    pub fn with_parent<Q>(self, parent: Q) -> Vhd<S, Q> {
        self.with_optional_parent(Some(parent))
    }

    pub(super) fn with_optional_parent<Q>(self, parent: Option<Q>) -> Vhd<S, Q> {
        Vhd {
            source: self.source,
            parent,
            footer: self.footer,
            footer_at: self.footer_at,
            blocks: self.blocks,
            bitmaps: self.bitmaps,
            source_data: self.source_data,
            parent_data: Known::default(),
            has_children: self.has_children,
            is_in_order: self.is_in_order,
        }
    }

    /// As [`with_parent`](Self::with_parent), with a VHD whose id must be the one that this disk names.
    ///
    /// # Errors
    /// [`Error::WrongParent`] where it is not.
    pub fn with_parent_vhd<T, Q>(self, parent: Vhd<T, Q>) -> Result<Vhd<S, Vhd<T, Q>>, Error> {
        let expected = self.parent_id();
        let found = parent.footer.id;
        if expected != found {
            return Err(Error::WrongParent { expected, found });
        }
        Ok(self.with_parent(parent))
    }

    /// Declares whether other disks are built on this one. If so, nothing can be written. Without this call, disks
    /// that blktap has hidden count as such.
    pub fn with_children(mut self, has_children: bool) -> Self {
        self.has_children = has_children;
        self
    }

    /// What the file says of itself.
    pub fn footer(&self) -> &Footer {
        &self.footer
    }

    /// Where that was found.
    pub fn footer_at(&self) -> FooterAt {
        self.footer_at
    }

    /// The header of a dynamic or differencing disk.
    pub fn header(&self) -> Option<&Header> {
        self.blocks.as_ref().map(|blocks| &blocks.header)
    }

    /// The map of blocks that are there as a whole, where blktap has left a good one.
    pub fn batmap(&self) -> Option<&Batmap> {
        self.blocks.as_ref()?.batmap.as_ref()
    }

    /// How many blocks the disk has, and how many of them are in this file; `None` for a fixed disk.
    pub fn block_count(&self) -> Option<(u32, u32)> {
        let table = &self.blocks.as_ref()?.table;
        let used = table.iter().filter(|&&entry| entry != UNUSED).count();
        Some((table.len() as u32, used as u32))
    }

    /// The id of the parent; nil where there is none, or where it is a raw image.
    pub fn parent_id(&self) -> Guid {
        self.header().map_or(Guid::NIL, |header| header.parent_id)
    }

    /// The parent that was given.
    pub fn parent(&self) -> Option<&P> {
        self.parent.as_ref()
    }

    /// Gives the file back.
    pub fn into_inner(self) -> S {
        self.source
    }

    pub(super) fn disk_size(&self) -> u64 {
        self.footer.current_size
    }
}

impl<S: ReadAt, P> Vhd<S, P> {
    /// Where the file says that its parent is, with `/` between the parts of each path: what its locators say, and the
    /// name in its header. Only text: whether to follow it is up to the caller.
    ///
    /// # Errors
    /// Where the source cannot be read.
    pub fn parent_paths(&self) -> Result<Vec<String>, Error> {
        let Some(header) = self.header().filter(|_| self.footer.kind == Kind::Differencing) else {
            return Ok(Vec::new());
        };
        let size = super::read::size_of(&self.source)?;
        let mut paths = Vec::new();
        for locator in &header.locators {
            let known = locator.platform != Platform::NONE && locator.len <= MAX_PATH;
            if !known || !within(size, locator.offset, locator.len.into()) {
                continue;
            }
            let bytes = read_vec(&self.source, locator.offset, locator.len.into())?;
            paths.extend(locator.platform.decode(&bytes));
        }
        if !header.parent_name.is_empty() {
            paths.push(header.parent_name.replace('\\', "/"));
        }
        let mut seen = std::collections::HashSet::new();
        paths.retain(|path| seen.insert(path.clone()));
        Ok(paths)
    }

    /// The first stretch of the disk that ends behind `from` and whose bytes are in this file itself; `None` where none
    /// are up to the end. In a differencing disk, that is what differs from the parent.
    ///
    /// # Errors
    /// Where the source cannot be read.
    pub fn next_present(&self, from: u64) -> Result<Option<Range<u64>>, Error> {
        let until = self.disk_size();
        let mut at = from;
        let mut found: Option<Range<u64>> = None;
        while at < until {
            let run = self.run(at, until - at)?;
            let end = at + run.len;
            match (run.place, &mut found) {
                (Place::Here(_), Some(found)) => found.end = end,
                (Place::Here(_), None) => found = Some(at..end),
                (Place::Below, Some(_)) => break,
                (Place::Below, None) => {}
            }
            at = end;
        }
        Ok(found)
    }

    /// The first stretch of the disk behind `from` and before `until` whose bytes are in this file, and not in a hole of
    /// it.
    fn next_data_here(&self, from: u64, until: u64) -> io::Result<Option<Range<u64>>> {
        let mut at = from;
        let mut found: Option<Range<u64>> = None;
        while at < until {
            let run = self.run(at, until - at)?;
            let end = at + run.len;
            let data = match run.place {
                Place::Below => None,
                Place::Here(offset) => {
                    let data = self.source_data.next_data(&self.source, offset)?;
                    let on_disk = |place: u64| at + place.saturating_sub(offset).min(run.len);
                    let data = data.map(|data| on_disk(data.start)..on_disk(data.end));
                    match data.filter(|data| !data.is_empty()) {
                        // What is cut off is no hole: reading it must fail.
                        None if !within(self.source.size()?, offset, run.len) => Some(at..end),
                        data => data,
                    }
                }
            };
            match (data, &mut found) {
                (Some(data), Some(found)) if data.start == at => found.end = data.end,
                (Some(data), None) => found = Some(data),
                (_, Some(_)) => break,
                (None, None) => {}
            }
            if found.as_ref().is_some_and(|found| found.end < end) {
                break;
            }
            at = end;
        }
        Ok(found)
    }

    /// Where the bytes from `at` on are, and how many of the next `len` are there too. Both are inside the disk.
    pub(super) fn run(&self, at: u64, len: u64) -> Result<Run, Error> {
        let Some(blocks) = &self.blocks else {
            let place = Place::Here(at);
            return Ok(Run { place, len });
        };
        let block_size = u64::from(blocks.header.block_size);
        let (block, inside) = ((at / block_size) as u32, at % block_size);
        let len = len.min(block_size - inside);
        let here = Place::Here(blocks.data_offset(block).unwrap_or_default() + inside);
        Ok(match self.presence(blocks, block)? {
            Presence::None => Run {
                place: Place::Below,
                len,
            },
            Presence::All => Run { place: here, len },
            Presence::Some(bitmap) => {
                let sector = inside / 512;
                let end = bitmap.run_end(sector, (inside + len).div_ceil(512)) * 512;
                let place = if bitmap.is_set(sector) { here } else { Place::Below };
                Run {
                    place,
                    len: (end - inside).min(len),
                }
            }
        })
    }

    fn presence(&self, blocks: &Blocks, block: u32) -> Result<Presence, Error> {
        if blocks.offset(block).is_none() {
            return Ok(Presence::None);
        }
        if blocks.batmap.as_ref().is_some_and(|batmap| batmap.is_full(block)) {
            return Ok(Presence::All);
        }
        let mut cache = lock(&self.bitmaps);
        if let Some(presence) = cache.get(block) {
            return Ok(presence);
        }
        let bitmap = self.read_bitmap(blocks, block)?;
        let presence = match bitmap.summary(u64::from(blocks.header.block_size) / 512) {
            (true, _) => Presence::All,
            (false, false) => Presence::None,
            (false, true) => Presence::Some(bitmap.into()),
        };
        cache.put(block, presence.clone());
        Ok(presence)
    }

    /// The bitmap of a block that is in the file.
    pub(super) fn read_bitmap(&self, blocks: &Blocks, block: u32) -> Result<Bitmap, Error> {
        let offset = blocks.offset(block).unwrap_or_default();
        let mut bytes = vec![0; blocks.header.bitmap_len() as usize];
        self.read_block_part(blocks, block, offset, &mut bytes)?;
        Ok(Bitmap::from_file(bytes, self.footer.has_old_bit_order()))
    }

    /// Reads a part of a block; where it lies behind the end of the file, the error says so.
    fn read_block_part(&self, blocks: &Blocks, block: u32, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        read_into(&self.source, offset, buf).map_err(|error| {
            let size = self.source.size().ok();
            match size.filter(|&size| !within(size, offset, buf.len() as u64)) {
                Some(size) => Error::BlockOutside {
                    block,
                    offset: blocks.offset(block).unwrap_or_default(),
                    len: blocks.header.block_size.into(),
                    size,
                },
                None => error,
            }
        })
    }
}

impl<S: ReadAt, P: ReadAt> Vhd<S, P> {
    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        let mut at = offset;
        let mut rest = buf;
        while !rest.is_empty() {
            let run = self.run(at, rest.len() as u64)?;
            let (part, left) = rest.split_at_mut(run.len as usize);
            match (run.place, &self.blocks) {
                (Place::Below, _) => self.read_below(at, part)?,
                (Place::Here(offset), None) => self.read_fixed(offset, part)?,
                (Place::Here(offset), Some(blocks)) => {
                    let block = (at / u64::from(blocks.header.block_size)) as u32;
                    self.read_block_part(blocks, block, offset, part)?;
                }
            }
            at += run.len;
            rest = left;
        }
        Ok(())
    }

    /// Reads a fixed disk, whose bytes end where its footer starts.
    fn read_fixed(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        let len = buf.len() as u64;
        match self.footer_at {
            FooterAt::End { offset: end } if !within(end, offset, len) => Err(Error::Read {
                offset,
                len,
                source: io::ErrorKind::UnexpectedEof.into(),
            }),
            _ => read_into(&self.source, offset, buf),
        }
    }

    /// Reads what is not in this file.
    pub(super) fn read_below(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        let Some(parent) = self.parent_for(offset)? else {
            buf.fill(0);
            return Ok(());
        };
        let size = super::read::size_of(parent)?;
        let there = size.saturating_sub(offset).min(buf.len() as u64) as usize;
        let (there, behind) = buf.split_at_mut(there);
        behind.fill(0);
        if there.is_empty() {
            return Ok(());
        }
        parent.read_exact_at(offset, there).map_err(|source| Error::Parent {
            offset,
            len: there.len() as u64,
            source,
        })
    }

    /// The parent, where there must be one.
    fn parent_for(&self, offset: u64) -> Result<Option<&P>, Error> {
        match (&self.parent, self.footer.kind) {
            (None, Kind::Differencing) => Err(Error::NoParent {
                offset,
                parent: self.parent_id(),
            }),
            (parent, Kind::Differencing) => Ok(parent.as_ref()),
            _ => Ok(None),
        }
    }
}

impl<S: ReadAt, P: ReadAt> ReadAt for Vhd<S, P> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        if !within(self.disk_size(), offset, buf.len() as u64) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.read(offset, buf)?)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.disk_size())
    }

    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        let size = self.disk_size();
        if from >= size {
            return Ok(None);
        }
        let Some(parent) = self.parent_for(from)? else {
            return self.next_data_here(from, size);
        };
        let below = self.parent_data.next_data(parent, from)?;
        let below = below
            .map(|below| below.start..below.end.min(size))
            .filter(|below| below.start < below.end);
        let until = below.as_ref().map_or(size, |below| below.start.max(from));
        Ok(self.next_data_here(from, until)?.or(below))
    }
}

/// What another thread left behind when it panicked is still a cache.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
