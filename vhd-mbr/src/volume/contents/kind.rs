use std::fmt;

/// The kinds of things that volumes and disks hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentKind {
    /// NTFS.
    Ntfs,
    /// ext2.
    Ext2,
    /// ext3: ext2 with a journal.
    Ext3,
    /// ext4.
    Ext4,
    /// XFS.
    Xfs,
    /// btrfs.
    Btrfs,
    /// FAT with 12-bit entries.
    Fat12,
    /// FAT with 16-bit entries.
    Fat16,
    /// FAT with 32-bit entries.
    Fat32,
    /// exFAT.
    ExFat,
    /// ISO 9660, which may have UDF beside it.
    Iso9660,
    /// UDF alone.
    Udf,
    /// Microsoft's ReFS.
    Refs,
    /// ZFS.
    Zfs,
    /// squashfs.
    Squashfs,
    /// Linux swap space, or a hibernated system in it.
    Swap,
    /// A physical volume of LVM2.
    Lvm,
    /// LUKS, version 1.
    Luks1,
    /// LUKS, version 2.
    Luks2,
    /// BitLocker.
    BitLocker,
    /// The database of Windows' dynamic disks (LDM).
    Ldm,
    /// A member of a Linux RAID (mdadm).
    LinuxRaid,
    /// A partition table: MBR, GPT or both.
    PartitionTable,
    /// Zeros wherever one of the others would begin.
    Empty,
    /// Something else.
    Unknown,
}

impl ContentKind {
    /// It in one or a few words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ntfs => "NTFS",
            Self::Ext2 => "ext2",
            Self::Ext3 => "ext3",
            Self::Ext4 => "ext4",
            Self::Xfs => "XFS",
            Self::Btrfs => "btrfs",
            Self::Fat12 => "FAT12",
            Self::Fat16 => "FAT16",
            Self::Fat32 => "FAT32",
            Self::ExFat => "exFAT",
            Self::Iso9660 => "ISO 9660",
            Self::Udf => "UDF",
            Self::Refs => "ReFS",
            Self::Zfs => "a member of a ZFS pool",
            Self::Squashfs => "squashfs",
            Self::Swap => "Linux swap space",
            Self::Lvm => "an LVM2 physical volume",
            Self::Luks1 => "a volume encrypted with LUKS1",
            Self::Luks2 => "a volume encrypted with LUKS2",
            Self::BitLocker => "a volume encrypted with BitLocker",
            Self::Ldm => "a Windows dynamic disk (LDM)",
            Self::LinuxRaid => "a member of a Linux RAID",
            Self::PartitionTable => "a partition table",
            Self::Empty => "nothing: zeros wherever something would begin",
            Self::Unknown => "nothing that is known",
        }
    }

    /// Whether [`Volume`](crate::volume::Volume) reads files of it.
    pub const fn is_readable(self) -> bool {
        self.advice().is_none()
    }

    /// Why its files cannot be read here, and what to do about it; none where they can.
    pub const fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::Ntfs | Self::Ext2 | Self::Ext3 | Self::Ext4 | Self::Xfs | Self::Btrfs => return None,
            Self::Fat12 | Self::Fat16 | Self::Fat32 | Self::Iso9660 => return None,
            Self::ExFat | Self::Udf | Self::Squashfs => "not a file system that is read here: mount it",
            Self::Refs => "only Windows reads it: start the VM, or attach the disk to one with Windows",
            Self::Zfs => "only ZFS reads it: import the pool where it is installed",
            Self::Swap => "it holds no files",
            Self::Lvm => "files are in its logical volumes: open one of them",
            Self::Luks1 | Self::Luks2 => "read it inside the VM, or unlock a copy with cryptsetup and read that",
            Self::BitLocker => "unlock it in Windows and turn BitLocker off there",
            Self::Ldm => "its volumes may span disks: read it in Windows, or map them on Linux with ldmtool",
            Self::LinuxRaid => "its bytes may be spread over disks: assemble it with mdadm and read that",
            Self::PartitionTable => "files are in its partitions: open one of them",
            Self::Empty => {
                "there is nothing to read; if it should hold something, it has been wiped or never formatted"
            }
            Self::Unknown => {
                "if it should hold something, it is damaged, encrypted or of a kind that is not known here"
            }
        })
    }
}

impl fmt::Display for ContentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
