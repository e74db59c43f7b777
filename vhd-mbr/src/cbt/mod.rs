//! Which blocks of a disk changed between two moments: the bitmap of `VDI.list_changed_blocks`.
//!
//! ```
//! use vhd_mbr::cbt::{BLOCK, ChangedBlocks};
//! use vhd_mbr::xen_disk::ReadAt;
//!
//! let changed = ChangedBlocks::from_base64("YAA=")?; // 0b0110_0000, 0b0000_0000
//! let disk = vec![7; 10 * BLOCK as usize];
//! assert_eq!(changed.ranges(disk.size()?)?.collect::<Vec<_>>(), [BLOCK..3 * BLOCK]);
//!
//! // Zeros everywhere else, and nothing else is ever read.
//! let delta = changed.only(&disk)?;
//! assert_eq!(delta.next_data(0)?, Some(BLOCK..3 * BLOCK));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;

use std::fmt;
use std::io;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use xen_disk::{ReadAt, WithExtents};

pub use error::Error;

/// How many bytes of the disk one bit stands for.
pub const BLOCK: u64 = 64 << 10;

/// The blocks that may differ between two disks of one family.
///
/// The bitmap is as long as the largest disk on the way from one to the other needs, in whole bytes; what it says behind
/// the end of a disk means nothing, and is left out wherever the disk's size is given.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ChangedBlocks {
    /// The first block is the highest bit of the first byte.
    bits: Vec<u8>,
}

impl ChangedBlocks {
    /// The bitmap as `VDI.list_changed_blocks` gives it. White space does not matter.
    ///
    /// # Errors
    /// Where `text` is no base64.
    pub fn from_base64(text: &str) -> Result<Self, Error> {
        let mut text = text.as_bytes().to_vec();
        text.retain(|byte| !byte.is_ascii_whitespace());
        Ok(Self::from_bytes(STANDARD.decode(text)?))
    }

    /// The bitmap, decoded.
    pub fn from_bytes(bits: Vec<u8>) -> Self {
        Self { bits }
    }

    /// The bitmap's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bits
    }

    /// How many bytes of a disk it speaks of, padding included.
    pub fn reach(&self) -> u64 {
        self.blocks().saturating_mul(BLOCK)
    }

    /// Whether the block with byte `offset` may have changed. `None` behind what the bitmap speaks of.
    pub fn is_changed(&self, offset: u64) -> Option<bool> {
        let block = offset / BLOCK;
        (block < self.blocks()).then(|| self.bit(block))
    }

    /// What may have changed of a disk of `size` bytes: in order, neighbours in one piece, the last one cut at the end.
    ///
    /// # Errors
    /// Where the bitmap speaks of less than the disk.
    pub fn ranges(&self, size: u64) -> Result<Ranges<'_>, Error> {
        if size > self.reach() {
            let reach = self.reach();
            return Err(Error::TooShort { reach, size });
        }
        Ok(Ranges {
            changed: self,
            at: 0,
            size,
        })
    }

    /// How many bytes of a disk of `size` bytes may have changed.
    ///
    /// # Errors
    /// Where the bitmap speaks of less than the disk.
    pub fn changed_bytes(&self, size: u64) -> Result<u64, Error> {
        Ok(self.ranges(size)?.map(|range| range.end - range.start).sum())
    }

    /// How many blocks of a disk of `size` bytes may have changed.
    ///
    /// # Errors
    /// Where the bitmap speaks of less than the disk.
    pub fn count(&self, size: u64) -> Result<u64, Error> {
        Ok(self
            .ranges(size)?
            .map(|range| (range.end - range.start).div_ceil(BLOCK))
            .sum())
    }

    /// What changed in one of two steps: from the first disk to the second, or from there to the third.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        if self.bits.len() < other.bits.len() {
            self.bits.resize(other.bits.len(), 0);
        }
        for (bits, more) in self.bits.iter_mut().zip(&other.bits) {
            *bits |= more;
        }
        self
    }

    /// A disk of which only what may have changed is read. Everything else is zero.
    ///
    /// # Errors
    /// Where the disk's size cannot be told, and where the bitmap speaks of less than the disk.
    pub fn only<D: ReadAt>(&self, disk: D) -> io::Result<WithExtents<D>> {
        let ranges = self.ranges(disk.size()?);
        let ranges = ranges.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok(WithExtents::new(disk, ranges))
    }

    fn blocks(&self) -> u64 {
        8 * self.bits.len() as u64
    }

    fn bit(&self, block: u64) -> bool {
        let byte = usize::try_from(block / 8).ok().and_then(|at| self.bits.get(at));
        byte.is_some_and(|byte| byte & 0x80 >> (block % 8) != 0)
    }

    /// The first block from `from` on that is, or is not, changed.
    fn next(&self, from: u64, changed: bool) -> u64 {
        let dull = if changed { 0 } else { 0xff };
        let mut block = from;
        while block < self.blocks() {
            if block.is_multiple_of(8) && self.bits[(block / 8) as usize] == dull {
                block += 8;
            } else if self.bit(block) == changed {
                return block;
            } else {
                block += 1;
            }
        }
        self.blocks()
    }
}

impl fmt::Debug for ChangedBlocks {
    /// How much it is, not each bit.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changed: u64 = self.bits.iter().map(|byte| u64::from(byte.count_ones())).sum();
        write!(f, "ChangedBlocks({changed} of {})", self.blocks())
    }
}

/// What may have changed of a disk, made by [`ChangedBlocks::ranges`].
#[derive(Clone, Debug)]
pub struct Ranges<'a> {
    changed: &'a ChangedBlocks,
    /// The block to go on from.
    at: u64,
    size: u64,
}

impl Iterator for Ranges<'_> {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        let first = self.changed.next(self.at, true);
        self.at = self.changed.next(first, false);
        let range = first.saturating_mul(BLOCK)..self.at.saturating_mul(BLOCK).min(self.size);
        (range.start < range.end).then_some(range)
    }
}
