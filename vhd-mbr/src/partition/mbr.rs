use super::{BootCode, MbrType};
use crate::bytes::{array, is_at, u32_at};

/// Where the four entries start within the sector.
pub(super) const ENTRIES_AT: usize = 446;
pub(super) const ENTRY_LEN: usize = 16;
/// An MBR takes 512 bytes whatever the sector size is.
pub(super) const SECTOR_LEN: usize = 512;

/// The master boot record: the first 512 bytes of a disk.
///
/// Every partitioned disk has one; with a GPT it only protects the disk from programs that know no GPT.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mbr {
    /// The number at byte 440 by which Windows and `PARTUUID=` tell disks apart; 0 where nobody set one.
    pub disk_signature: u32,
    /// The program at the start of the sector.
    pub boot_code: BootCode,
    /// The four entries as they stand at byte 446, unused ones included.
    pub entries: [MbrEntry; 4],
}

/// One entry of an [`Mbr`], or of the extended boot record in front of a logical partition, as it stands on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MbrEntry {
    /// Whether the BIOS starts from here (flag 0x80).
    pub active: bool,
    /// Cylinder, head and sector of the start, packed as on disk. Nothing current reads them.
    pub chs_start: [u8; 3],
    /// The type byte.
    pub partition_type: MbrType,
    /// Cylinder, head and sector of the end, packed as on disk.
    pub chs_end: [u8; 3],
    /// The start in sectors: from the start of the disk in an MBR; from the record itself, or from the extended
    /// partition where the entry leads to the next record, in an extended boot record.
    pub start: u32,
    /// The length in sectors.
    pub sectors: u32,
}

impl MbrEntry {
    fn parse(bytes: &[u8]) -> Self {
        Self {
            active: bytes.first() == Some(&0x80),
            chs_start: array(bytes, 1),
            partition_type: MbrType(array::<1>(bytes, 4)[0]),
            chs_end: array(bytes, 5),
            start: u32_at(bytes, 8),
            sectors: u32_at(bytes, 12),
        }
    }

    /// Whether the entry describes a partition.
    pub fn is_used(&self) -> bool {
        self.partition_type != MbrType::UNUSED
    }
}

impl Mbr {
    /// Reads the record in the first 512 bytes of `sector`.
    pub(super) fn parse(sector: &[u8]) -> Self {
        Self {
            disk_signature: u32_at(sector, 440),
            boot_code: BootCode::identify(sector),
            entries: parse_entries(sector),
        }
    }

    /// Whether an entry says that the disk has a GPT.
    pub fn is_protective(&self) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.partition_type == MbrType::GPT_PROTECTIVE)
    }

    /// The numbers, from 1 to 4, of the entries that are partitions of their own and not the protection of a GPT.
    pub fn own_partitions(&self) -> Vec<u32> {
        let own = |entry: &MbrEntry| entry.is_used() && entry.partition_type != MbrType::GPT_PROTECTIVE;
        (1..)
            .zip(&self.entries)
            .filter(|(_, entry)| own(entry))
            .map(|(number, _)| number)
            .collect()
    }
}

pub(super) fn parse_entries(sector: &[u8]) -> [MbrEntry; 4] {
    std::array::from_fn(|i| MbrEntry::parse(sector.get(ENTRIES_AT + i * ENTRY_LEN..).unwrap_or_default()))
}

pub(super) fn has_signature(sector: &[u8]) -> bool {
    is_at(sector, 510, &[0x55, 0xaa])
}

/// The first entry, from 1, whose boot flag is neither set nor clear, where the flag stands and what it is.
pub(super) fn bad_boot_flag(sector: &[u8]) -> Option<(u32, u64, u8)> {
    (1..)
        .zip((ENTRIES_AT..).step_by(ENTRY_LEN).take(4))
        .map(|(number, at)| (number, at as u64, array::<1>(sector, at)[0]))
        .find(|(_, _, flag)| !matches!(flag, 0x00 | 0x80))
}
