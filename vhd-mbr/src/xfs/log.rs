//! Whether the log is clean: as in Linux, if the last record in it says that the volume was unmounted.
//!
//! Each sector of the log starts with the number of the pass over it in which it was written, so the end of what was
//! written last (the head) is where that number steps back.

use super::Error;
use super::fields::u32_at;
use super::superblock::Superblock;
use crate::bytes::is_at;
use crate::filetree::Source;

const SECTOR: u64 = 512;
const MAGIC: &[u8] = &0xfeed_babe_u32.to_be_bytes();
const UNMOUNT: u8 = 0x20;
/// Record data per header sector.
const PER_HEADER: u32 = 32 << 10;
/// Sectors that a record can have, headers and all: 256 KiB of data.
const LONGEST_RECORD: u64 = 8 + 512;

/// Whether mounting would write nothing. A log on another device counts as not clean: it cannot be seen.
pub(super) fn is_clean(source: &Source<'_>, volume: &Superblock) -> Result<bool, Error> {
    if volume.log_start == 0 || volume.log_blocks == 0 {
        return Ok(false);
    }
    let start = volume.blocks_from(volume.log_start, volume.log_blocks.into(), 48)?;
    let sectors = u64::from(volume.log_blocks) * volume.block_size / SECTOR;
    Log { source, start, sectors }.is_clean()
}

struct Log<'a> {
    source: &'a Source<'a>,
    start: u64,
    sectors: u64,
}

impl Log<'_> {
    fn sector(&self, number: u64) -> Result<Vec<u8>, Error> {
        Ok(self
            .source
            .read(self.start + number % self.sectors * SECTOR, SECTOR as usize)?)
    }

    /// The pass in which a sector was written; 0 if never.
    fn pass(&self, number: u64) -> Result<u32, Error> {
        let sector = self.sector(number)?;
        Ok(u32_at(&sector, if sector.starts_with(MAGIC) { 4 } else { 0 }))
    }

    fn is_clean(&self) -> Result<bool, Error> {
        let (first, last) = (self.pass(0)?, self.pass(self.sectors - 1)?);
        let head = match (first, last) {
            // Nothing was ever written.
            (0, _) => return Ok(true),
            (first, last) if first == last => 0,
            (first, last) if last == 0 || last.checked_add(1) == Some(first) => self.start_of(last)?,
            _ => return Ok(false),
        };
        for back in 1..=LONGEST_RECORD.min(self.sectors) {
            let header = self.sector(head + self.sectors - back)?;
            if header.starts_with(MAGIC) {
                return self.is_unmount(&header, head + self.sectors - back, back);
            }
        }
        Ok(false)
    }

    /// The first sector of the pass that the last sector is of; the first sector is of another one.
    fn start_of(&self, pass: u32) -> Result<u64, Error> {
        let (mut before, mut found) = (0, self.sectors - 1);
        while found - before > 1 {
            let middle = before + (found - before) / 2;
            if self.pass(middle)? == pass {
                found = middle;
            } else {
                before = middle;
            }
        }
        Ok(found)
    }

    /// Whether the record at sector `at` is that of an unmount and takes exactly the `sectors` up to the head.
    fn is_unmount(&self, header: &[u8], at: u64, sectors: u64) -> Result<bool, Error> {
        let (version, len, buffer) = (u32_at(header, 8), u32_at(header, 12), u32_at(header, 320));
        let headers = if version & 2 != 0 {
            buffer.div_ceil(PER_HEADER).max(1)
        } else {
            1
        };
        let takes = u64::from(headers) + u64::from(len).div_ceil(SECTOR);
        let operations = u32_at(header, 40);
        if takes != sectors || operations != 1 {
            return Ok(false);
        }
        let operation = self.sector(at + u64::from(headers))?;
        // Behind the transaction's number and the length: who wrote it (0xaa is the log itself), and what it is.
        Ok(is_at(&operation, 8, &[0xaa]) && operation[9] & UNMOUNT != 0)
    }
}
