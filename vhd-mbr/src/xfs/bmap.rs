//! Where the blocks of a file are: a list of extents in its inode, or a tree of them.

use std::collections::HashSet;

use super::Error;
use super::fields::{u16_at, u64_at};
use super::inode::{Format, Inode};
use super::superblock::Superblock;
use crate::filetree::{Mapping, Piece, Source};

const RECORD: usize = 16;
/// Levels of a tree: enough for every extent that a volume can have.
const MAX_LEVEL: u16 = 12;

pub(super) fn mapping(source: &Source<'_>, volume: &Superblock, inode: &Inode) -> Result<Mapping, Error> {
    let mut walk = Walk {
        source,
        volume,
        seen: HashSet::new(),
        mapping: Mapping::default(),
    };
    let (fork, offset) = (inode.fork(), inode.fork_offset());
    match inode.format {
        Format::Local | Format::Other => Err(Error::damaged(inode.offset + 5, "a file has no blocks at all")),
        Format::Extents => {
            let len = usize::try_from(inode.extents)
                .ok()
                .and_then(|count| count.checked_mul(RECORD));
            let records = len.and_then(|len| fork.get(..len));
            let records = records.ok_or(Error::damaged(
                inode.offset + 76,
                "an inode has no room for so many extents",
            ))?;
            walk.records(records, offset)?;
            Ok(walk.mapping)
        }
        Format::Tree => {
            let level = u16_at(fork, 0);
            if level == 0 || level > MAX_LEVEL {
                return Err(Error::damaged(offset, "a tree of extents is of no possible height"));
            }
            let room = fork.len().saturating_sub(4) / RECORD;
            walk.children(fork, offset, 4, room, level)?;
            Ok(walk.mapping)
        }
    }
}

struct Walk<'a> {
    source: &'a Source<'a>,
    volume: &'a Superblock,
    /// Blocks of the tree that have been read: none comes twice.
    seen: HashSet<u64>,
    mapping: Mapping,
}

impl Walk<'_> {
    /// Takes up a list of extents that starts at byte `offset`.
    fn records(&mut self, records: &[u8], offset: u64) -> Result<(), Error> {
        for (index, record) in records.chunks_exact(RECORD).enumerate() {
            let at = offset + (index * RECORD) as u64;
            let (high, low) = (u64_at(record, 0), u64_at(record, 8));
            let first = (high & !(1 << 63)) >> 9;
            let start = (high & 0x1ff) << 43 | low >> 21;
            let count = low & 0x1f_ffff;
            let size = self.volume.block_size;
            let (from, to) = (first.checked_mul(size), (first + count).checked_mul(size));
            let (Some(from), Some(to), 1..) = (from, to, count) else {
                return Err(Error::damaged(at, "an extent is empty or behind the end of any file"));
            };
            let piece = Piece {
                file: from..to,
                offset: self.volume.blocks_from(start, count, at)?,
                written: high >> 63 == 0,
            };
            self.mapping
                .push(piece)
                .map_err(|why| Error::damaged(at, why.as_str()))?;
        }
        Ok(())
    }

    /// Follows the pointers of a node at byte `offset`, which stand behind `room` keys.
    fn children(&mut self, node: &[u8], offset: u64, header: usize, room: usize, level: u16) -> Result<(), Error> {
        let count = usize::from(u16_at(node, if header == 4 { 2 } else { 6 }));
        if count > room {
            return Err(Error::damaged(
                offset,
                "a node of a tree of extents has no room for what it says",
            ));
        }
        for index in 0..count {
            let at = header + room * 8 + index * 8;
            self.child(u64_at(node, at), offset + at as u64, level - 1)?;
        }
        Ok(())
    }

    fn child(&mut self, number: u64, named_at: u64, level: u16) -> Result<(), Error> {
        let offset = self.volume.blocks_from(number, 1, named_at)?;
        if !self.seen.insert(number) {
            return Err(Error::damaged(
                named_at,
                "a tree of extents leads to the same block twice",
            ));
        }
        let node = self.source.read(offset, self.volume.block_size as usize)?;
        let (magic, header): (&[u8], usize) = if self.volume.is_v5 {
            (b"BMA3", 72)
        } else {
            (b"BMAP", 24)
        };
        if !node.starts_with(magic) || u16_at(&node, 4) != level {
            return Err(Error::damaged(
                offset,
                "this is not the node of a tree of extents that should be here",
            ));
        }
        let room = (node.len() - header) / RECORD;
        if level > 0 {
            return self.children(&node, offset, header, room, level);
        }
        let count = usize::from(u16_at(&node, 6));
        if count > room {
            return Err(Error::damaged(
                offset,
                "a node of a tree of extents has no room for what it says",
            ));
        }
        self.records(&node[header..][..count * RECORD], offset + header as u64)
    }
}
