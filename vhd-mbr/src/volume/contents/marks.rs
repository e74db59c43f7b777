//! Marks that stand at a fixed byte.

use super::ContentKind::{self, *};
use crate::bytes::is_at;

/// The marks of the first sector: with one of them the sector is no partition table.
const FIRST_SECTOR: [(ContentKind, usize, &[u8]); 12] = [
    (ExFat, 3, b"EXFAT   "),
    (Ntfs, 3, b"NTFS    "),
    (Refs, 3, b"ReFS\0\0\0\0"),
    (BitLocker, 3, b"-FVE-FS-"),
    // BitLocker To Go looks like FAT; the GUID is that of its headers.
    (
        BitLocker,
        424,
        b"\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01",
    ),
    (Xfs, 0, b"XFSB"),
    (Luks1, 0, b"LUKS\xba\xbe\x00\x01"),
    (Luks2, 0, b"LUKS\xba\xbe\x00\x02"),
    (Squashfs, 0, b"hsqs"),
    (Lvm, 0, b"LABELONE"),
    (LinuxRaid, 0, RAID),
    (Iso9660, 32_769, b"CD001"),
];

/// The marks behind: what is in the first sector may be older or newer than they are.
const BEHIND: [(ContentKind, usize, &[u8]); 14] = [
    (Ldm, 3072, b"PRIVHEAD"),
    (Lvm, 512, b"LABELONE"),
    (Lvm, 1024, b"LABELONE"),
    (Lvm, 1536, b"LABELONE"),
    (LinuxRaid, 4096, RAID),
    (Btrfs, 65_600, b"_BHRfS_M"),
    (Udf, 34_817, b"NSR0"),
    // At the end of the first page, whatever size it has; so says also a system that is hibernated in it.
    (Swap, 4086, b"SWAPSPACE2"),
    (Swap, 8182, b"SWAPSPACE2"),
    (Swap, 16_374, b"SWAPSPACE2"),
    (Swap, 65_526, b"SWAPSPACE2"),
    (Swap, 4086, b"S1SUSPEND\0"),
    (Swap, 4086, b"S2SUSPEND\0"),
    (Swap, 4086, b"SWAP-SPACE"),
];

/// Of the superblock of a Linux RAID.
pub(super) const RAID: &[u8] = &0xa92b_4efc_u32.to_le_bytes();

/// What the first sector says that it begins; ISO 9660 leaves it to others.
pub(super) fn in_first_sector(start: &[u8]) -> Option<ContentKind> {
    find(&FIRST_SECTOR, start)
}

pub(super) fn behind(start: &[u8]) -> Option<ContentKind> {
    find(&BEHIND, start)
}

fn find(marks: &[(ContentKind, usize, &[u8])], start: &[u8]) -> Option<ContentKind> {
    marks
        .iter()
        .find(|(_, at, mark)| is_at(start, *at, mark))
        .map(|(kind, ..)| *kind)
}
