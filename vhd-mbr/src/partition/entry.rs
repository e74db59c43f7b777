use std::fmt;

use super::{GptEntry, GptType, MbrEntry, MbrType};
use crate::Guid;
use xen_disk::{ReadAt, Window};

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Partition {
    /// The number that Linux gives it: its place in the table from 1; logical partitions count from 5.
    pub number: u32,
    /// Where it starts, in bytes from the start of the disk.
    pub start: u64,
    /// Its length in bytes.
    pub len: u64,
    /// Where it starts, in sectors from the start of the disk.
    pub first_sector: u64,
    /// Its length in sectors.
    pub sectors: u64,
    /// Where its entry stands, in bytes from the start of the disk: 16 bytes in an MBR or in the extended boot record
    /// of a logical partition, [`entry_size`](super::Gpt::entry_size) bytes in a GPT.
    pub entry_offset: u64,
    /// What its entry says.
    pub entry: Entry,
}

/// The entry of a partition, by the kind of table it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entry {
    /// One of the four entries of the MBR.
    Primary(MbrEntry),
    /// An entry in an extended boot record.
    Logical(MbrEntry),
    /// An entry of a GPT.
    Gpt(GptEntry),
}

/// What a partition is for, as its table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartitionType {
    /// A type byte.
    Mbr(MbrType),
    /// A type GUID.
    Gpt(GptType),
}

impl Partition {
    /// The first byte behind the partition.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }

    /// What it is for, as the table says.
    pub fn partition_type(&self) -> PartitionType {
        match &self.entry {
            Entry::Primary(entry) | Entry::Logical(entry) => PartitionType::Mbr(entry.partition_type),
            Entry::Gpt(entry) => PartitionType::Gpt(entry.partition_type),
        }
    }

    /// Whether a BIOS starts from it: the active flag of an MBR, the legacy boot attribute of a GPT.
    pub fn is_bootable(&self) -> bool {
        match &self.entry {
            Entry::Primary(entry) | Entry::Logical(entry) => entry.active,
            Entry::Gpt(entry) => entry.attributes.is_legacy_bootable(),
        }
    }

    /// Whether it is only the space in which logical partitions lie.
    pub fn is_extended(&self) -> bool {
        matches!(&self.entry, Entry::Primary(entry) if entry.partition_type.is_extended())
    }

    /// Whether it lies within an extended partition.
    pub fn is_logical(&self) -> bool {
        matches!(self.entry, Entry::Logical(_))
    }

    /// The name a GPT gives it; `None` in an MBR, which has no names.
    pub fn name(&self) -> Option<&str> {
        self.gpt_entry().map(|entry| entry.name.as_str())
    }

    /// The GUID a GPT gives it.
    pub fn guid(&self) -> Option<Guid> {
        self.gpt_entry().map(|entry| entry.guid)
    }

    /// Its entry, if it is one of an MBR or of an extended boot record.
    pub fn mbr_entry(&self) -> Option<&MbrEntry> {
        match &self.entry {
            Entry::Primary(entry) | Entry::Logical(entry) => Some(entry),
            Entry::Gpt(_) => None,
        }
    }

    /// Its entry, if it is one of a GPT.
    pub fn gpt_entry(&self) -> Option<&GptEntry> {
        match &self.entry {
            Entry::Gpt(entry) => Some(entry),
            Entry::Primary(_) | Entry::Logical(_) => None,
        }
    }

    /// The bytes of the partition as a disk of its own.
    pub fn of<D: ReadAt>(&self, disk: D) -> Window<D> {
        Window::new(disk, self.start, self.len)
    }
}

impl PartitionType {
    /// What the type stands for, if it is known.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Mbr(byte) => byte.name(),
            Self::Gpt(guid) => guid.name(),
        }
    }
}

impl fmt::Display for PartitionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mbr(byte) => byte.fmt(f),
            Self::Gpt(guid) => guid.fmt(f),
        }
    }
}
