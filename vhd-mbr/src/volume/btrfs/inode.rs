//! Files, directories and the names in them.

use super::Error;
use super::key::{KEY, Key};
use super::node::Item;
use crate::bytes::{u16_at, u32_at, u64_at};
use crate::filetree::{Kind, Stat, unix_time};

const LEN: usize = 160;
const NO_CHECKSUMS: u64 = 1;
const DIR_ENTRY: usize = 30;

/// What is known of a file.
#[derive(Clone, Debug)]
pub(super) struct Inode {
    pub(super) stat: Stat,
    /// Whether its data has no checksums.
    pub(super) is_unchecked: bool,
}

impl Inode {
    pub(super) fn parse(item: &Item) -> Result<Self, Error> {
        let raw = &item.data;
        if raw.len() < LEN {
            return Err(Error::damaged(item.place, "an inode is cut off"));
        }
        let kind = match u32_at(raw, 52) & 0o170_000 {
            0o100_000 => Kind::File,
            0o040_000 => Kind::Directory,
            0o120_000 => Kind::Symlink,
            _ => Kind::Other,
        };
        let time = |at: usize| unix_time(u64_at(raw, at) as i64, u32_at(raw, at + 8));
        let mut stat = Stat::new(kind, u64_at(raw, 16));
        stat.accessed = time(112);
        stat.changed = time(124);
        stat.modified = time(136);
        // Volumes that were filled by mkfs have none.
        stat.created = Some(148).filter(|&at| u64_at(raw, at) != 0).and_then(time);
        Ok(Self {
            stat,
            is_unchecked: u64_at(raw, 64) & NO_CHECKSUMS != 0,
        })
    }
}

/// A name in a directory.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    /// The inode, or the tree of a subvolume.
    pub(super) target: Key,
}

/// The entries of an item: several where names have the same hash.
pub(super) fn entries(item: &Item) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    let mut rest = &item.data[..];
    while !rest.is_empty() {
        let (data, name) = (usize::from(u16_at(rest, 25)), usize::from(u16_at(rest, 27)));
        let Some(text) = rest.get(DIR_ENTRY..DIR_ENTRY + name).filter(|text| !text.is_empty()) else {
            return Err(Error::damaged(item.place, "a name is cut off"));
        };
        entries.push(Entry {
            name: text.to_vec(),
            target: Key::parse(&rest[..KEY]),
        });
        rest = rest.get(DIR_ENTRY + name + data..).unwrap_or_default();
    }
    Ok(entries)
}

/// By what a name is found in its directory.
pub(super) fn name_hash(name: &[u8]) -> u64 {
    // The checksum without its usual beginning and end.
    u64::from(!crc32c::crc32c_append(1, name))
}
