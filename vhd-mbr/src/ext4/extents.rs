//! Extent trees.

use std::collections::HashSet;
use std::ops::Range;

use super::Error;
use super::inode::Inode;
use super::superblock::Superblock;
use crate::bytes::{u16_at, u32_at};
use crate::filetree::{Mapping, Piece, Source};

const MAGIC: u16 = 0xf30a;
const MAX_DEPTH: u16 = 5;
/// Both kinds of entries, and the header, take as much.
const ENTRY: usize = 12;
/// An extent longer than this is shorter by as much, and not written yet.
const UNWRITTEN: u16 = 0x8000;
/// Block numbers within a file have 32 bits.
const ALL_BLOCKS: Range<u64> = 0..1 << 32;

pub(super) fn mapping(source: &Source<'_>, volume: &Superblock, inode: &Inode) -> Result<Mapping, Error> {
    let mut walk = Walk {
        source,
        volume,
        seen: HashSet::new(),
        mapping: Mapping::default(),
    };
    let root = inode.map();
    let depth = u16_at(root, 6);
    if depth > MAX_DEPTH {
        return Err(Error::damaged(inode.map_offset() + 6, "an extent tree is too deep"));
    }
    walk.node(root, inode.map_offset(), depth, ALL_BLOCKS)?;
    Ok(walk.mapping)
}

struct Walk<'a> {
    source: &'a Source<'a>,
    volume: &'a Superblock,
    /// Blocks of the tree that have been read: none comes twice.
    seen: HashSet<u64>,
    mapping: Mapping,
}

impl Walk<'_> {
    /// Takes up the node at byte `offset`, which is to tell of these blocks of the file.
    fn node(&mut self, node: &[u8], offset: u64, depth: u16, blocks: Range<u64>) -> Result<(), Error> {
        let entries = usize::from(u16_at(node, 2));
        if u16_at(node, 0) != MAGIC || u16_at(node, 6) != depth || (entries + 1) * ENTRY > node.len() {
            return Err(Error::damaged(
                offset,
                "this is not the node of an extent tree that should be here",
            ));
        }
        let first_block = |index: usize| u64::from(u32_at(node, (index + 1) * ENTRY));
        for index in 0..entries {
            let (at, first) = (offset + ((index + 1) * ENTRY) as u64, first_block(index));
            if !blocks.contains(&first) {
                return Err(Error::damaged(at, "an extent is outside of what its node is for"));
            }
            let entry = &node[(index + 1) * ENTRY..][..ENTRY];
            if depth == 0 {
                self.extent(entry, at, first..blocks.end)?;
            } else {
                let end = if index + 1 < entries {
                    first_block(index + 1).min(blocks.end)
                } else {
                    blocks.end
                };
                self.child(entry, at, depth - 1, first..end)?;
            }
        }
        Ok(())
    }

    fn extent(&mut self, entry: &[u8], at: u64, blocks: Range<u64>) -> Result<(), Error> {
        let len = u16_at(entry, 4);
        let written = len <= UNWRITTEN;
        let count = u64::from(if written { len } else { len - UNWRITTEN });
        let start = u64::from(u16_at(entry, 6)) << 32 | u64::from(u32_at(entry, 8));
        let end = blocks.start + count;
        if count == 0 || end > blocks.end {
            return Err(Error::damaged(at, "an extent is empty or longer than its node allows"));
        }
        let size = self.volume.block_size;
        let piece = Piece {
            file: blocks.start * size..end * size,
            offset: self.volume.blocks_from(start, count, at)?,
            written,
        };
        self.mapping.push(piece).map_err(|why| Error::misplaced(at, why))
    }

    fn child(&mut self, entry: &[u8], at: u64, depth: u16, blocks: Range<u64>) -> Result<(), Error> {
        let number = u64::from(u16_at(entry, 8)) << 32 | u64::from(u32_at(entry, 4));
        let offset = self.volume.block(number, at)?;
        if !self.seen.insert(number) {
            return Err(Error::damaged(at, "an extent tree leads to the same block twice"));
        }
        let node = self.source.read(offset, self.volume.block_size as usize)?;
        self.node(&node, offset, depth, blocks)
    }
}
