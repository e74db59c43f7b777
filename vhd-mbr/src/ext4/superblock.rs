//! The superblock and the group descriptors: where inodes are.

use super::Error;
use super::features::{self, compat, incompat, ro_compat};
use crate::bytes::{array, u16_at, u32_at, u64_at};
use crate::filetree::Source;
use crate::layout::Obstacle;

const START: u64 = 1024;
const LEN: usize = 1024;
const MAGIC: u16 = 0xef53;
const STATE_VALID: u16 = 1;
const STATE_ERROR: u16 = 2;
const STATE_ORPHANS: u16 = 4;
const MMP_MAGIC: u32 = 0x004d_4d50;
const MMP_CLEAN: u32 = 0xff4d_4d50;

#[derive(Debug)]
pub(super) struct Superblock {
    pub(super) block_size: u64,
    pub(super) blocks: u64,
    pub(super) inode_size: usize,
    pub(super) incompat: u32,
    inodes: u32,
    first_data_block: u64,
    blocks_per_group: u64,
    inodes_per_group: u32,
    descriptor_size: u64,
    compat: u32,
    ro_compat: u32,
    state: u16,
    first_inode: u32,
    /// Inodes of the journal, the quota files and the orphan file.
    own_inodes: [u32; 5],
    last_orphan: u32,
    first_meta_group: u64,
    backup_groups: [u32; 2],
    mmp_block: u64,
}

impl Superblock {
    pub(super) fn read(source: &Source<'_>) -> Result<Self, Error> {
        let raw = source.read(START, LEN)?;
        if u16_at(&raw, 0x38) != MAGIC {
            return Err(Error::NotExt {
                found: array(&raw, 0x38),
            });
        }
        let damaged = |at: u64, what| Error::damaged(START + at, what);
        let incompat = u32_at(&raw, 0x60);
        features::check_incompat(incompat)?;
        let wide = incompat & incompat::BITS64 != 0;

        let log_block_size = u32_at(&raw, 0x18);
        if log_block_size > 6 {
            return Err(damaged(0x18, "the block size is larger than 64 KiB"));
        }
        let block_size = 1024u64 << log_block_size;
        let high = if wide { u64::from(u32_at(&raw, 0x150)) << 32 } else { 0 };
        let blocks = u64::from(u32_at(&raw, 0x4)) | high;
        if blocks.checked_mul(block_size).is_none_or(|bytes| bytes > source.size()) {
            return Err(damaged(0x4, "it has more blocks than there is room for"));
        }
        let inode_size = match u32_at(&raw, 0x4c) {
            0 => 128,
            _ => u16_at(&raw, 0x58),
        };
        if !inode_size.is_power_of_two() || inode_size < 128 || u64::from(inode_size) > block_size {
            return Err(damaged(
                0x58,
                "the size of an inode is no power of two from 128 to a block",
            ));
        }
        let descriptor_size = if wide { u64::from(u16_at(&raw, 0xfe)) } else { 32 };
        if !descriptor_size.is_power_of_two() || descriptor_size < 32 || descriptor_size > block_size {
            return Err(damaged(
                0xfe,
                "the size of a group descriptor is no power of two from 32 to a block",
            ));
        }
        let (blocks_per_group, inodes_per_group) = (u64::from(u32_at(&raw, 0x20)), u32_at(&raw, 0x28));
        if blocks_per_group == 0 || inodes_per_group == 0 {
            return Err(damaged(0x20, "a group has no blocks or no inodes"));
        }
        Ok(Self {
            block_size,
            blocks,
            inode_size: inode_size.into(),
            incompat,
            inodes: u32_at(&raw, 0x0),
            first_data_block: u32_at(&raw, 0x14).into(),
            blocks_per_group,
            inodes_per_group,
            descriptor_size,
            compat: u32_at(&raw, 0x5c),
            ro_compat: u32_at(&raw, 0x64),
            state: u16_at(&raw, 0x3a),
            first_inode: if u32_at(&raw, 0x4c) == 0 {
                11
            } else {
                u32_at(&raw, 0x54)
            },
            own_inodes: [0xe0, 0x240, 0x244, 0x26c, 0x280].map(|at| u32_at(&raw, at)),
            last_orphan: u32_at(&raw, 0xe8),
            first_meta_group: u32_at(&raw, 0x104).into(),
            backup_groups: [0x24c, 0x250].map(|at| u32_at(&raw, at)),
            mmp_block: u64_at(&raw, 0x168),
        })
    }

    /// What speaks against changing any file of the volume.
    pub(super) fn obstacles(&self, source: &Source<'_>) -> Result<Vec<Obstacle>, Error> {
        let [journal, ..] = self.own_inodes;
        let external = self.compat & compat::HAS_JOURNAL != 0 && journal == 0;
        let unclean = self.state & (STATE_VALID | STATE_ERROR | STATE_ORPHANS) != STATE_VALID;
        let orphans = self.last_orphan != 0 || self.ro_compat & ro_compat::ORPHAN_PRESENT != 0;
        let found = [
            (
                self.incompat & incompat::RECOVER != 0 || external,
                Obstacle::JournalNotEmpty,
            ),
            (unclean || orphans || self.is_in_use(source)?, Obstacle::NotUnmounted),
            (self.ro_compat & ro_compat::SHARED_BLOCKS != 0, Obstacle::Shared),
            (!features::is_writable(self.ro_compat), Obstacle::ReadOnly),
        ];
        Ok(found
            .into_iter()
            .filter(|(there, _)| *there)
            .map(|(_, what)| what)
            .collect())
    }

    /// Whether multiple mount protection says that a host has the volume mounted.
    fn is_in_use(&self, source: &Source<'_>) -> Result<bool, Error> {
        if self.incompat & incompat::MMP == 0 {
            return Ok(false);
        }
        let block = source.read(self.block(self.mmp_block, START + 0x168)?, 8)?;
        Ok(u32_at(&block, 0) != MMP_MAGIC || u32_at(&block, 4) != MMP_CLEAN)
    }

    pub(super) fn is_own(&self, inode: u32) -> bool {
        inode < self.first_inode || self.own_inodes.contains(&inode)
    }

    /// Where block `number`, as named at byte `named_at`, starts.
    pub(super) fn block(&self, number: u64, named_at: u64) -> Result<u64, Error> {
        self.blocks_from(number, 1, named_at)
    }

    /// Where `count` blocks from `number` on, as named at byte `named_at`, start.
    pub(super) fn blocks_from(&self, number: u64, count: u64, named_at: u64) -> Result<u64, Error> {
        let end = number.checked_add(count);
        if number == 0 || end.is_none_or(|end| end > self.blocks) {
            return Err(Error::damaged(named_at, "it names a block that is not on the volume"));
        }
        Ok(number * self.block_size)
    }

    /// Where inode `number`, as named at byte `named_at`, starts.
    pub(super) fn inode(&self, source: &Source<'_>, number: u32, named_at: u64) -> Result<u64, Error> {
        if number == 0 || number > self.inodes {
            return Err(Error::damaged(named_at, "it names an inode that does not exist"));
        }
        let group = u64::from((number - 1) / self.inodes_per_group);
        let index = u64::from((number - 1) % self.inodes_per_group);
        let at = self.descriptor(group, named_at)?;
        let descriptor = source.read(at, self.descriptor_size.min(64) as usize)?;
        let high = if self.descriptor_size >= 64 {
            u64::from(u32_at(&descriptor, 0x28)) << 32
        } else {
            0
        };
        let table = u64::from(u32_at(&descriptor, 0x8)) | high;
        let inside = index * self.inode_size as u64;
        let block = table.saturating_add(inside / self.block_size);
        Ok(self.block(block, at)? + inside % self.block_size)
    }

    /// Where the descriptor of a group is.
    fn descriptor(&self, group: u64, named_at: u64) -> Result<u64, Error> {
        let per_block = self.block_size / self.descriptor_size;
        let (table_block, index) = (group / per_block, group % per_block);
        let block = if self.incompat & incompat::META_BG != 0 && table_block >= self.first_meta_group {
            let first_group = table_block * per_block;
            let mut behind = u64::from(self.has_superblock(first_group));
            // Where blocks have 1024 bytes but are counted from 0, as with bigalloc, the superblock is in block 1.
            if self.block_size == 1024 && first_group == 0 && self.first_data_block == 0 {
                behind += 1;
            }
            self.first_data_block + first_group * self.blocks_per_group + behind
        } else {
            START / self.block_size + 1 + table_block
        };
        Ok(self.block(block, named_at)? + index * self.descriptor_size)
    }

    fn has_superblock(&self, group: u64) -> bool {
        if group == 0 {
            true
        } else if self.compat & compat::SPARSE_SUPER2 != 0 {
            self.backup_groups.iter().any(|&backup| u64::from(backup) == group)
        } else {
            self.ro_compat & ro_compat::SPARSE_SUPER == 0
                || group == 1
                || [3, 5, 7].iter().any(|&base| is_power_of(base, group))
        }
    }
}

fn is_power_of(base: u64, number: u64) -> bool {
    let mut power = base;
    while power < number {
        power = power.saturating_mul(base);
    }
    power == number
}
