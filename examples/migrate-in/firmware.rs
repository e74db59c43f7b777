//! How a disk is booted.

use std::fmt;

use clap::ValueEnum;
use vhd_mbr::PartitionTable;
use vhd_mbr::partition::{GptType, MbrType, Partition, PartitionType};
use vhd_mbr::xen_disk::ReadAt;

/// What starts a VM's boot loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Firmware {
    Bios,
    Uefi,
}

impl Firmware {
    /// What a disk was made for: UEFI where it has a system partition for that, and none that only a BIOS needs.
    pub(crate) fn of(disk: &impl ReadAt) -> anyhow::Result<Self> {
        let Ok(table) = PartitionTable::read_disk(disk) else {
            // A volume on the whole disk, or nothing that is known here.
            return Ok(Self::Bios);
        };
        let has = |wanted: &[PartitionType]| {
            let is_it = |partition: &Partition| wanted.contains(&partition.partition_type());
            table.partitions().iter().any(is_it)
        };
        let (gpt, mbr) = (PartitionType::Gpt, PartitionType::Mbr);
        let is_for_uefi = has(&[gpt(GptType::EFI_SYSTEM), mbr(MbrType(0xef))]);
        Ok(match is_for_uefi && !has(&[gpt(GptType::BIOS_BOOT)]) {
            true => Self::Uefi,
            false => Self::Bios,
        })
    }

    /// As XenAPI has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bios => "bios",
            Self::Uefi => "uefi",
        }
    }
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bios => "BIOS",
            Self::Uefi => "UEFI",
        })
    }
}
