use crate::bytes::{contains, is_at};

/// What the code in a disk's first sector (its first 440 bytes) is, told by its bytes.
///
/// Each kind is recognised by instructions and messages that do not depend on the disk it was installed on. They come
/// from the programs themselves where those are free (GRUB 2.06, GRUB 0.97, SYSLINUX 6, parted 3.5, Debian's mbr, the
/// FreeBSD sources), from `file`'s magic and from the sector listings at
/// <https://thestarman.pcministry.com/asm/mbr/> for Microsoft's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BootCode {
    /// No code: all zero, as `sfdisk`, `sgdisk` and most installers leave a data disk or an EFI disk.
    None,
    /// GRUB 2's `boot.img`.
    Grub2,
    /// GRUB 0.9x's `stage1`.
    GrubLegacy,
    /// LILO.
    Lilo,
    /// SYSLINUX's `mbr.bin` or `altmbr.bin`, also installed for EXTLINUX: starts the active partition.
    Syslinux,
    /// SYSLINUX's `gptmbr.bin`: starts the GPT partition marked as legacy bootable.
    SyslinuxGpt,
    /// ISOLINUX's code in an ISO image that also starts from a disk.
    Isohybrid,
    /// Windows 7, Server 2008 R2 and everything newer: their code has not changed since.
    Windows7,
    /// Windows Vista and Server 2008.
    WindowsVista,
    /// Windows 2000, XP and Server 2003.
    Windows2000,
    /// Windows 95 B, 98 and ME.
    Windows95,
    /// MS-DOS 3.3 to 6.22 and Windows 95.
    MsDos,
    /// FreeDOS's boot menu.
    FreeDos,
    /// FreeBSD's `boot0`, the boot menu.
    FreeBsdBoot0,
    /// FreeBSD's `mbr`: starts the active partition.
    FreeBsdMbr,
    /// FreeBSD's `pmbr`: starts the FreeBSD boot partition of a GPT.
    FreeBsdPmbr,
    /// The few bytes that parted writes with a new table: starts the active partition.
    Parted,
    /// Debian's `install-mbr`.
    DebianMbr,
    /// TrueCrypt's or VeraCrypt's loader: the disk's content is encrypted.
    VeraCrypt,
    /// Code that none of the rules above knows.
    Unknown,
}

/// The bytes that hold code; the disk signature follows.
const CODE_LEN: usize = 440;

const FREEBSD: &[u8] = &[0xfc, 0x31, 0xc0, 0x8e, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc];
const SYSLINUX: &[u8] = &[
    0x33, 0xc0, 0xfa, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0x89, 0xe6, 0x06, 0x57,
];
const WINDOWS_VISTA: &[u8] = &[
    0x33, 0xc0, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0x8e, 0xc0, 0x8e, 0xd8, 0xbe, 0x00, 0x7c,
];
/// The jump at 0x29 tells Vista from its successors in every language.
const VISTA_JUMP: &[u8] = &[0x0f, 0x85, 0x10, 0x01];
const WINDOWS_7_JUMP: &[u8] = &[0x0f, 0x85, 0x0e, 0x01];
const WINDOWS_95: &[u8] = &[
    0x33, 0xc0, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0xfb, 0x50, 0x07, 0x50, 0x1f, 0xfc,
];
const WINDOWS_2000_COPY: &[u8] = &[0xbe, 0x1b, 0x7c, 0xbf, 0x1b, 0x06];
const MS_DOS: &[u8] = &[
    0xfa, 0x33, 0xc0, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0x8b, 0xf4, 0x50, 0x07, 0x50, 0x1f, 0xfb, 0xfc,
];
const PARTED: &[u8] = &[
    0xfa, 0xb8, 0x00, 0x10, 0x8e, 0xd0, 0xbc, 0x00, 0xb0, 0xb8, 0x00, 0x00, 0x8e, 0xd8, 0x8e, 0xc0,
];

impl BootCode {
    /// Identifies the code in `sector`, the first bytes of a disk.
    pub fn identify(sector: &[u8]) -> Self {
        let code = &sector[..sector.len().min(CODE_LEN)];
        let starts = |bytes: &[u8]| code.starts_with(bytes);
        let says = |text: &str| contains(code, text.as_bytes());

        if code.iter().all(|&byte| byte == 0) {
            Self::None
        } else if says("GRUB \0Geom\0Hard Disk\0Read\0 Error") {
            // The jump leads over the BIOS parameter block: 0x63 bytes in GRUB 2, 0x48 in its predecessor.
            if starts(&[0xeb, 0x63]) {
                Self::Grub2
            } else {
                Self::GrubLegacy
            }
        } else if is_at(code, 6, b"LILO") {
            Self::Lilo
        } else if starts(SYSLINUX) {
            if says("!GPT") {
                Self::SyslinuxGpt
            } else {
                Self::Syslinux
            }
        } else if starts(&[0x33, 0xed]) && says("isolinux.bin missing or corrupt") {
            Self::Isohybrid
        } else if starts(WINDOWS_VISTA) && is_at(code, 0x29, WINDOWS_7_JUMP) {
            Self::Windows7
        } else if starts(WINDOWS_VISTA) && is_at(code, 0x29, VISTA_JUMP) {
            Self::WindowsVista
        } else if starts(WINDOWS_95) {
            if is_at(code, WINDOWS_95.len(), WINDOWS_2000_COPY) {
                Self::Windows2000
            } else {
                Self::Windows95
            }
        } else if starts(MS_DOS) {
            Self::MsDos
        } else if says("Default: F") && !starts(FREEBSD) {
            Self::FreeDos
        } else if starts(FREEBSD) {
            Self::identify_freebsd(code)
        } else if starts(PARTED) {
            Self::Parted
        } else if starts(&[0xfc, 0x31, 0xc0, 0x8e, 0xd0]) && is_at(code, 0x18c, b"MBR ") {
            Self::DebianMbr
        } else if says("TrueCrypt Boot Loader") || says("VeraCrypt Boot Loader") {
            Self::VeraCrypt
        } else {
            Self::Unknown
        }
    }

    /// FreeBSD's three programs share their first instructions; their messages differ.
    fn identify_freebsd(code: &[u8]) -> Self {
        if contains(code, b"Boot loader too large") {
            Self::FreeBsdPmbr
        } else if contains(code, b"Drive ") {
            Self::FreeBsdBoot0
        } else if contains(code, b"Missing operating system") {
            Self::FreeBsdMbr
        } else {
            Self::Unknown
        }
    }

    /// The program's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Grub2 => "GRUB 2",
            Self::GrubLegacy => "GRUB Legacy",
            Self::Lilo => "LILO",
            Self::Syslinux => "SYSLINUX/EXTLINUX",
            Self::SyslinuxGpt => "SYSLINUX/EXTLINUX for GPT",
            Self::Isohybrid => "ISOLINUX hybrid",
            Self::Windows7 => "Windows 7 or newer",
            Self::WindowsVista => "Windows Vista/2008",
            Self::Windows2000 => "Windows 2000/XP/2003",
            Self::Windows95 => "Windows 95B/98/ME",
            Self::MsDos => "MS-DOS",
            Self::FreeDos => "FreeDOS",
            Self::FreeBsdBoot0 => "FreeBSD boot0",
            Self::FreeBsdMbr => "FreeBSD mbr",
            Self::FreeBsdPmbr => "FreeBSD pmbr",
            Self::Parted => "parted",
            Self::DebianMbr => "Debian mbr",
            Self::VeraCrypt => "TrueCrypt/VeraCrypt",
            Self::Unknown => "unknown",
        }
    }
}

impl std::fmt::Display for BootCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sector(parts: &[(usize, &[u8])]) -> [u8; 512] {
        let mut sector = [0; 512];
        for (at, bytes) in parts {
            sector[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        sector
    }

    #[test]
    fn every_kind_is_told_by_its_marks() {
        let grub = b"GRUB \0Geom\0Hard Disk\0Read\0 Error\r\n\0".as_slice();
        let freebsd = (0, FREEBSD);
        for (expected, parts) in [
            (BootCode::None, vec![]),
            (BootCode::None, vec![(440, [0xab, 0xcd, 0x34, 0x12].as_slice())]),
            (BootCode::Grub2, vec![(0, [0xeb, 0x63, 0x90].as_slice()), (0x180, grub)]),
            (
                BootCode::GrubLegacy,
                vec![(0, [0xeb, 0x48, 0x90].as_slice()), (0x17f, grub)],
            ),
            (BootCode::Lilo, vec![(0, b"\xfa\xeb\x21\x01\xb4\x01LILO".as_slice())]),
            (
                BootCode::Syslinux,
                vec![(0, SYSLINUX), (0x5e, b"Missing operating system.".as_slice())],
            ),
            (BootCode::SyslinuxGpt, vec![(0, SYSLINUX), (0x135, b"!GPT".as_slice())]),
            (
                BootCode::Isohybrid,
                vec![
                    (0, b"\x33\xed\x90\x90".as_slice()),
                    (0xb6, b"isolinux.bin missing or corrupt.".as_slice()),
                ],
            ),
            (BootCode::Windows7, vec![(0, WINDOWS_VISTA), (0x29, WINDOWS_7_JUMP)]),
            (BootCode::WindowsVista, vec![(0, WINDOWS_VISTA), (0x29, VISTA_JUMP)]),
            (BootCode::Windows2000, vec![(0, WINDOWS_95), (13, WINDOWS_2000_COPY)]),
            (BootCode::Windows95, vec![(0, WINDOWS_95)]),
            (BootCode::MsDos, vec![(0, MS_DOS)]),
            (
                BootCode::FreeDos,
                vec![(0, [0xfc, 0x33].as_slice()), (0x147, b"Default: F".as_slice())],
            ),
            (BootCode::FreeBsdBoot0, vec![freebsd, (0x1b2, b"Drive ".as_slice())]),
            (
                BootCode::FreeBsdMbr,
                vec![freebsd, (0x130, b"Missing operating system".as_slice())],
            ),
            (
                BootCode::FreeBsdPmbr,
                vec![freebsd, (0x130, b"Boot loader too large".as_slice())],
            ),
            (BootCode::Parted, vec![(0, PARTED)]),
            (
                BootCode::DebianMbr,
                vec![
                    (0, [0xfc, 0x31, 0xc0, 0x8e, 0xd0].as_slice()),
                    (0x18c, b"MBR ".as_slice()),
                ],
            ),
            (
                BootCode::VeraCrypt,
                vec![(0, b"\xea\x1e\x7c\0\0 VeraCrypt Boot Loader".as_slice())],
            ),
            (BootCode::Unknown, vec![(0, b"\xeb\xfe".as_slice())]),
            (BootCode::Unknown, vec![freebsd]),
        ] {
            assert_eq!(BootCode::identify(&sector(&parts)), expected);
        }
    }

    #[test]
    fn a_short_sector_is_no_problem() {
        assert_eq!(BootCode::identify(&[]), BootCode::None);
        assert_eq!(BootCode::identify(&[0xeb]), BootCode::Unknown);
    }
}
