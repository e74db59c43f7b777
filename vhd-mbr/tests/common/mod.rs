//! Writes the tables that the tests read.
#![allow(dead_code, reason = "each test file uses a part")]

use vhd_mbr::Guid;

pub(crate) const DISK_SIGNATURE: u32 = 0x1234_abcd;

/// An entry of an MBR or of an extended boot record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MbrRow {
    pub(crate) flag: u8,
    pub(crate) kind: u8,
    pub(crate) start: u32,
    pub(crate) sectors: u32,
}

pub(crate) fn row(kind: u8, start: u32, sectors: u32) -> MbrRow {
    MbrRow {
        flag: 0,
        kind,
        start,
        sectors,
    }
}

pub(crate) fn active(kind: u8, start: u32, sectors: u32) -> MbrRow {
    MbrRow {
        flag: 0x80,
        kind,
        start,
        sectors,
    }
}

/// A zeroed disk of `sectors` sectors of 512 bytes.
pub(crate) fn disk(sectors: usize) -> Vec<u8> {
    vec![0; sectors * 512]
}

pub(crate) fn put(disk: &mut [u8], at: usize, bytes: &[u8]) {
    disk[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Writes entries and signature into the sector at byte `at`; the code before them stays.
pub(crate) fn put_record(disk: &mut [u8], at: usize, rows: &[MbrRow]) {
    for (i, row) in rows.iter().enumerate() {
        let entry = at + 446 + 16 * i;
        put(disk, entry, &[row.flag, 1, 2, 3, row.kind, 4, 5, 6]);
        put(disk, entry + 8, &row.start.to_le_bytes());
        put(disk, entry + 12, &row.sectors.to_le_bytes());
    }
    put(disk, at + 510, &[0x55, 0xaa]);
}

/// Writes an MBR with the usual disk signature.
pub(crate) fn put_mbr(disk: &mut [u8], rows: &[MbrRow]) {
    put(disk, 440, &DISK_SIGNATURE.to_le_bytes());
    put_record(disk, 0, rows);
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GptRow {
    pub(crate) number: u32,
    pub(crate) kind: Guid,
    pub(crate) guid: Guid,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) attributes: u64,
    pub(crate) name: String,
}

pub(crate) fn gpt_row(number: u32, first: u64, last: u64, name: &str) -> GptRow {
    GptRow {
        number,
        kind: vhd_mbr::partition::GptType::LINUX_FILE_SYSTEM.0,
        guid: Guid::from_u128(u128::from(number) << 64 | 0xabcd),
        first,
        last,
        attributes: 0,
        name: name.to_owned(),
    }
}

/// A GPT to write on a disk of any sector size.
#[derive(Clone, Debug)]
pub(crate) struct GptSpec {
    pub(crate) sector_size: usize,
    pub(crate) sectors: u64,
    pub(crate) entry_count: u32,
    pub(crate) entry_size: u32,
    pub(crate) disk_guid: Guid,
    pub(crate) rows: Vec<GptRow>,
}

impl GptSpec {
    pub(crate) fn new(sector_size: usize, sectors: u64, rows: Vec<GptRow>) -> Self {
        let disk_guid = Guid::from_u128(0x11111111_2222_3333_4444_555555555555);
        Self {
            sector_size,
            sectors,
            entry_count: 16,
            entry_size: 128,
            disk_guid,
            rows,
        }
    }

    pub(crate) fn entry_sectors(&self) -> u64 {
        (self.entry_count as u64 * self.entry_size as u64).div_ceil(self.sector_size as u64)
    }

    pub(crate) fn first_usable(&self) -> u64 {
        2 + self.entry_sectors()
    }

    pub(crate) fn last_usable(&self) -> u64 {
        self.sectors - 2 - self.entry_sectors()
    }

    /// A disk with protective MBR, primary and backup.
    pub(crate) fn disk(&self) -> Vec<u8> {
        let mut disk = vec![0; self.sectors as usize * self.sector_size];
        put_record(
            &mut disk,
            0,
            &[row(0xee, 1, u32::try_from(self.sectors - 1).unwrap_or(u32::MAX))],
        );
        self.put_copies(&mut disk);
        disk
    }

    pub(crate) fn put_copies(&self, disk: &mut [u8]) {
        let last = self.sectors - 1;
        self.put_copy(disk, 1, last, 2);
        self.put_copy(disk, last, 1, last - self.entry_sectors());
    }

    fn put_copy(&self, disk: &mut [u8], sector: u64, other: u64, entries_sector: u64) {
        let mut entries = vec![0; (self.entry_count * self.entry_size) as usize];
        for row in &self.rows {
            let at = ((row.number - 1) * self.entry_size) as usize;
            put(&mut entries, at, row.kind.as_bytes());
            put(&mut entries, at + 16, row.guid.as_bytes());
            put(&mut entries, at + 32, &row.first.to_le_bytes());
            put(&mut entries, at + 40, &row.last.to_le_bytes());
            put(&mut entries, at + 48, &row.attributes.to_le_bytes());
            for (i, unit) in row.name.encode_utf16().enumerate() {
                put(&mut entries, at + 56 + 2 * i, &unit.to_le_bytes());
            }
        }
        put(disk, entries_sector as usize * self.sector_size, &entries);

        let at = sector as usize * self.sector_size;
        put(disk, at, b"EFI PART\0\0\x01\0\x5c\0\0\0");
        for (field, value) in [
            (24, sector),
            (32, other),
            (40, self.first_usable()),
            (48, self.last_usable()),
            (72, entries_sector),
        ] {
            put(disk, at + field, &value.to_le_bytes());
        }
        put(disk, at + 56, self.disk_guid.as_bytes());
        put(disk, at + 80, &self.entry_count.to_le_bytes());
        put(disk, at + 84, &self.entry_size.to_le_bytes());
        put(disk, at + 88, &crc32(&entries).to_le_bytes());
        fix_header(disk, at);
    }
}

/// Writes the right checksum into the header at byte `at`.
pub(crate) fn fix_header(disk: &mut [u8], at: usize) {
    put(disk, at + 16, &[0; 4]);
    let checksum = crc32(&disk[at..at + 92]);
    put(disk, at + 16, &checksum.to_le_bytes());
}

/// Bit by bit, so that it shares nothing with the crate's.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}
