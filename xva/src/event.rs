//! What a parser finds.

use crate::ova::Ova;
use crate::summary::{Check, DiskReport, Summary};

/// A block of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Block<'a> {
    /// The disk's folder, such as `Ref:12`.
    pub disk: &'a str,
    /// The number in the block's name. It is a counter and tells nothing about the place on the disk.
    pub number: u64,
    /// Where the block belongs on the disk, in bytes. What no block covers is zero.
    pub offset: u64,
    /// The bytes, 1 MiB of them in all but the last block of a disk.
    pub data: &'a [u8],
    /// How they compare with their checksum.
    pub check: Check,
}

/// What a [`Parser`](crate::Parser) finds, in the order of the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The metadata, the first entry of every export.
    Ova(&'a Ova),
    /// A disk begins. Disks come in byte-wise order of their ids, which is not the order of the machine's drives.
    DiskStart(&'a DiskReport),
    /// A block of the disk, after its checksum was compared. Offsets rise; gaps between blocks are zeros.
    Block(Block<'a>),
    /// The disk is over, and complete as far as the metadata tells.
    DiskEnd(&'a DiskReport),
    /// The archive is over. Look at [`Summary::is_complete`].
    End(&'a Summary),
}
