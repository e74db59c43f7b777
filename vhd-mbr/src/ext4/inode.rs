use std::time::SystemTime;

use super::Error;
use super::superblock::Superblock;
use super::{extents, features::incompat, indirect, inline};
use crate::bytes::{u16_at, u32_at};
use crate::filetree::{Kind, Mapping, Source, Stat, unix_time};

const ENCRYPT: u32 = 0x800;
const EXTENTS: u32 = 0x8_0000;
const VERITY: u32 = 0x10_0000;
const INLINE_DATA: u32 = 0x1000_0000;
const CASEFOLD: u32 = 0x4000_0000;

/// Where the block map of an inode is, and how long it is.
pub(super) const MAP: usize = 0x28;
pub(super) const MAP_LEN: usize = 60;

#[derive(Clone, Debug)]
pub(crate) struct Inode {
    pub(super) number: u32,
    /// Where it is.
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) raw: Vec<u8>,
    flags: u32,
}

impl Inode {
    pub(super) fn read(source: &Source<'_>, volume: &Superblock, number: u32, named_at: u64) -> Result<Self, Error> {
        let offset = volume.inode(source, number, named_at)?;
        let raw = source.read(offset, volume.inode_size)?;
        if u16_at(&raw, 0x1a) == 0 {
            return Err(Error::damaged(offset, "a name leads to an inode that is free"));
        }
        let mut inode = Self {
            number,
            offset,
            size: u32_at(&raw, 0x4).into(),
            flags: u32_at(&raw, 0x20),
            raw,
        };
        // In a directory the upper half was for access control lists once.
        if inode.kind() != Kind::Directory || volume.incompat & incompat::LARGEDIR != 0 {
            inode.size |= u64::from(u32_at(&inode.raw, 0x6c)) << 32;
        }
        if inode.size > i64::MAX as u64 {
            return Err(Error::damaged(offset + 0x6c, "a file is larger than any can be"));
        }
        Ok(inode)
    }

    pub(super) fn kind(&self) -> Kind {
        match u16_at(&self.raw, 0) & 0xf000 {
            0x8000 => Kind::File,
            0x4000 => Kind::Directory,
            0xa000 => Kind::Symlink,
            _ => Kind::Other,
        }
    }

    pub(super) fn stat(&self) -> Stat {
        let mut stat = Stat::new(self.kind(), self.size);
        stat.accessed = self.time(0x8, 0x8c);
        stat.changed = self.time(0xc, 0x84);
        stat.modified = self.time(0x10, 0x88);
        // There is a time of creation only where the inode is large enough for it.
        stat.created = self.extra(0x90).and_then(|_| self.time(0x90, 0x94));
        stat
    }

    /// The time whose seconds are at one place, and what does not fit there at another.
    fn time(&self, seconds: usize, rest: usize) -> Option<SystemTime> {
        let rest = self.extra(rest).unwrap_or(0);
        let seconds = i64::from(u32_at(&self.raw, seconds) as i32) + (i64::from(rest & 3) << 32);
        unix_time(seconds, (rest >> 2).min(999_999_999))
    }

    /// A field behind the first 128 bytes, if the inode has it.
    fn extra(&self, at: usize) -> Option<u32> {
        let len = if self.raw.len() > 128 {
            usize::from(u16_at(&self.raw, 0x80))
        } else {
            0
        };
        (at + 4 <= 128 + len).then(|| u32_at(&self.raw, at))
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.flags & ENCRYPT != 0
    }

    pub(super) fn has_verity(&self) -> bool {
        self.flags & VERITY != 0
    }

    pub(super) fn is_inline(&self) -> bool {
        self.flags & INLINE_DATA != 0
    }

    pub(super) fn folds_case(&self) -> bool {
        self.flags & CASEFOLD != 0
    }

    /// Where its block map is on the volume.
    pub(super) fn map_offset(&self) -> u64 {
        self.offset + MAP as u64
    }

    pub(super) fn map(&self) -> &[u8] {
        &self.raw[MAP..][..MAP_LEN]
    }

    /// Where its content is.
    pub(super) fn mapping(&self, source: &Source<'_>, volume: &Superblock) -> Result<Mapping, Error> {
        if self.is_inline() {
            inline::mapping(self)
        } else if self.flags & EXTENTS != 0 {
            extents::mapping(source, volume, self)
        } else {
            indirect::mapping(source, volume, self)
        }
    }

    /// Where the symbolic link leads to.
    pub(super) fn target(&self, source: &Source<'_>, volume: &Superblock) -> Result<Vec<u8>, Error> {
        if self.is_encrypted() {
            return Err(Error::Unsupported {
                feature: "the key of an encrypted symbolic link".to_owned(),
            });
        }
        let len = self.size as usize;
        if self.size < MAP_LEN as u64 {
            return Ok(self.map()[..len].to_vec());
        }
        if self.size > volume.block_size.min(4096) {
            return Err(Error::damaged(
                self.offset + 0x4,
                "a symbolic link is longer than a path can be",
            ));
        }
        Ok(self.mapping(source, volume)?.read(source, 0, len)?)
    }
}
