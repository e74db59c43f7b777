use std::fmt;

/// The type byte of an MBR partition.
///
/// Says what its creator meant to put there, not what is there: Windows marks exFAT, NTFS and more with 0x07.
/// The meanings are those that `sfdisk` and Andries Brouwer's list of partition identifiers agree on.
///
/// ```
/// use vhd_mbr::partition::MbrType;
///
/// assert_eq!(MbrType(0x83).name(), Some("Linux"));
/// assert_eq!(MbrType(0x0e).to_string(), "0e FAT16 (LBA)");
/// assert_eq!(MbrType(0x99).to_string(), "99 unknown");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MbrType(
    /// The byte as it stands in the table.
    pub u8,
);

impl MbrType {
    /// An unused entry.
    pub const UNUSED: Self = Self(0x00);
    /// The partition that covers a GPT disk so that old programs leave it alone.
    pub const GPT_PROTECTIVE: Self = Self(0xee);

    /// Whether the partition holds a chain of logical partitions (0x05, 0x0f and Linux's 0x85).
    pub const fn is_extended(self) -> bool {
        matches!(self.0, 0x05 | 0x0f | 0x85)
    }

    /// What the type stands for, if it is known.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0x00 => "unused",
            0x01 => "FAT12",
            0x02 => "XENIX root",
            0x03 => "XENIX /usr",
            0x04 => "FAT16 below 32 MB",
            0x05 => "Extended",
            0x06 => "FAT16",
            0x07 => "NTFS/exFAT/HPFS",
            0x08 => "AIX",
            0x09 => "AIX bootable",
            0x0a => "OS/2 Boot Manager",
            0x0b => "FAT32",
            0x0c => "FAT32 (LBA)",
            0x0e => "FAT16 (LBA)",
            0x0f => "Extended (LBA)",
            0x10 => "OPUS",
            0x11 => "Hidden FAT12",
            0x12 => "Compaq diagnostics",
            0x14 => "Hidden FAT16 below 32 MB",
            0x15 => "Hidden extended",
            0x16 => "Hidden FAT16",
            0x17 => "Hidden NTFS/exFAT/HPFS",
            0x18 => "AST SmartSleep",
            0x1b => "Hidden FAT32",
            0x1c => "Hidden FAT32 (LBA)",
            0x1e => "Hidden FAT16 (LBA)",
            0x1f => "Hidden extended (LBA)",
            0x24 => "NEC DOS",
            0x27 => "Windows recovery",
            0x39 => "Plan 9",
            0x3c => "PartitionMagic recovery",
            0x40 => "Venix 80286",
            0x41 => "PowerPC PReP boot",
            0x42 => "Windows dynamic disk (LDM)",
            0x4d => "QNX4",
            0x4e => "QNX4, second part",
            0x4f => "QNX4, third part",
            0x50 => "OnTrack Disk Manager",
            0x51 => "OnTrack DM6 Aux1",
            0x52 => "CP/M",
            0x53 => "OnTrack DM6 Aux3",
            0x54 => "OnTrack DM6",
            0x55 => "EZ-Drive",
            0x56 => "Golden Bow",
            0x5c => "Priam EDisk",
            0x63 => "GNU Hurd or System V",
            0x64 => "Novell NetWare 286",
            0x65 => "Novell NetWare 386",
            0x70 => "DiskSecure Multi-Boot",
            0x75 => "PC/IX",
            0x80 => "Old MINIX",
            0x81 => "MINIX or old Linux",
            0x82 => "Linux swap or Solaris",
            0x83 => "Linux",
            0x84 => "Hibernation or hidden OS/2",
            0x85 => "Linux extended",
            0x86 | 0x87 => "NTFS volume set",
            0x88 => "Linux plaintext",
            0x8e => "Linux LVM",
            0x93 => "Amoeba",
            0x94 => "Amoeba bad blocks",
            0x9f => "BSD/OS",
            0xa0 => "Laptop hibernation",
            0xa5 => "FreeBSD",
            0xa6 => "OpenBSD",
            0xa7 => "NeXTSTEP",
            0xa8 => "macOS UFS",
            0xa9 => "NetBSD",
            0xab => "macOS boot",
            0xaf => "macOS HFS/HFS+",
            0xb7 => "BSDI",
            0xb8 => "BSDI swap",
            0xbb => "Boot Wizard hidden",
            0xbc => "Acronis Secure Zone",
            0xbe => "Solaris boot",
            0xbf => "Solaris",
            0xc1 => "DR-DOS secured FAT12",
            0xc4 => "DR-DOS secured FAT16 below 32 MB",
            0xc5 => "DR-DOS secured extended",
            0xc6 => "DR-DOS secured FAT16",
            0xc7 => "Syrinx",
            0xda => "Data without a file system",
            0xdb => "CP/M or CTOS",
            0xde => "Dell diagnostics",
            0xdf => "BootIt",
            0xe1 => "SpeedStor or DOS access",
            0xe3 => "SpeedStor or DOS read-only",
            0xe4 => "SpeedStor FAT16",
            0xea => "Linux extended boot",
            0xeb => "BeOS",
            0xee => "GPT protective",
            0xef => "EFI system",
            0xf0 => "Linux PA-RISC boot",
            0xf2 => "DOS secondary",
            0x61 | 0xf1 | 0xf4 => "SpeedStor",
            0xf8 => "Arm EBBR protective",
            0xfb => "VMware VMFS",
            0xfc => "VMware VMkernel core dump",
            0xfd => "Linux RAID",
            0xfe => "LANstep or IBM PS/2 recovery",
            0xff => "XENIX bad blocks",
            _ => return None,
        })
    }
}

impl fmt::Display for MbrType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:02x} {}", self.0, self.name().unwrap_or("unknown")))
    }
}
