//! What an archive turned out to hold.

use crate::{Digest, checksum::Algorithm};

/// How a block compared with its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Check {
    /// The block is as it was written.
    Verified(Algorithm),
    /// The block differs; it is delivered because of [`Verify::Report`](crate::Verify::Report).
    Mismatch {
        /// The checksum that the archive records.
        expected: Digest,
        /// The checksum of the bytes that are there.
        found: Digest,
    },
    /// No checksum follows the block.
    Missing,
    /// No checksum follows the block, but a table at the end of the archive should hold one.
    Deferred,
    /// Checksums are not computed.
    Off,
}

/// One disk's share of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskReport {
    /// The disk's folder, such as `Ref:12`.
    pub id: String,
    /// The disk's length in bytes, where the metadata gives one.
    pub virtual_size: Option<u64>,
    /// How much of the disk the archive covers so far, in bytes and holes included.
    pub end: u64,
    /// Bytes in the blocks that are there.
    pub data: u64,
}

impl DiskReport {
    /// Whether the disk is covered to its end; `false` where its length is unknown.
    pub fn is_complete(&self) -> bool {
        self.virtual_size.is_some_and(|size| self.end >= size)
    }
}

/// What an archive turned out to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Whether the two zero blocks that close a tar archive are there.
    pub end_blocks: bool,
    /// The disks, in the order of the archive.
    pub disks: Vec<DiskReport>,
    /// Ids of the disks that should be in the archive, as far as its metadata tells, and are not. An export of metadata
    /// alone misses them all.
    pub missing: Vec<String>,
    /// Blocks that are as they were written, empty ones included.
    pub verified: u64,
    /// Blocks that differ from their checksum.
    pub damaged: u64,
    /// Blocks of which nothing is known.
    pub unverified: u64,
}

impl Summary {
    /// Whether nothing is missing: every disk is there to its end, and so are the closing zero blocks.
    ///
    /// Where only the zero blocks are missing, [`Summary::has_all_disks`] still holds.
    pub fn is_complete(&self) -> bool {
        self.end_blocks && self.has_all_disks()
    }

    /// Whether every disk that the metadata promises is there to its end.
    pub fn has_all_disks(&self) -> bool {
        self.missing.is_empty()
            && self
                .disks
                .iter()
                .all(|disk| disk.virtual_size.is_none() || disk.is_complete())
    }
}
