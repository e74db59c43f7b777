//! Random tables are read back as they were written; damaged ones give a table or an error, never a panic or a hang.

mod common;

use std::sync::LazyLock;

use common::{GptRow, GptSpec, MbrRow, active, disk, gpt_row, put, put_mbr, put_record, row};
use proptest::collection::vec;
use proptest::prelude::*;
use vhd_mbr::partition::{Entry, Error};
use vhd_mbr::{Guid, PartitionTable};

fn guid() -> impl Strategy<Value = Guid> {
    any::<u128>().prop_map(Guid::from_u128)
}

fn gpt_rows() -> impl Strategy<Value = Vec<GptRow>> {
    let row = (1..u128::MAX, guid(), 0..60u64, 0..60u64, any::<u64>(), "[^\0]{0,18}");
    vec((any::<bool>(), row), 16).prop_map(|rows| {
        (1..)
            .zip(rows)
            .filter(|(_, (used, _))| *used)
            .map(|(number, (_, (kind, guid, start, len, attributes, name)))| GptRow {
                number,
                kind: Guid::from_u128(kind),
                guid,
                first: 6 + start,
                last: 6 + start + len,
                attributes,
                name,
            })
            .collect()
    })
}

fn mbr_row() -> impl Strategy<Value = MbrRow> {
    let kind = (1..=255u8).prop_filter("neither extended nor protective", |kind| {
        ![5, 15, 0x85, 0xee].contains(kind)
    });
    (any::<bool>(), kind, 1..u32::MAX, 1..u32::MAX).prop_map(|(active, kind, start, sectors)| MbrRow {
        flag: u8::from(active) << 7,
        kind,
        start,
        sectors,
    })
}

/// Changes of single bytes: which of the places that mean something, and the new value.
type Damage = Vec<(u16, u8)>;

fn damage() -> impl Strategy<Value = Damage> {
    vec((any::<u16>(), any::<u8>()), 1..12)
}

/// Changes bytes in `places`, half of them to values that tables are full of.
fn damage_at(disk: &mut [u8], places: &[usize], damage: &Damage) {
    for &(place, value) in damage {
        let usual = [0, 1, 5, 0x80, 0xff][usize::from(value) % 5];
        disk[places[usize::from(place) % places.len()]] = if value < 128 { value } else { usual };
    }
}

/// What must hold of whatever was read.
fn check(result: Result<PartitionTable, Error>) {
    match result {
        Ok(table) => {
            for partition in table.partitions() {
                assert_eq!(partition.start.checked_add(partition.len), Some(partition.end()));
                assert_eq!(partition.len, partition.sectors * u64::from(table.sector_size()));
            }
            assert!(table.partitions().len() <= 4096);
            assert!(!table.to_string().is_empty());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A disk that is there as a whole must read the same in one piece and at random.
fn read_in_every_way(disk: &[u8], cut: usize) {
    let prefix = &disk[..cut.min(disk.len())];
    check(PartitionTable::read(prefix));
    check(PartitionTable::options().disk_size(disk.len() as u64).read(prefix));
    let in_one_piece = PartitionTable::options().disk_size(disk.len() as u64).read(disk);
    let at_random = PartitionTable::read_disk(&disk);
    match (&in_one_piece, &at_random) {
        (Ok(in_one_piece), Ok(at_random)) => assert_eq!(in_one_piece, at_random),
        (Err(in_one_piece), Err(at_random)) => assert_eq!(in_one_piece.to_string(), at_random.to_string()),
        _ => panic!("{in_one_piece:?} and {at_random:?}"),
    }
    check(at_random);
}

static MBR_BASE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut disk = disk(40);
    put_mbr(&mut disk, &[active(0x0e, 1, 5), row(0x0f, 10, 30)]);
    put_record(&mut disk, 10 * 512, &[row(0x07, 1, 4), row(0x05, 10, 10)]);
    put_record(&mut disk, 20 * 512, &[row(0x82, 1, 4), row(0x05, 20, 10)]);
    put_record(&mut disk, 30 * 512, &[row(0x83, 1, 9)]);
    disk
});

static MBR_PLACES: LazyLock<Vec<usize>> = LazyLock::new(|| {
    [0, 10, 20, 30]
        .into_iter()
        .flat_map(|sector| sector * 512 + 440..(sector + 1) * 512)
        .collect()
});

static GPT_BASE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let rows = vec![gpt_row(1, 4, 9, "one"), gpt_row(2, 10, 20, "two")];
    GptSpec {
        entry_count: 4,
        ..GptSpec::new(512, 24, rows)
    }
    .disk()
});

/// Boot flags and types, both headers, both arrays of entries.
static GPT_PLACES: LazyLock<Vec<usize>> = LazyLock::new(|| {
    let ranges = [
        440..512,
        512..512 + 92,
        1024..1536,
        22 * 512..23 * 512,
        23 * 512..23 * 512 + 92,
    ];
    ranges.into_iter().flatten().collect()
});

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn a_gpt_is_read_as_written(rows in gpt_rows(), disk_guid in guid(), large in any::<bool>()) {
        let spec = GptSpec { disk_guid, ..GptSpec::new(if large { 4096 } else { 512 }, 140, rows) };
        let table = PartitionTable::read_disk(&spec.disk()).unwrap();
        prop_assert_eq!(table.gpt().unwrap().disk_guid, disk_guid);
        prop_assert_eq!(table.sector_size() as usize, spec.sector_size);
        let read: Vec<_> = table.partitions().iter().map(|partition| {
            let entry = partition.gpt_entry().unwrap();
            GptRow {
                number: partition.number,
                kind: entry.partition_type.0,
                guid: entry.guid,
                first: entry.first_sector,
                last: entry.last_sector,
                attributes: entry.attributes.0,
                name: entry.name.clone(),
            }
        }).collect();
        prop_assert_eq!(read, spec.rows);
    }

    #[test]
    fn an_mbr_is_read_as_written(rows in vec(mbr_row(), 1..=3), logicals in vec(mbr_row(), 0..12)) {
        let first = 1000;
        let mut disk = disk(first + logicals.len() + 1);
        let mut all = rows.clone();
        all.push(row(0x0f, first as u32, u32::MAX));
        put_mbr(&mut disk, &all);
        for (i, logical) in logicals.iter().enumerate() {
            let mut record = vec![*logical];
            if i + 1 < logicals.len() {
                record.push(row(0x05, i as u32 + 1, 1));
            }
            put_record(&mut disk, (first + i) * 512, &record);
        }
        let table = PartitionTable::read_disk(&disk).unwrap();
        for (i, written) in rows.iter().enumerate() {
            let partition = table.partition(i as u32 + 1).unwrap();
            prop_assert_eq!(partition.first_sector, u64::from(written.start));
            prop_assert_eq!(partition.sectors, u64::from(written.sectors));
            prop_assert_eq!(partition.is_bootable(), written.flag == 0x80);
        }
        for (i, written) in logicals.iter().enumerate() {
            let partition = table.partition(i as u32 + 5).unwrap();
            prop_assert_eq!(partition.first_sector, (first + i) as u64 + u64::from(written.start));
            prop_assert_eq!(partition.mbr_entry().unwrap().partition_type.0, written.kind);
            prop_assert!(matches!(partition.entry, Entry::Logical(_)));
        }
        prop_assert_eq!(table.partitions().len(), rows.len() + 1 + logicals.len());
    }

    #[test]
    fn a_guid_survives_printing(guid in guid()) {
        prop_assert_eq!(guid.to_string().parse::<Guid>().unwrap(), guid);
        prop_assert_eq!(guid.to_string().to_lowercase().parse::<Guid>().unwrap(), guid);
        prop_assert_eq!(Guid::from_u128(guid.to_u128()), guid);
    }

    #[test]
    fn rubbish_is_no_danger(bytes in vec(any::<u8>(), 0..3000), signed in any::<bool>()) {
        let mut bytes = bytes;
        if signed && bytes.len() >= 512 {
            bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
        }
        read_in_every_way(&bytes, bytes.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20_000) })]

    #[test]
    fn a_damaged_mbr_is_no_danger(damage in damage(), cut in 0usize..40 * 512) {
        let mut disk = MBR_BASE.clone();
        damage_at(&mut disk, &MBR_PLACES, &damage);
        read_in_every_way(&disk, cut);
    }

    #[test]
    fn a_damaged_gpt_is_no_danger(damage in damage(), fix in any::<bool>(), cut in 0usize..24 * 512) {
        let mut disk = GPT_BASE.clone();
        let last = 23 * 512;
        damage_at(&mut disk, &GPT_PLACES, &damage);
        if fix {
            // Right checksums let the damage through to the checks behind them.
            for (header, entries) in [(512, 1024), (last, 22 * 512)] {
                let checksum = crc32fast::hash(&disk[entries..entries + 512]);
                put(&mut disk, header + 88, &checksum.to_le_bytes());
                put(&mut disk, header + 16, &[0; 4]);
                let checksum = crc32fast::hash(&disk[header..header + 92]);
                put(&mut disk, header + 16, &checksum.to_le_bytes());
            }
        }
        read_in_every_way(&disk, cut);
    }
}
