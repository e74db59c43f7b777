//! What an archive will hold, found out before its first byte.

use std::collections::HashSet;
use std::io::Write;

use twox_hash::XxHash64;

use xen_disk::ReadAt;

use super::blocks::Blocks;
use super::emit::Emitter;
use super::scan::{Image, ReadFailed, Scan};
use super::{BLOCK, PlanReader, WriteError};
use crate::checksum::Algorithm;
use crate::ova::Ova;
use crate::tar;

/// Numbers of blocks have eight digits.
const BLOCK_LIMIT: u64 = 100_000_000;

/// A folder's name leaves room for `/00000000.checksum` in the 100 characters of a tar entry's name.
const ID_LIMIT: usize = 82;

const TAR_BLOCK: u64 = tar::BLOCK as u64;

/// An archive of which everything is known but the bytes of the disks: above all, its length.
///
/// Every disk has been read once for this, to find the blocks that are all zero; it is read again as the archive is
/// written. Both reads must find the same bytes: where they do not, writing fails with [`WriteError::Changed`]. To make
/// sure of that, 16 bytes are kept for each 64 MiB of a disk, so 256 KiB for 1 TiB.
#[derive(Debug)]
pub struct Plan<S> {
    pub(super) xml: String,
    /// When the plan was made, in seconds of Unix time.
    pub(super) mtime: u64,
    pub(super) disks: Vec<PlannedDisk<S>>,
    pub(super) algorithm: Algorithm,
    pub(super) end_blocks: bool,
    size: u64,
}

/// A disk of which is known what will be written.
#[derive(Debug)]
pub(super) struct PlannedDisk<S> {
    pub(super) id: String,
    pub(super) label: String,
    pub(super) image: Image<S>,
    pub(super) blocks: Blocks,
    /// How long the blocks are together, in bytes.
    data_len: u64,
}

/// What a plan is made from.
#[derive(Debug)]
pub(super) struct Draft<S> {
    pub(super) xml: String,
    pub(super) disks: Vec<PlannedDisk<S>>,
    pub(super) algorithm: Algorithm,
    pub(super) end_blocks: bool,
    pub(super) mtime: u64,
}

impl<S: ReadAt> Draft<S> {
    /// Checks that a server could read the archive, and finds the blocks to write.
    pub(super) fn plan(mut self) -> Result<Plan<S>, WriteError> {
        self.disks.sort_by(|a, b| a.id.cmp(&b.id));
        self.check_disks()?;
        for disk in &mut self.disks {
            disk.find_blocks()?;
        }
        self.check_first_disk()?;
        let size = self.archive_size();
        let Self {
            xml,
            disks,
            algorithm,
            end_blocks,
            mtime,
        } = self;
        Ok(Plan {
            xml,
            mtime,
            disks,
            algorithm,
            end_blocks,
            size,
        })
    }

    fn check_disks(&self) -> Result<(), WriteError> {
        let xml_size = self.xml.len() as u64;
        if tar::compose("ova.xml", xml_size, self.mtime).is_none() {
            return Err(WriteError::MetadataTooLong { size: xml_size });
        }
        let ova = Ova::parse(self.xml.as_str())?;
        let promised = || ova.vdis().iter().filter(|vdi| vdi.is_exported);
        let mut seen = HashSet::new();
        for disk in &self.disks {
            disk.check()?;
            let label = || disk.label.clone();
            if !seen.insert(disk.id.as_str()) {
                return Err(WriteError::DuplicateDisk { disk: label() });
            }
            let Some(vdi) = promised().find(|vdi| vdi.id == disk.id) else {
                let known = promised().map(|vdi| vdi.id.clone()).collect();
                return Err(WriteError::UnknownDisk { disk: label(), known });
            };
            if vdi.virtual_size != Some(disk.image.size) {
                return Err(WriteError::SizeMismatch {
                    disk: label(),
                    size: disk.image.size,
                    virtual_size: vdi.virtual_size,
                });
            }
        }
        match promised().find(|vdi| !seen.contains(vdi.id.as_str())) {
            Some(vdi) => Err(WriteError::MissingDisk { disk: vdi.id.clone() }),
            None => Ok(()),
        }
    }

    /// xapi takes the length of the archive's first block for that of every block left out.
    fn check_first_disk(&self) -> Result<(), WriteError> {
        let Some((first, others)) = self.disks.split_first() else {
            return Ok(());
        };
        if first.image.size < BLOCK as u64 && others.iter().any(PlannedDisk::leaves_blocks_out) {
            return Err(WriteError::ShortFirstDisk {
                disk: first.label.clone(),
            });
        }
        Ok(())
    }

    fn archive_size(&self) -> u64 {
        let metadata = TAR_BLOCK + (self.xml.len() as u64).next_multiple_of(TAR_BLOCK);
        // Each block has a header, and its checksum another and a tar block of its own.
        let entries = |disk: &PlannedDisk<S>| disk.data_len + 3 * TAR_BLOCK * disk.blocks.count();
        let end = if self.end_blocks { 2 * TAR_BLOCK } else { 0 };
        metadata + self.disks.iter().map(entries).sum::<u64>() + end
    }
}

impl<S> PlannedDisk<S> {
    /// A disk of which nothing is known yet but its size.
    pub(super) fn new(id: String, label: String, image: Image<S>) -> Self {
        Self {
            id,
            label,
            image,
            blocks: Blocks::default(),
            data_len: 0,
        }
    }

    fn check(&self) -> Result<(), WriteError> {
        let (disk, size) = (self.label.clone(), self.image.size);
        let is_folder = self.id.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
        if self.id.is_empty() || self.id.len() > ID_LIMIT || !is_folder {
            return Err(WriteError::UnusableId { disk });
        }
        match size {
            0 => Err(WriteError::EmptyDisk { disk }),
            _ if !size.is_multiple_of(TAR_BLOCK) => Err(WriteError::Unaligned { disk, size }),
            _ if size.div_ceil(BLOCK as u64) > BLOCK_LIMIT => Err(WriteError::TooLong { disk, size }),
            _ => Ok(()),
        }
    }

    fn leaves_blocks_out(&self) -> bool {
        self.blocks.count() < self.image.size.div_ceil(BLOCK as u64)
    }

    pub(super) fn read_failed(&self, failed: ReadFailed) -> WriteError {
        WriteError::Read {
            disk: self.label.clone(),
            offset: failed.offset,
            source: failed.source,
        }
    }
}

impl<S: ReadAt> PlannedDisk<S> {
    fn find_blocks(&mut self) -> Result<(), WriteError> {
        let mut buffer = vec![0; BLOCK];
        let mut scan = Scan::default();
        while let Some(number) = scan
            .next(&self.image, &mut buffer)
            .map_err(|failed| self.read_failed(failed))?
        {
            let data = &buffer[..self.image.block_len(number)];
            self.blocks.add(number, XxHash64::oneshot(0, data));
            self.data_len += data.len() as u64;
        }
        Ok(())
    }
}

impl<S: ReadAt> Plan<S> {
    /// How many bytes the archive will have, before any compression.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many bytes of the disks it will hold; the rest are zeros that are left out.
    pub fn data_size(&self) -> u64 {
        self.disks.iter().map(|disk| disk.data_len).sum()
    }

    /// The metadata that will be written.
    pub fn ova_xml(&self) -> &str {
        &self.xml
    }

    /// Writes the archive and gives its length, which is [`Plan::size`].
    ///
    /// Writes are large, so the output needs no buffer of its own. It is flushed at the end.
    ///
    /// # Errors
    /// Where a disk cannot be read or has changed, or the output fails. What is written by then is no archive.
    pub fn write_to<W: Write>(&self, mut output: W) -> Result<u64, WriteError> {
        let mut emitter = Emitter::default();
        let mut written = 0;
        let failed = |written| move |source| WriteError::Output { written, source };
        while let Some(piece) = emitter.next(self)? {
            output.write_all(piece).map_err(failed(written))?;
            written += piece.len() as u64;
        }
        output.flush().map_err(failed(written))?;
        Ok(written)
    }

    /// Gives the archive out as something to read from, for an upload.
    pub fn into_reader(self) -> PlanReader<S> {
        PlanReader::new(self)
    }
}
