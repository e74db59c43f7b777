//! Block maps with indirect blocks, as ext2 and ext3 have them.

use std::collections::HashSet;

use super::Error;
use super::inode::Inode;
use super::superblock::Superblock;
use crate::bytes::u32_at;
use crate::filetree::{Mapping, Piece, Source};

const DIRECT: usize = 12;

pub(super) fn mapping(source: &Source<'_>, volume: &Superblock, inode: &Inode) -> Result<Mapping, Error> {
    let mut walk = Walk {
        source,
        volume,
        blocks: inode.size.div_ceil(volume.block_size),
        seen: HashSet::new(),
        mapping: Mapping::default(),
    };
    let map = inode.map();
    let mut first = 0;
    for slot in 0..DIRECT + 3 {
        let levels = (slot + 1).saturating_sub(DIRECT) as u32;
        let at = inode.map_offset() + slot as u64 * 4;
        walk.pointer(u32_at(map, slot * 4), at, levels, first)?;
        first += walk.reach(levels);
    }
    Ok(walk.mapping)
}

struct Walk<'a> {
    source: &'a Source<'a>,
    volume: &'a Superblock,
    /// How many blocks the file has.
    blocks: u64,
    /// Blocks of pointers that have been read: none comes twice.
    seen: HashSet<u32>,
    mapping: Mapping,
}

impl Walk<'_> {
    /// How many blocks of the file a pointer leads to through so many blocks of pointers.
    fn reach(&self, levels: u32) -> u64 {
        (self.volume.block_size / 4).pow(levels)
    }

    /// Takes up the pointer at byte `at`, which leads to block `first` of the file and those behind it.
    fn pointer(&mut self, number: u32, at: u64, levels: u32, first: u64) -> Result<(), Error> {
        if number == 0 || first >= self.blocks {
            return Ok(());
        }
        let size = self.volume.block_size;
        let offset = self.volume.block(number.into(), at)?;
        if levels == 0 {
            let piece = Piece {
                file: first * size..(first + 1) * size,
                offset,
                written: true,
            };
            return self.mapping.push(piece).map_err(|why| Error::misplaced(at, why));
        }
        if !self.seen.insert(number) {
            return Err(Error::damaged(at, "a block map leads to the same block twice"));
        }
        let pointers = self.source.read(offset, size as usize)?;
        for index in 0..size / 4 {
            let pointer = u32_at(&pointers, index as usize * 4);
            self.pointer(
                pointer,
                offset + index * 4,
                levels - 1,
                first + index * self.reach(levels - 1),
            )?;
        }
        Ok(())
    }
}
