//! The disks of the VMs that a pool is built with: small in content, real in their structure.

use std::collections::HashMap;
use std::sync::Arc;

use flate2::Crc;

use crate::disk_image::DiskImage;

const SECTOR: u64 = 512;
const MIB: u64 = 1 << 20;
/// Partitions start here, in sectors.
const FIRST: u64 = 2048;

/// The kinds of disks in an inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// MBR with GRUB's boot code, a Linux root and swap.
    Grub,
    /// MBR with the boot code of Windows, a system partition and a large NTFS one.
    Windows,
    /// GPT with an EFI system partition and a Linux root.
    Gpt,
    /// MBR with one Linux partition and no boot code.
    Data,
    /// An image of a CD with its volume descriptor.
    Iso,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Grub, Self::Windows, Self::Gpt, Self::Data, Self::Iso];

    /// The name in files.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Grub => "grub",
            Self::Windows => "windows",
            Self::Gpt => "gpt",
            Self::Data => "data",
            Self::Iso => "iso",
        }
    }

    /// The least bytes that have room for its partitions.
    pub(crate) const fn least_size(self) -> u64 {
        match self {
            Self::Iso => 1 << 20,
            Self::Grub | Self::Windows | Self::Gpt | Self::Data => 4 << 30,
        }
    }

    /// The kind with this name in files.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Disks that share all bytes but those by which a partition table says which disk it is on.
#[derive(Debug, Default)]
pub(crate) struct SampleDisks(HashMap<(Kind, u64), Arc<DiskImage>>);

/// Where an MBR has the signature of its disk.
const SIGNATURE: usize = 440;

impl SampleDisks {
    /// A disk of that kind; equal arguments give equal bytes.
    pub(crate) fn take(&mut self, kind: Kind, size: u64, seed: u64) -> DiskImage {
        // Checksums cover the GUIDs of a GPT, and a CD has nothing of its own.
        if matches!(kind, Kind::Gpt | Kind::Iso) {
            return make(kind, size, seed).generated(kind, seed);
        }
        let shared = self
            .0
            .entry((kind, size))
            .or_insert_with(|| Arc::new(make(kind, size, 0)));
        let mut disk = DiskImage::above(Arc::clone(shared));
        disk.write(SIGNATURE as u64, &signature(seed).to_le_bytes());
        disk.generated(kind, seed)
    }
}

/// Makes a disk of that kind; equal arguments give equal bytes.
pub(crate) fn make(kind: Kind, size: u64, seed: u64) -> DiskImage {
    let mut disk = DiskImage::new(size);
    let sectors = size / SECTOR;
    match kind {
        Kind::Grub => {
            let boot = 1024 * MIB / SECTOR;
            let swap = 1024 * MIB / SECTOR;
            let root = sectors.saturating_sub(FIRST + boot + swap);
            let table = [
                (0x80, 0x83, FIRST, boot),
                (0, 0x83, FIRST + boot, root),
                (0, 0x82, FIRST + boot + root, swap),
            ];
            write_mbr(&mut disk, &grub_boot_code(), signature(seed), &table);
            // The core image that GRUB puts between the table and the first partition.
            fill(&mut disk, SECTOR, 32 * 1024, seed);
            write_ext4(&mut disk, FIRST * SECTOR, boot * SECTOR, "boot");
            write_ext4(&mut disk, (FIRST + boot) * SECTOR, root * SECTOR, "root");
            disk.write((FIRST + boot + root) * SECTOR + 4086, b"SWAPSPACE2");
        }
        Kind::Windows => {
            let system = 500 * MIB / SECTOR;
            let drive = sectors.saturating_sub(FIRST + system + FIRST);
            let table = [(0x80, 0x07, FIRST, system), (0, 0x07, FIRST + system, drive)];
            write_mbr(&mut disk, &windows_boot_code(), signature(seed), &table);
            write_ntfs(&mut disk, FIRST, system);
            write_ntfs(&mut disk, FIRST + system, drive);
        }
        Kind::Gpt => write_gpt(&mut disk, sectors, seed),
        Kind::Data => {
            write_mbr(
                &mut disk,
                &[],
                signature(seed),
                &[(0, 0x83, FIRST, sectors.saturating_sub(FIRST))],
            );
            write_ext4(
                &mut disk,
                FIRST * SECTOR,
                sectors.saturating_sub(FIRST) * SECTOR,
                "data",
            );
        }
        Kind::Iso => {
            disk.write(16 * 2048, b"\x01CD001\x01\x00");
            return disk;
        }
    }
    // A few stretches of data, so that an export has blocks between its holes.
    for stretch in 1..=3 {
        let offset = size / 4 * stretch / MIB * MIB + stretch * 4096;
        fill(&mut disk, offset, 256 * 1024, seed.wrapping_add(stretch));
    }
    disk
}

/// The signature of a disk, which is never zero: disks without one were never used.
fn signature(seed: u64) -> u32 {
    (seed as u32).wrapping_mul(0x9e37_79b1) | 1
}

/// Bytes that do not compress well.
fn fill(disk: &mut DiskImage, offset: u64, count: usize, seed: u64) {
    let mut bytes = vec![0; count];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    disk.write(offset, &bytes);
}

type Entry = (u8, u8, u64, u64);

fn write_mbr(disk: &mut DiskImage, code: &[u8], signature: u32, table: &[Entry]) {
    let mut sector = [0; SECTOR as usize];
    let code = &code[..code.len().min(440)];
    sector[..code.len()].copy_from_slice(code);
    sector[SIGNATURE..SIGNATURE + 4].copy_from_slice(&signature.to_le_bytes());
    for (slot, &(status, kind, start, count)) in sector[446..510].chunks_exact_mut(16).zip(table) {
        slot[0] = status;
        // Cylinders, heads and sectors of a start and an end that lie beyond what they can say.
        slot[1..4].copy_from_slice(&[0xfe, 0xff, 0xff]);
        slot[4] = kind;
        slot[5..8].copy_from_slice(&[0xfe, 0xff, 0xff]);
        slot[8..12].copy_from_slice(&to_u32(start).to_le_bytes());
        slot[12..16].copy_from_slice(&to_u32(count).to_le_bytes());
    }
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    disk.write(0, &sector);
}

fn to_u32(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The jump at the start of GRUB 2's first stage, and the messages by which tools know it.
fn grub_boot_code() -> Vec<u8> {
    let mut code = vec![0; 440];
    code[..3].copy_from_slice(&[0xeb, 0x63, 0x90]);
    code[0x5c..0x5e].copy_from_slice(&[0x01, 0x00]);
    code[0x65..0x70].copy_from_slice(&[0xfa, 0x90, 0x90, 0xf6, 0xc2, 0x80, 0x74, 0x05, 0xf6, 0xc2, 0x70]);
    code[0x180..0x1a2].copy_from_slice(b"GRUB \0Geom\0Hard Disk\0Read\0 Error\r\n");
    code
}

/// The start of the loader that Windows writes, and its messages.
fn windows_boot_code() -> Vec<u8> {
    let mut code = vec![0; 440];
    code[..11].copy_from_slice(&[0x33, 0xc0, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0x8e, 0xc0, 0x8e, 0xd8]);
    let messages =
        b"Invalid partition table\0Error loading operating system\0Missing operating system\0\0\0\x63\x7b\x9a";
    code[0x163..0x163 + 85].copy_from_slice(&messages[..85]);
    code
}

/// A superblock with its magic number, sizes and label; enough to be recognised, not to be mounted.
fn write_ext4(disk: &mut DiskImage, offset: u64, size: u64, label: &str) {
    let mut block = [0; 1024];
    let blocks = size / 4096;
    block[0..4].copy_from_slice(&to_u32(blocks / 4).to_le_bytes());
    block[4..8].copy_from_slice(&to_u32(blocks).to_le_bytes());
    block[0x18..0x1c].copy_from_slice(&2_u32.to_le_bytes());
    block[0x20..0x24].copy_from_slice(&32_768_u32.to_le_bytes());
    block[0x38..0x3a].copy_from_slice(&0xef53_u16.to_le_bytes());
    block[0x3a..0x3c].copy_from_slice(&1_u16.to_le_bytes());
    block[0x4c..0x50].copy_from_slice(&1_u32.to_le_bytes());
    block[0x58..0x5a].copy_from_slice(&256_u16.to_le_bytes());
    block[0x60..0x64].copy_from_slice(&0x42_u32.to_le_bytes());
    block[0x78..0x78 + label.len()].copy_from_slice(label.as_bytes());
    disk.write(offset + 1024, &block);
}

/// A boot sector with its sizes; enough to be recognised, not to be mounted.
fn write_ntfs(disk: &mut DiskImage, start: u64, sectors: u64) {
    let mut sector = [0; SECTOR as usize];
    sector[..11].copy_from_slice(b"\xeb\x52\x90NTFS    ");
    sector[0x0b..0x0d].copy_from_slice(&512_u16.to_le_bytes());
    sector[0x0d] = 8;
    sector[0x15] = 0xf8;
    sector[0x1c..0x20].copy_from_slice(&to_u32(start).to_le_bytes());
    sector[0x28..0x30].copy_from_slice(&sectors.saturating_sub(1).to_le_bytes());
    sector[0x30..0x38].copy_from_slice(&786_432_u64.to_le_bytes());
    sector[0x38..0x40].copy_from_slice(&2_u64.to_le_bytes());
    sector[0x40] = 0xf6;
    sector[0x44] = 0x01;
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    disk.write(start * SECTOR, &sector);
}

/// EFI system partition: C12A7328-F81F-11D2-BA4B-00A0C93EC93B, as it lies on disk.
const EFI_SYSTEM: [u8; 16] = [
    0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
];
/// Linux filesystem data: 0FC63DAF-8483-4772-8E79-3D69D8477DE4, as it lies on disk.
const LINUX: [u8; 16] = [
    0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4,
];

fn write_gpt(disk: &mut DiskImage, sectors: u64, seed: u64) {
    const ENTRIES: usize = 128;
    const ENTRY: usize = 128;
    const TABLE: u64 = (ENTRIES * ENTRY) as u64 / SECTOR;
    let mut random = fastrand::Rng::with_seed(seed ^ 0x6770_7420);
    let last = sectors - 1;
    let efi = 512 * MIB / SECTOR;
    let usable = last - TABLE - 1;
    let partitions = [
        (EFI_SYSTEM, FIRST, FIRST + efi - 1, "EFI System"),
        (LINUX, FIRST + efi, usable / FIRST * FIRST - 1, "root"),
    ];
    let mut table = vec![0; ENTRIES * ENTRY];
    for (slot, (kind, first, end, name)) in table.chunks_exact_mut(ENTRY).zip(partitions) {
        slot[..16].copy_from_slice(&kind);
        slot[16..32].copy_from_slice(&random.u128(..).to_le_bytes());
        slot[32..40].copy_from_slice(&first.to_le_bytes());
        slot[40..48].copy_from_slice(&end.to_le_bytes());
        for (place, unit) in slot[56..].chunks_exact_mut(2).zip(name.encode_utf16()) {
            place.copy_from_slice(&unit.to_le_bytes());
        }
    }
    let disk_id = random.u128(..).to_le_bytes();
    let mut header = |here: u64, other: u64, entries: u64| {
        let mut sector = [0; SECTOR as usize];
        sector[..8].copy_from_slice(b"EFI PART");
        sector[8..12].copy_from_slice(&0x0001_0000_u32.to_le_bytes());
        sector[12..16].copy_from_slice(&92_u32.to_le_bytes());
        sector[24..32].copy_from_slice(&here.to_le_bytes());
        sector[32..40].copy_from_slice(&other.to_le_bytes());
        sector[40..48].copy_from_slice(&(2 + TABLE).to_le_bytes());
        sector[48..56].copy_from_slice(&usable.to_le_bytes());
        sector[56..72].copy_from_slice(&disk_id);
        sector[72..80].copy_from_slice(&entries.to_le_bytes());
        sector[80..84].copy_from_slice(&(ENTRIES as u32).to_le_bytes());
        sector[84..88].copy_from_slice(&(ENTRY as u32).to_le_bytes());
        sector[88..92].copy_from_slice(&crc(&table).to_le_bytes());
        let checksum = crc(&sector[..92]);
        sector[16..20].copy_from_slice(&checksum.to_le_bytes());
        disk.write(here * SECTOR, &sector);
        disk.write(entries * SECTOR, &table);
    };
    header(1, last, 2);
    header(last, 1, last - TABLE);
    write_mbr(disk, &[], 0, &[(0, 0xee, 1, last.min(u64::from(u32::MAX)))]);
    write_ext4(disk, (FIRST + efi) * SECTOR, (usable - FIRST - efi) * SECTOR, "root");
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sector(disk: &DiskImage, number: u64) -> [u8; 512] {
        let mut sector = [0; 512];
        disk.read(number * SECTOR, &mut sector).unwrap();
        sector
    }

    #[test]
    fn an_mbr_names_its_loader_and_partitions() {
        let disk = make(Kind::Grub, 16 << 30, 1);
        let mbr = sector(&disk, 0);
        assert_eq!(&mbr[0x180..0x184], b"GRUB");
        assert_eq!(&mbr[510..], [0x55, 0xaa]);
        assert_eq!(
            [mbr[446], mbr[450], mbr[466], mbr[482]],
            [0x80, 0x83, 0x83, 0x82],
            "status and types"
        );
    }

    #[test]
    fn both_gpt_headers_are_sound() {
        let size = 16 << 30;
        let disk = make(Kind::Gpt, size, 1);
        for number in [1, size / SECTOR - 1] {
            let mut header = sector(&disk, number);
            let stored = u32::from_le_bytes(header[16..20].try_into().unwrap());
            header[16..20].fill(0);
            assert_eq!((&header[..8], crc(&header[..92])), (&b"EFI PART"[..], stored));
        }
    }

    #[test]
    fn content_is_small_and_repeatable() {
        let disk = make(Kind::Windows, 32 << 30, 9);
        assert!(disk.used() < 4 << 20);
        assert_eq!(sector(&disk, 0), sector(&make(Kind::Windows, 32 << 30, 9), 0));
    }

    #[test]
    fn disks_of_a_kind_share_their_bytes_and_differ_in_their_signature() {
        let mut disks = SampleDisks::default();
        let (one, two) = (disks.take(Kind::Grub, 16 << 30, 1), disks.take(Kind::Grub, 16 << 30, 2));
        assert!(one.has_same(&two, 4096, (16 << 30) - 4096).unwrap());
        let (one, two) = (sector(&one, 0), sector(&two, 0));
        let differences: Vec<_> = (0..512).filter(|&at| one[at] != two[at]).collect();
        assert!(!differences.is_empty());
        assert!(differences.iter().all(|at| (SIGNATURE..SIGNATURE + 4).contains(at)));
    }
}
