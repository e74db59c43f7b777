//! MBRs and their logical partitions, made by hand.

mod common;

use common::{DISK_SIGNATURE, active, disk, put, put_mbr, put_record, row};
use vhd_mbr::partition::{Error, MbrType, PartitionType, Unread, Warning};
use vhd_mbr::{PartitionTable, Size};
use xen_disk::ReadAt;

fn numbers(table: &PartitionTable) -> Vec<u32> {
    table.partitions().iter().map(|partition| partition.number).collect()
}

/// Primary 1, extended 2 from sector 100 on with logical 5, 6 and 7.
fn with_logicals() -> Vec<u8> {
    let mut disk = disk(400);
    put_mbr(&mut disk, &[active(0x0e, 10, 50), row(0x0f, 100, 300)]);
    put_record(&mut disk, 100 * 512, &[row(0x07, 10, 40), row(0x05, 100, 100)]);
    put_record(&mut disk, 200 * 512, &[row(0x82, 10, 40), row(0x05, 200, 100)]);
    put_record(&mut disk, 300 * 512, &[row(0x83, 10, 90)]);
    disk
}

#[test]
fn primary_and_logical_partitions_are_listed_in_bytes_and_sectors() {
    let table = PartitionTable::read_disk(&with_logicals()).unwrap();
    let ranges: Vec<_> = table
        .partitions()
        .iter()
        .map(|p| (p.number, p.first_sector, p.sectors))
        .collect();
    assert_eq!(
        ranges,
        [(1, 10, 50), (2, 100, 300), (5, 110, 40), (6, 210, 40), (7, 310, 90)]
    );
    assert!(
        table
            .partitions()
            .iter()
            .all(|p| p.start == p.first_sector * 512 && p.len == p.sectors * 512)
    );
    assert_eq!(table.mbr().disk_signature, DISK_SIGNATURE);
    assert_eq!(
        table.partition(6).unwrap().partition_type(),
        PartitionType::Mbr(MbrType(0x82))
    );
    assert!(table.partition(1).unwrap().is_bootable());
    assert!(table.partition(2).unwrap().is_extended());
    assert!(table.partition(7).unwrap().is_logical());
    assert_eq!(table.mbr().entries[0].chs_start, [1, 2, 3]);
    assert_eq!(table.warnings(), []);
    assert_eq!(table.unread(), []);
    assert!(table.gpt().is_none());
}

#[test]
fn an_entry_offset_leads_to_the_entry() {
    let disk = with_logicals();
    for partition in PartitionTable::read_disk(&disk).unwrap().partitions() {
        let entry = &disk[partition.entry_offset as usize..][..16];
        assert_eq!(entry[4], partition.mbr_entry().unwrap().partition_type.0);
        assert_eq!(entry[12..], partition.mbr_entry().unwrap().sectors.to_le_bytes());
    }
}

#[test]
fn a_partition_is_a_disk_of_its_own() {
    let mut disk = with_logicals();
    put(&mut disk, 210 * 512, b"swap starts here");
    let table = PartitionTable::read_disk(&disk).unwrap();
    let swap = table.partition(6).unwrap().of(&disk);
    let mut text = [0; 16];
    swap.read_exact_at(0, &mut text).unwrap();
    assert_eq!(&text, b"swap starts here");
    assert_eq!(Size(swap.size().unwrap()).to_string(), "20 KiB");
}

#[test]
fn a_prefix_names_the_logical_partitions_it_cannot_see() {
    let disk = with_logicals();
    for (sectors, seen, missing) in [
        (1, vec![1, 2], Some(100)),
        (101, vec![1, 2, 5], Some(200)),
        (301, vec![1, 2, 5, 6, 7], None),
    ] {
        let table = PartitionTable::read(&disk[..sectors * 512]).unwrap();
        assert_eq!(numbers(&table), seen);
        let missing: Vec<_> = missing
            .into_iter()
            .map(|sector| Unread::LogicalPartitions { offset: sector * 512 })
            .collect();
        assert_eq!(table.unread(), missing);
        assert_eq!(table.is_complete(), missing.is_empty());
    }
}

#[test]
fn a_loop_in_the_chain_is_cut() {
    let mut disk = with_logicals();
    put_record(&mut disk, 300 * 512, &[row(0x83, 10, 90), row(0x05, 100, 100)]);
    let table = PartitionTable::read_disk(&disk).unwrap();
    assert_eq!(numbers(&table), [1, 2, 5, 6, 7]);
    assert_eq!(table.warnings(), [Warning::LogicalLoop { offset: 200 * 512 }]);

    put_record(&mut disk, 100 * 512, &[row(0, 0, 0), row(0x05, 0, 100)]);
    let table = PartitionTable::read_disk(&disk).unwrap();
    assert_eq!(numbers(&table), [1, 2]);
    assert_eq!(table.warnings(), [Warning::LogicalLoop { offset: 100 * 512 }]);
}

#[test]
fn an_endless_chain_is_cut() {
    let records = 1100;
    let mut disk = disk(10 + 2 * records);
    put_mbr(&mut disk, &[row(0x05, 10, 2 * records as u32)]);
    for record in 0..records {
        let next = row(0x05, 2 * record as u32 + 2, 2);
        put_record(&mut disk, (10 + 2 * record) * 512, &[row(0x83, 1, 1), next]);
    }
    let table = PartitionTable::read_disk(&disk).unwrap();
    assert_eq!(table.partitions().len(), 1 + 1024);
    assert_eq!(table.warnings(), [Warning::LogicalChainTooLong { most: 1024 }]);
}

#[test]
fn a_chain_that_leads_astray_ends_with_a_warning() {
    let mut disk = with_logicals();
    put(&mut disk, 200 * 512 + 510, &[0, 0]);
    let table = PartitionTable::read_disk(&disk).unwrap();
    assert_eq!(numbers(&table), [1, 2, 5]);
    assert_eq!(table.warnings(), [Warning::LogicalNoSignature { offset: 200 * 512 }]);

    put_record(&mut disk, 100 * 512, &[row(0x07, 10, 40), row(0x05, u32::MAX, 100)]);
    let table = PartitionTable::read_disk(&disk).unwrap();
    assert_eq!(numbers(&table), [1, 2, 5]);
    let offset = (100 + u64::from(u32::MAX)) * 512;
    assert_eq!(table.warnings(), [Warning::LogicalBeyondEnd { offset }]);
}

#[test]
fn a_deleted_logical_partition_takes_no_number() {
    let mut disk = with_logicals();
    put_record(&mut disk, 100 * 512, &[row(0, 0, 0), row(0x05, 100, 100)]);
    let table = PartitionTable::read_disk(&disk).unwrap();
    assert_eq!(numbers(&table), [1, 2, 5, 6]);
    assert_eq!(table.partition(5).unwrap().first_sector, 210);
}

#[test]
fn what_is_odd_is_said() {
    let mut image = disk(100);
    put_record(
        &mut image,
        0,
        &[
            active(0x83, 20, 30),
            active(0x07, 10, 15),
            row(0x83, 0, 5),
            row(0x83, 90, 20),
        ],
    );
    let table = PartitionTable::read_disk(&image).unwrap();
    assert_eq!(
        table.warnings(),
        [
            Warning::BeyondEnd {
                number: 4,
                end: 110 * 512,
                disk_size: 100 * 512
            },
            Warning::Overlap {
                first: 2,
                second: 1,
                len: 5 * 512
            },
            Warning::OutOfOrder { number: 2 },
            Warning::NoDiskSignature,
            Warning::SeveralActive { numbers: vec![1, 2] },
            Warning::OverTable { number: 3 },
        ]
    );

    let mut image = disk(100);
    put_mbr(
        &mut image,
        &[row(0x83, 10, 0), row(0, 20, 30), row(0x05, 50, 20), row(0x0f, 70, 20)],
    );
    put_record(&mut image, 50 * 512, &[row(0x83, 0, 40)]);
    put_record(&mut image, 70 * 512, &[row(0x83, 1, 5)]);
    let table = PartitionTable::read_disk(&image).unwrap();
    assert_eq!(numbers(&table), [1, 3, 4, 5, 6]);
    assert_eq!(
        table.warnings(),
        [
            Warning::LogicalOutside {
                number: 5,
                container: 3
            },
            Warning::OverTable { number: 5 },
            Warning::ZeroLength { number: 1 },
            Warning::Overlap {
                first: 5,
                second: 6,
                len: 5 * 512
            },
            Warning::SeveralExtended { numbers: vec![3, 4] },
            Warning::UnusedWithLength { number: 2 },
        ]
    );
}

#[test]
fn the_end_of_the_disk_counts_only_where_it_is_known() {
    let mut sector = disk(1);
    put_mbr(&mut sector, &[row(0x83, 10, 100)]);
    assert_eq!(PartitionTable::read(&sector).unwrap().warnings(), []);
    let table = PartitionTable::options().disk_size(50 * 512).read(&sector).unwrap();
    assert_eq!(
        table.warnings(),
        [Warning::BeyondEnd {
            number: 1,
            end: 110 * 512,
            disk_size: 50 * 512
        }]
    );
    assert_eq!(table.disk_size(), Some(50 * 512));
}

#[test]
fn the_largest_numbers_stay_exact() {
    let mut sector = disk(1);
    put_mbr(&mut sector, &[row(0x83, u32::MAX, u32::MAX)]);
    let table = PartitionTable::options().sector_size(4096).read(&sector).unwrap();
    let partition = table.partition(1).unwrap();
    assert_eq!(partition.start, u64::from(u32::MAX) * 4096);
    assert_eq!(partition.end(), 2 * u64::from(u32::MAX) * 4096);
    let error = PartitionTable::options().sector_size(1000).read(&sector).unwrap_err();
    assert!(matches!(error, Error::SectorSize(1000)));
}

#[test]
fn an_empty_table_is_a_table() {
    let mut sector = disk(1);
    put_mbr(&mut sector, &[]);
    let table = PartitionTable::read(&sector).unwrap();
    assert_eq!(table.to_string(), "MBR 0x1234abcd\nno partitions\n");
}

#[test]
fn it_prints_as_a_table() {
    let mut disk = with_logicals();
    put(&mut disk, 0, &[0xeb, 0x63, 0x90]);
    put(&mut disk, 0x180, b"GRUB \0Geom\0Hard Disk\0Read\0 Error\r\n\0");
    let table = PartitionTable::options()
        .disk_size(200 * 1024)
        .read(&disk[..200 * 512])
        .unwrap();
    assert_eq!(
        table.to_string(),
        "\
MBR 0x1234abcd, disk of 200 KiB, boot code: GRUB 2
Nr  Boot  Start     Size  Type                Name
 1  *      5120   25 KiB  0e FAT16 (LBA)
 2        51200  150 KiB  0f Extended (LBA)
 5        56320   20 KiB  07 NTFS/exFAT/HPFS
not read: the logical partitions from the extended boot record at byte 102400 on
"
    );
}
