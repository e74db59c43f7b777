use std::time::SystemTime;

use super::Error;
use super::bmap;
use super::fields::{u16_at, u32_at, u64_at};
use super::superblock::Superblock;
use crate::filetree::{Kind, Mapping, Source, Stat, unix_time};

const REALTIME: u16 = 0x1;
const REFLINK: u64 = 0x2;
const BIGTIME: u64 = 0x8;
const NREXT64: u64 = 0x10;
/// Before a part of a symbolic link, where blocks have checksums.
const LINK_HEADER: usize = 56;
const MAX_LINK: u64 = 1024;

/// How the content of an inode is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Local,
    Extents,
    Tree,
    /// Devices and the like.
    Other,
}

#[derive(Clone, Debug)]
pub(crate) struct Inode {
    pub(super) number: u64,
    /// Where it is.
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) format: Format,
    /// How many extents are in the inode, where they are there.
    pub(super) extents: u64,
    raw: Vec<u8>,
    fork: std::ops::Range<usize>,
}

impl Inode {
    pub(super) fn read(source: &Source<'_>, volume: &Superblock, number: u64, named_at: u64) -> Result<Self, Error> {
        let offset = volume.inode(number, named_at)?;
        let raw = source.read(offset, volume.inode_size as usize)?;
        let damaged = |at: u64, what| Err(Error::damaged(offset + at, what));
        if !raw.starts_with(b"IN") || u16_at(&raw, 2) == 0 {
            return damaged(0, "a name leads to an inode that is free");
        }
        let start = if volume.is_v5 { 176 } else { 100 };
        if volume.is_v5 && (raw[4] != 3 || u64_at(&raw, 152) != number) {
            return damaged(4, "an inode is not the one that should be here");
        }
        let end = match usize::from(raw[82]) * 8 {
            0 => raw.len(),
            fork => start + fork,
        };
        if end > raw.len() {
            return damaged(82, "the content of an inode leaves it");
        }
        let size = u64_at(&raw, 56);
        if size > i64::MAX as u64 {
            return damaged(56, "a file is larger than any can be");
        }
        let many = volume.is_v5 && u64_at(&raw, 120) & NREXT64 != 0;
        Ok(Self {
            number,
            offset,
            size,
            format: match raw[5] {
                1 => Format::Local,
                2 => Format::Extents,
                3 => Format::Tree,
                _ => Format::Other,
            },
            extents: if many {
                u64_at(&raw, 24)
            } else {
                u32_at(&raw, 76).into()
            },
            raw,
            fork: start..end,
        })
    }

    pub(super) fn kind(&self) -> Kind {
        match u16_at(&self.raw, 2) & 0xf000 {
            0x8000 => Kind::File,
            0x4000 => Kind::Directory,
            0xa000 => Kind::Symlink,
            _ => Kind::Other,
        }
    }

    pub(super) fn stat(&self, volume: &Superblock) -> Stat {
        let mut stat = Stat::new(self.kind(), self.size);
        stat.accessed = self.time(volume, 32);
        stat.modified = self.time(volume, 40);
        stat.changed = self.time(volume, 48);
        stat.created = if volume.is_v5 { self.time(volume, 144) } else { None };
        stat
    }

    fn time(&self, volume: &Superblock, at: usize) -> Option<SystemTime> {
        if volume.is_v5 && u64_at(&self.raw, 120) & BIGTIME != 0 {
            // In nanoseconds, since the earliest time that the older form has.
            let time = u64_at(&self.raw, at);
            let seconds = (time / 1_000_000_000) as i64 + i64::from(i32::MIN);
            return unix_time(seconds, (time % 1_000_000_000) as u32);
        }
        let seconds = i64::from(u32_at(&self.raw, at) as i32);
        unix_time(seconds, u32_at(&self.raw, at + 4).min(999_999_999))
    }

    pub(super) fn is_realtime(&self) -> bool {
        u16_at(&self.raw, 90) & REALTIME != 0
    }

    /// Whether some of its blocks may belong to other files too.
    pub(super) fn is_shared(&self, volume: &Superblock) -> bool {
        volume.is_v5 && u64_at(&self.raw, 120) & REFLINK != 0
    }

    /// The part of the inode that holds content or tells where it is.
    pub(super) fn fork(&self) -> &[u8] {
        &self.raw[self.fork.clone()]
    }

    pub(super) fn fork_offset(&self) -> u64 {
        self.offset + self.fork.start as u64
    }

    /// The content, where it is in the inode.
    pub(super) fn local(&self) -> Result<&[u8], Error> {
        let content = usize::try_from(self.size).ok().and_then(|len| self.fork().get(..len));
        content.ok_or(Error::damaged(
            self.offset + 56,
            "content in an inode is larger than the inode",
        ))
    }

    /// Where its content is.
    pub(super) fn mapping(&self, source: &Source<'_>, volume: &Superblock) -> Result<Mapping, Error> {
        bmap::mapping(source, volume, self)
    }

    /// Where the symbolic link leads to.
    pub(super) fn target(&self, source: &Source<'_>, volume: &Superblock) -> Result<Vec<u8>, Error> {
        if self.format == Format::Local {
            return self.local().map(<[u8]>::to_vec);
        }
        if self.size > MAX_LINK {
            return Err(Error::damaged(
                self.offset + 56,
                "a symbolic link is longer than 1024 bytes",
            ));
        }
        let mapping = self.mapping(source, volume)?;
        let len = self.size as usize;
        if !volume.is_v5 {
            return Ok(mapping.read(source, 0, len)?);
        }
        let (block_size, mut target, mut at) = (volume.block_size as usize, Vec::with_capacity(len), 0);
        while target.len() < len {
            let block = mapping.read(source, at, block_size)?;
            if !block.starts_with(b"XSLM") {
                return Err(Error::damaged(
                    self.offset,
                    "a part of this symbolic link is not where it should be",
                ));
            }
            let part = &block[LINK_HEADER..];
            target.extend_from_slice(&part[..part.len().min(len - target.len())]);
            at += volume.block_size;
        }
        Ok(target)
    }
}
