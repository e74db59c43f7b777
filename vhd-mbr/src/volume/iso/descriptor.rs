//! The volume descriptors: which trees there are, and which of them is read.

use super::Error;
use super::record::{Record, SECTOR};
use super::rock_ridge::Fields;
use crate::bytes::{is_at, u16_at};
use crate::filetree::Source;

const FIRST: u64 = 16;
/// There are three or four on any disc.
const MOST: u64 = 64;
const PRIMARY: u8 = 1;
const SUPPLEMENTARY: u8 = 2;
const END: u8 = 255;

/// How names are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// As on Unix, with what stands behind each record. So many bytes of that are another system's.
    RockRidge { skip: usize },
    /// In UTF-16.
    Joliet,
    /// In capitals, with versions.
    Plain,
}

/// The tree that is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptor {
    pub(super) names: Names,
    pub(super) block_size: u64,
    pub(super) root: (u64, u64),
}

impl Descriptor {
    /// Rock Ridge is preferred to Joliet and that to plain names, as on Linux.
    pub(crate) fn read(source: &Source<'_>) -> Result<Self, Error> {
        let (mut primary, mut joliet) = (None, None);
        for number in FIRST..FIRST + MOST {
            let offset = number * SECTOR;
            let raw = source.read(offset, SECTOR as usize)?;
            if !is_at(&raw, 1, b"CD001") {
                return Err(Error::damaged(offset, "a volume descriptor is missing"));
            }
            match raw[0] {
                PRIMARY if primary.is_none() => primary = Some(Self::parse(&raw, offset, Names::Plain)?),
                SUPPLEMENTARY if is_joliet(&raw) => joliet = Some(Self::parse(&raw, offset, Names::Joliet)?),
                END => break,
                _ => {}
            }
        }
        let Some(primary) = primary else {
            return joliet.ok_or(Error::damaged(FIRST * SECTOR, "there is no primary volume descriptor"));
        };
        if let Some(skip) = primary.rock_ridge(source)? {
            let names = Names::RockRidge { skip };
            return Ok(Self { names, ..primary });
        }
        Ok(joliet.unwrap_or(primary))
    }

    fn parse(raw: &[u8], offset: u64, names: Names) -> Result<Self, Error> {
        let block_size = u64::from(u16_at(raw, 128));
        if !matches!(block_size, 512 | 1024 | 2048) {
            return Err(Error::damaged(offset + 128, "the block size is not 512, 1024 or 2048"));
        }
        let root = Record::parse(&raw[156..190], offset + 156)?;
        Ok(Self {
            names,
            block_size,
            root: (root.first_byte(block_size), root.len),
        })
    }

    /// How many bytes to skip behind each record, where Rock Ridge is used: the root says so of itself.
    fn rock_ridge(&self, source: &Source<'_>) -> Result<Option<usize>, Error> {
        let (offset, _) = self.root;
        let sector = source.read(offset, SECTOR as usize)?;
        let record = Record::parse(&sector, offset)?;
        if !is_at(record.system_use, 0, b"SP") || !is_at(record.system_use, 4, &[0xbe, 0xef]) {
            return Ok(None);
        }
        let skip = usize::from(record.system_use.get(6).copied().unwrap_or(0));
        let fields = Fields::read(source, record.system_use, offset, self.block_size)?;
        Ok(fields.mode.map(|_| skip))
    }
}

/// One of three escape sequences says that names are in UTF-16.
fn is_joliet(raw: &[u8]) -> bool {
    [b"%/@", b"%/C", b"%/E"].iter().any(|escape| is_at(raw, 88, *escape))
}
