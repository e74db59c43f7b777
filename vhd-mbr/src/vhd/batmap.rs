use xen_disk::ReadAt;

use super::fields::{self, u32_at, u64_at};
use super::read::{read_vec, within};
use super::{Error, Problem};
use crate::bytes::array;

const COOKIE: &[u8; 8] = b"tdbatmap";
const CHECKSUM: usize = 24;
/// In this version the map's bytes are summed up as signed numbers.
const SIGNED: u32 = 0x0001_0001;
const NEWEST: u32 = 0x0001_0002;
/// Room for the blocks of a disk of 64 TiB.
const MAX_LEN: u64 = 4 << 20;

/// blktap's map of the blocks whose sectors are all there, so that their bitmaps need not be read.
///
/// It follows the block table. It is a hint: a file without it, or with a damaged one, is as good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batmap {
    /// Where its header is, in bytes from the start of the file.
    pub header_offset: u64,
    /// Where the map is.
    pub offset: u64,
    /// The version of its format, the major number in the upper half.
    pub version: u32,
    map: Vec<u8>,
}

impl Batmap {
    const HEADER_LEN: u64 = 512;

    /// Reads the batmap whose header is at `header_offset`. `None` where there is none.
    pub(super) fn read(source: &impl ReadAt, size: u64, header_offset: u64) -> Result<Option<Self>, BatmapError> {
        if !within(size, header_offset, Self::HEADER_LEN) {
            return Ok(None);
        }
        let header = read_vec(source, header_offset, Self::HEADER_LEN)?;
        if array::<8>(&header, 0) != *COOKIE {
            return Ok(None);
        }
        let version = u32_at(&header, 20);
        if version > NEWEST {
            return Err(Problem::Version(version).into());
        }
        let (offset, len) = (u64_at(&header, 8), u64::from(u32_at(&header, 16)) * 512);
        if len > MAX_LEN || !within(size, offset, len) {
            return Err(Problem::Place(offset).into());
        }
        let map = read_vec(source, offset, len)?;
        let stored = u32_at(&header, CHECKSUM);
        let computed = checksum(&map, version);
        if stored != computed {
            return Err(Problem::Checksum { stored, computed }.into());
        }
        Ok(Some(Self {
            header_offset,
            offset,
            version,
            map,
        }))
    }

    /// Whether the map says that all sectors of the block are there.
    pub fn is_full(&self, block: u32) -> bool {
        let byte = self.map.get((block / 8) as usize);
        byte.is_some_and(|byte| byte & (0x80 >> (block % 8)) != 0)
    }

    /// Marks a block. Returns the sector of the map that changed, its place and the new checksum with its place; `None`
    /// where nothing changed, or the map does not reach that far.
    pub(super) fn mark(&mut self, block: u32, full: bool) -> Option<Marked<'_>> {
        if self.is_full(block) == full {
            return None;
        }
        let at = (block / 8) as usize;
        *self.map.get_mut(at)? ^= 0x80 >> (block % 8);
        let start = at / 512 * 512;
        Some(Marked {
            sector_offset: self.offset + start as u64,
            sector: &self.map[start..start + 512],
            checksum_offset: self.header_offset + CHECKSUM as u64,
            checksum: checksum(&self.map, self.version),
        })
    }

    /// Where the batmap ends.
    pub(super) fn end(&self) -> u64 {
        (self.offset + self.map.len() as u64).max(self.header_offset + Self::HEADER_LEN)
    }
}

/// What must be written after a block was marked.
pub(super) struct Marked<'a> {
    pub(super) sector_offset: u64,
    pub(super) sector: &'a [u8],
    pub(super) checksum_offset: u64,
    pub(super) checksum: u32,
}

/// Why a batmap cannot be used.
pub(super) enum BatmapError {
    Problem(Problem),
    Read(Error),
}

impl From<Problem> for BatmapError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Error> for BatmapError {
    fn from(error: Error) -> Self {
        Self::Read(error)
    }
}

fn checksum(map: &[u8], version: u32) -> u32 {
    if version == SIGNED {
        let bytes = map.iter().map(|&byte| i32::from(byte.cast_signed()));
        !bytes.fold(0, u32::wrapping_add_signed)
    } else {
        !fields::sum(map)
    }
}
