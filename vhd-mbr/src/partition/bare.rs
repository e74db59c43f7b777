use std::fmt;

use super::Error;
use super::source::{Chunk, Source};
use crate::bytes::{is_at, u16_at, u32_at};

/// A file system or volume that stands directly on a disk, without a partition table around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BareVolume {
    /// FAT with 12-bit entries.
    Fat12,
    /// FAT with 16-bit entries.
    Fat16,
    /// FAT with 32-bit entries.
    Fat32,
    /// exFAT.
    ExFat,
    /// NTFS.
    Ntfs,
    /// Microsoft's ReFS.
    Refs,
    /// A volume encrypted with BitLocker.
    BitLocker,
    /// ext2, ext3 or ext4.
    Ext,
    /// XFS.
    Xfs,
    /// btrfs.
    Btrfs,
    /// Linux swap space.
    Swap,
    /// A physical volume of Linux's LVM2.
    Lvm,
    /// A volume encrypted with LUKS.
    Luks,
    /// A CD or DVD image.
    Iso9660,
}

/// The marks that stand at a fixed byte of the volume.
const MARKS: [(BareVolume, u64, &[u8]); 14] = [
    (BareVolume::ExFat, 3, b"EXFAT   "),
    (BareVolume::Ntfs, 3, b"NTFS    "),
    (BareVolume::Refs, 3, b"ReFS\0\0\0\0"),
    (BareVolume::BitLocker, 3, b"-FVE-FS-"),
    (BareVolume::Xfs, 0, b"XFSB"),
    (BareVolume::Luks, 0, b"LUKS\xba\xbe"),
    (BareVolume::Lvm, 0, b"LABELONE"),
    (BareVolume::Lvm, 512, b"LABELONE"),
    (BareVolume::Lvm, 1024, b"LABELONE"),
    (BareVolume::Lvm, 1536, b"LABELONE"),
    (BareVolume::Ext, 1080, &[0x53, 0xef]),
    (BareVolume::Swap, 4086, b"SWAPSPACE2"),
    (BareVolume::Iso9660, 32769, b"CD001"),
    (BareVolume::Btrfs, 65600, b"_BHRfS_M"),
];

impl BareVolume {
    /// Looks for the marks of a volume that starts at byte 0, as far as bytes are there.
    pub(super) fn detect(source: &dyn Source, first_sector: &[u8]) -> Result<Option<Self>, Error> {
        for (volume, position, mark) in MARKS {
            if let Chunk::Bytes(bytes) = source.read(position, mark.len())?
                && *bytes == *mark
            {
                return Ok(Some(volume));
            }
        }
        Ok(fat(first_sector))
    }

    /// What stands there, as one or a few words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fat12 => "FAT12",
            Self::Fat16 => "FAT16",
            Self::Fat32 => "FAT32",
            Self::ExFat => "exFAT",
            Self::Ntfs => "NTFS",
            Self::Refs => "ReFS",
            Self::BitLocker => "BitLocker",
            Self::Ext => "ext2/3/4",
            Self::Xfs => "XFS",
            Self::Btrfs => "btrfs",
            Self::Swap => "Linux swap",
            Self::Lvm => "LVM2 physical volume",
            Self::Luks => "LUKS",
            Self::Iso9660 => "ISO 9660",
        }
    }
}

impl fmt::Display for BareVolume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// FAT has no mark: its boot sector is known by a parameter block whose values fit together, and the kind by the number
/// of clusters (Microsoft, "FAT32 File System Specification" 1.03, sections "Boot Sector and BPB" and "FAT Type
/// Determination").
fn fat(sector: &[u8]) -> Option<BareVolume> {
    let sector: &[u8; 512] = sector.first_chunk()?;
    let sector_size = u32::from(u16_at(sector, 11));
    let cluster_sectors = u32::from(sector[13]);
    let reserved = u32::from(u16_at(sector, 14));
    let tables = u32::from(sector[16]);
    let root_entries = u32::from(u16_at(sector, 17));
    let media = sector[21];
    let jumps = sector[0] == 0xe9 || (sector[0] == 0xeb && sector[2] == 0x90);
    let fits = jumps
        && is_at(sector, 510, &[0x55, 0xaa])
        && matches!(sector_size, 512 | 1024 | 2048 | 4096)
        && cluster_sectors.is_power_of_two()
        && reserved > 0
        && matches!(tables, 1 | 2)
        && (media == 0xf0 || media >= 0xf8);
    if !fits {
        return None;
    }
    let either = |short: u16, long: u32| if short != 0 { u32::from(short) } else { long };
    let table_sectors = either(u16_at(sector, 22), u32_at(sector, 36));
    let total_sectors = either(u16_at(sector, 19), u32_at(sector, 32));
    let root_sectors = (root_entries * 32).div_ceil(sector_size);
    let overhead = u64::from(reserved) + u64::from(tables) * u64::from(table_sectors) + u64::from(root_sectors);
    let clusters = u64::from(total_sectors).checked_sub(overhead)? / u64::from(cluster_sectors);
    Some(match clusters {
        0 => return None,
        1..4085 => BareVolume::Fat12,
        4085..65525 => BareVolume::Fat16,
        _ => BareVolume::Fat32,
    })
}
