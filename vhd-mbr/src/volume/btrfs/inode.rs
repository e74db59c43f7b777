//! What is known of a file.

use xen_disk::ReadAt;

use super::Error;
use super::node::{Key, Pointer, kind};
use super::tree::{Item, Space};
use crate::bytes::{u32_at, u64_at};
use crate::filetree::{Kind, Stat, unix_time};

const LEN: usize = 160;
/// Linux counts to here.
const LARGEST: u64 = i64::MAX as u64;

/// The root directory of every subvolume has this number.
pub(super) const ROOT: u64 = 256;
/// That of the directory which a snapshot shows in place of a subvolume, which is none of its own.
const EMPTY: u64 = 2;

/// The tree of a subvolume.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Subvolume {
    pub(super) number: u64,
    pub(super) root: Pointer,
}

/// A file, directory or the like.
#[derive(Clone, Debug)]
pub(in super::super) struct Inode {
    pub(super) subvolume: Subvolume,
    pub(super) number: u64,
    /// Where it is on the volume.
    pub(super) place: u64,
    pub(super) stat: Stat,
    flags: u64,
}

impl Inode {
    pub(super) fn read<D: ReadAt>(space: &Space<D>, subvolume: Subvolume, number: u64) -> Result<Option<Self>, Error> {
        let found = space.item(subvolume.root, Key::new(number, kind::INODE, 0))?;
        found.map(|item| Self::parse(&item, subvolume, number)).transpose()
    }

    fn parse(item: &Item, subvolume: Subvolume, number: u64) -> Result<Self, Error> {
        let (raw, place) = (item.bytes(), item.place());
        if raw.len() < LEN {
            return Err(Error::damaged(place, "an inode is too short"));
        }
        let kind = match u32_at(raw, 52) & 0o170_000 {
            0o100_000 => Kind::File,
            0o040_000 => Kind::Directory,
            0o120_000 => Kind::Symlink,
            _ => Kind::Other,
        };
        let size = u64_at(raw, 16);
        if size > LARGEST {
            return Err(Error::damaged(place, "a file is larger than it can be"));
        }
        let time = |at| unix_time(u64_at(raw, at).cast_signed(), u32_at(raw, at + 8));
        let mut stat = Stat::new(kind, size);
        stat.accessed = time(112);
        stat.changed = time(124);
        stat.modified = time(136);
        // `mkfs.btrfs --rootdir` does not tell.
        stat.created = time(148).filter(|_| raw[148..LEN] != [0; 12]);
        Ok(Self {
            subvolume,
            number,
            place,
            stat,
            flags: u64_at(raw, 64),
        })
    }

    /// An empty directory in this one.
    pub(super) fn empty(&self) -> Self {
        Self {
            number: EMPTY,
            stat: Stat::new(Kind::Directory, 0),
            flags: 0,
            ..*self
        }
    }

    /// Whether its data has checksums.
    pub(super) fn has_checksums(&self) -> bool {
        self.flags & 1 == 0
    }

    pub(super) fn has_verity(&self) -> bool {
        self.flags & 1 << 32 != 0
    }
}
