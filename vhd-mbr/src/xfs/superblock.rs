//! The superblock: the geometry by which numbers of blocks and inodes become positions.

use std::ops::RangeInclusive;

use super::Error;
use super::fields::{u16_at, u32_at, u64_at};
use crate::bytes::array;
use crate::filetree::Source;

const LEN: usize = 264;

/// Bits of `sb_versionnum` beside the version.
const DIRV2: u16 = 0x2000;
const ASCII_CI: u16 = 0x4000;
const MORE_BITS: u16 = 0x8000;
/// A bit of `sb_features2`.
const FTYPE_V4: u32 = 0x200;

/// ftype, sparse inodes, meta_uuid, bigtime, nrext64, exchange-range and parent pointers.
const KNOWN_INCOMPAT: u32 = 0x1 | 0x2 | 0x4 | 0x8 | 0x20 | 0x40 | 0x80;
const FTYPE: u32 = 0x1;
const OTHER_INCOMPAT: [(u32, &str); 3] = [
    (0x10, "xfs_repair before anything else (needsrepair)"),
    (0x100, "a tree of metadata directories (metadir)"),
    (0x200, "zones (zoned)"),
];
/// finobt, rmapbt, reflink and inobtcount.
const WRITABLE_RO_COMPAT: u32 = 0xf;

#[derive(Debug)]
pub(super) struct Superblock {
    pub(super) block_size: u64,
    pub(super) inode_size: u64,
    pub(super) root: u64,
    /// The first block of the log; 0 where it is on another device.
    pub(super) log_start: u64,
    pub(super) log_blocks: u32,
    /// Version 5 has checksums, and larger headers for them.
    pub(super) is_v5: bool,
    /// Entries of directories tell the type of what they name.
    pub(super) has_ftype: bool,
    pub(super) ignores_ascii_case: bool,
    /// Whether Linux would write to it.
    pub(super) is_writable: bool,
    pub(super) directory_block_size: u64,
    /// Bitmaps of the realtime device and quota files.
    pub(super) own_inodes: [u64; 5],
    blocks: u64,
    group_blocks: u64,
    groups: u64,
    group_log: u8,
    inodes_per_block_log: u8,
}

impl Superblock {
    pub(super) fn read(source: &Source<'_>) -> Result<Self, Error> {
        let raw = source.read(0, LEN)?;
        if !raw.starts_with(b"XFSB") {
            return Err(Error::NotXfs { found: array(&raw, 0) });
        }
        let version = u16_at(&raw, 100);
        let is_v5 = match version & 0xf {
            4 if version & DIRV2 != 0 => false,
            5 => true,
            _ => {
                return Err(Error::unsupported(format!(
                    "version {} or directories of version 1",
                    version & 0xf
                )));
            }
        };
        let (incompat, ro_compat) = if is_v5 {
            (u32_at(&raw, 216), u32_at(&raw, 212))
        } else {
            (0, 0)
        };
        let unknown = incompat & !KNOWN_INCOMPAT;
        if unknown != 0 {
            let named = OTHER_INCOMPAT.iter().find(|(bit, _)| unknown & bit != 0);
            return Err(Error::unsupported(named.map_or_else(
                || format!("a feature of flag {unknown:#x}"),
                |(_, name)| (*name).to_owned(),
            )));
        }
        let logarithm = |at: usize, whole: u64, allowed: RangeInclusive<u8>, what| {
            let log = raw[at];
            let right = allowed.contains(&log) && 1 << log == whole;
            right.then_some(log).ok_or(Error::damaged(at as u64, what))
        };
        let block_size = u64::from(u32_at(&raw, 4));
        let block_log = logarithm(
            120,
            block_size,
            9..=16,
            "the block size is no power of two from 512 to 65536",
        )?;
        let inode_size = u64::from(u16_at(&raw, 104));
        let inode_log = logarithm(
            122,
            inode_size,
            8..=11,
            "the size of an inode is no power of two from 256 to 2048",
        )?;
        let inodes_per_block_log = raw[123];
        if block_log.checked_sub(inode_log) != Some(inodes_per_block_log) {
            return Err(Error::damaged(123, "the number of inodes in a block is wrong"));
        }
        let group_log = raw[124];
        let (group_blocks, groups) = (u64::from(u32_at(&raw, 84)), u64::from(u32_at(&raw, 88)));
        if group_blocks == 0
            || groups == 0
            || u64::from(group_log) != u64::from(group_blocks.next_power_of_two().ilog2())
        {
            return Err(Error::damaged(84, "the allocation groups make no sense"));
        }
        let blocks = u64_at(&raw, 8);
        let fits = blocks
            .checked_mul(block_size)
            .is_some_and(|bytes| bytes <= source.size());
        if !fits || blocks > groups * group_blocks || blocks <= (groups - 1) * group_blocks {
            return Err(Error::damaged(8, "it has more blocks than there is room for"));
        }
        let directory_log = raw[192];
        if block_log.checked_add(directory_log).is_none_or(|log| log > 16) {
            return Err(Error::damaged(192, "blocks of directories are larger than 64 KiB"));
        }
        if raw[126] != 0 {
            return Err(Error::damaged(126, "mkfs.xfs was not finished"));
        }
        Ok(Self {
            block_size,
            inode_size,
            root: u64_at(&raw, 56),
            log_start: u64_at(&raw, 48),
            log_blocks: u32_at(&raw, 96),
            is_v5,
            has_ftype: incompat & FTYPE != 0
                || (!is_v5 && version & MORE_BITS != 0 && u32_at(&raw, 200) & FTYPE_V4 != 0),
            ignores_ascii_case: version & ASCII_CI != 0,
            is_writable: ro_compat & !WRITABLE_RO_COMPAT == 0,
            directory_block_size: block_size << directory_log,
            own_inodes: [64, 72, 160, 168, 232].map(|at| u64_at(&raw, at)),
            blocks,
            group_blocks,
            groups,
            group_log,
            inodes_per_block_log,
        })
    }

    /// Where `count` blocks from `number` on, as named at byte `named_at`, start. The upper bits of a number are the
    /// allocation group's.
    pub(super) fn blocks_from(&self, number: u64, count: u64, named_at: u64) -> Result<u64, Error> {
        let (group, inside) = (number >> self.group_log, number & ((1 << self.group_log) - 1));
        let first = group.saturating_mul(self.group_blocks).saturating_add(inside);
        let in_group = inside.checked_add(count).is_some_and(|end| end <= self.group_blocks);
        if group >= self.groups || !in_group || first + count > self.blocks {
            return Err(Error::damaged(named_at, "it names blocks that are not on the volume"));
        }
        Ok(first * self.block_size)
    }

    /// Where inode `number`, as named at byte `named_at`, starts.
    pub(super) fn inode(&self, number: u64, named_at: u64) -> Result<u64, Error> {
        let index = number & ((1 << self.inodes_per_block_log) - 1);
        let block = self.blocks_from(number >> self.inodes_per_block_log, 1, named_at)?;
        Ok(block + index * self.inode_size)
    }
}
