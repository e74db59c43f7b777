//! GUID partition tables, made by hand.

mod common;

use common::{GptRow, GptSpec, fix_header, gpt_row, put, put_mbr, put_record, row};
use vhd_mbr::partition::{Error, GptCopy, GptProblem, GptType, Unread, Warning};
use vhd_mbr::{Guid, PartitionTable};

fn spec() -> GptSpec {
    GptSpec::new(
        512,
        128,
        vec![gpt_row(1, 10, 19, "EFI System"), gpt_row(3, 20, 99, "Wurzel 🌳")],
    )
}

fn last_header(disk: &[u8]) -> usize {
    disk.len() - 512
}

fn problem(warning: &Warning) -> GptProblem {
    match warning {
        Warning::PrimaryGptDamaged { problem, .. } | Warning::BackupGptDamaged { problem } => *problem,
        other => panic!("{other}"),
    }
}

#[test]
fn every_field_is_read() {
    let mut spec = spec();
    spec.rows[0].kind = GptType::EFI_SYSTEM.0;
    spec.rows[0].attributes = 1 << 63 | 1 << 2;
    let disk = spec.disk();
    let table = PartitionTable::read_disk(&disk).unwrap();
    let gpt = table.gpt().unwrap();
    assert_eq!(
        (gpt.copy, gpt.disk_guid, gpt.revision),
        (GptCopy::Primary, spec.disk_guid, 0x10000)
    );
    assert_eq!(
        (gpt.first_usable_sector, gpt.last_usable_sector, gpt.other_sector),
        (6, 122, 127)
    );
    let [efi, root] = table.partitions() else {
        panic!("{table}")
    };
    assert_eq!((efi.number, efi.start, efi.len, efi.sectors), (1, 5120, 5120, 10));
    assert_eq!((efi.name(), efi.guid()), (Some("EFI System"), Some(spec.rows[0].guid)));
    assert!(efi.is_bootable() && efi.gpt_entry().unwrap().attributes.no_drive_letter());
    assert_eq!((root.number, root.name()), (3, Some("Wurzel 🌳")));
    assert_eq!(disk[root.entry_offset as usize..][..16], *spec.rows[1].kind.as_bytes());
    assert_eq!(table.warnings(), []);
    assert_eq!(table.unread(), []);
    assert_eq!(
        table.to_string(),
        "\
GPT 11111111-2222-3333-4444-555555555555, disk of 64 KiB
Nr  Boot  Start    Size  Type              Name
 1  *      5120   5 KiB  EFI system        EFI System
 3        10240  40 KiB  Linux filesystem  Wurzel 🌳
"
    );
}

#[test]
fn a_prefix_is_enough_for_the_partitions() {
    let disk = spec().disk();
    let table = PartitionTable::read(&disk[..6 * 512]).unwrap();
    assert_eq!(table.partitions().len(), 2);
    assert_eq!(
        table.unread(),
        [Unread::BackupGpt {
            offset: Some(127 * 512)
        }]
    );
    assert!(table.is_complete());

    let table = PartitionTable::read(&disk[..2 * 512 + 300]).unwrap();
    assert_eq!(table.partitions().len(), 1);
    assert_eq!(
        table.unread()[0],
        Unread::GptEntries {
            offset: 2 * 512 + 256,
            len: 16 * 128 - 256
        }
    );
    assert!(!table.is_complete());

    let table = PartitionTable::read(&disk[..512]).unwrap();
    assert_eq!(table.unread(), [Unread::GptHeader { offset: 512 }]);
    assert!(!table.is_complete() && table.gpt().is_none());

    assert_eq!(
        PartitionTable::options()
            .disk_size(128 * 512)
            .read(&disk)
            .unwrap()
            .unread(),
        []
    );
}

#[test]
fn sectors_of_4096_bytes_are_found_out() {
    let spec = GptSpec::new(4096, 32, vec![gpt_row(1, 6, 9, "four")]);
    let disk = spec.disk();
    let table = PartitionTable::read_disk(&disk).unwrap();
    assert_eq!(table.sector_size(), 4096);
    let partition = table.partition(1).unwrap();
    assert_eq!((partition.start, partition.len), (6 * 4096, 4 * 4096));
    assert_eq!(table.warnings(), []);

    let mut damaged = disk;
    put(&mut damaged, 4096, &[0; 512]);
    let table = PartitionTable::read_disk(&damaged).unwrap();
    assert_eq!(
        (table.sector_size(), table.gpt().unwrap().copy),
        (4096, GptCopy::Backup)
    );
}

#[test]
fn entries_may_be_larger_than_usual() {
    let spec = GptSpec {
        entry_size: 256,
        entry_count: 9,
        ..spec()
    };
    let table = PartitionTable::read_disk(&spec.disk()).unwrap();
    assert_eq!(table.partitions().len(), 2);
    assert_eq!(table.partition(3).unwrap().entry_offset, 1024 + 512);
}

#[test]
fn the_backup_steps_in_for_a_damaged_primary() {
    for (at, what) in [
        (512, "no GPT header"),
        (512 + 60, "CRC32"),
        (1024 + 60, "the entries at byte 1024"),
    ] {
        let mut disk = spec().disk();
        disk[at] ^= 1;
        let table = PartitionTable::read_disk(&disk).unwrap();
        assert_eq!(table.gpt().unwrap().copy, GptCopy::Backup);
        assert_eq!(table.partitions().len(), 2);
        let [warning @ Warning::PrimaryGptDamaged { backup_used: true, .. }] = table.warnings() else {
            panic!("{table}")
        };
        assert!(warning.to_string().contains(what), "{warning}");
    }
}

#[test]
fn a_damaged_backup_is_told() {
    let mut disk = spec().disk();
    let at = last_header(&disk);
    disk[at + 60] ^= 1;
    let table = PartitionTable::read_disk(&disk).unwrap();
    assert_eq!(table.gpt().unwrap().copy, GptCopy::Primary);
    assert!(matches!(problem(&table.warnings()[0]), GptProblem::HeaderChecksum { offset, .. } if offset == at as u64));
}

#[test]
fn wrong_checksums_in_both_copies_still_show_the_primary() {
    let mut disk = spec().disk();
    let at = last_header(&disk);
    disk[at] = 0;
    disk[1024 + 60] ^= 1;
    let table = PartitionTable::read_disk(&disk).unwrap();
    assert_eq!(table.partitions().len(), 2);
    assert!(matches!(
        table.warnings(),
        [
            Warning::PrimaryGptDamaged {
                problem: GptProblem::EntriesChecksum { offset: 1024, .. },
                backup_used: false
            },
            Warning::BackupGptDamaged {
                problem: GptProblem::NoSignature { .. }
            },
        ]
    ));
    let prefix = PartitionTable::read(&disk[..8192]).unwrap();
    assert_eq!(prefix.unread(), [Unread::BackupGpt { offset: None }]);
}

#[test]
fn two_damaged_copies_are_an_error_that_says_where() {
    let mut disk = spec().disk();
    let at = last_header(&disk);
    disk[512] = 0;
    disk[at] = 0;
    let error = PartitionTable::read_disk(&disk).unwrap_err();
    let Error::DamagedGpt { primary, backup } = &error else {
        panic!("{error}")
    };
    assert_eq!(*primary, GptProblem::NoSignature { offset: 512 });
    assert_eq!(*backup, Some(GptProblem::NoSignature { offset: at as u64 }));

    let error = PartitionTable::read(&disk[..8192]).unwrap_err();
    assert!(error.to_string().ends_with("has not been read"), "{error}");
}

#[test]
fn impossible_headers_are_named() {
    type Expect = fn(&GptProblem) -> bool;
    let cases: [(usize, &[u8], Expect); 8] = [
        (12, &[91, 0, 0, 0], |p| {
            matches!(p, GptProblem::HeaderSize { size: 91, .. })
        }),
        (12, &[255; 4], |p| {
            matches!(p, GptProblem::HeaderSize { size: u32::MAX, .. })
        }),
        (24, &[2], |p| {
            matches!(
                p,
                GptProblem::Misplaced {
                    says: 2,
                    expected: 1,
                    ..
                }
            )
        }),
        (84, &[96], |p| matches!(p, GptProblem::EntrySize { size: 96, .. })),
        (80, &[255; 4], |p| {
            matches!(
                p,
                GptProblem::EntryCount {
                    count: u32::MAX,
                    most: 32768,
                    ..
                }
            )
        }),
        (80, &[0; 4], |p| matches!(p, GptProblem::EntryCount { count: 0, .. })),
        (72, &[1], |p| matches!(p, GptProblem::EntriesPosition { sector: 1, .. })),
        (72, &[255; 8], |p| matches!(p, GptProblem::BeyondEnd { .. })),
    ];
    for (field, bytes, expected) in cases {
        let mut disk = spec().disk();
        put(&mut disk, 512 + field, bytes);
        fix_header(&mut disk, 512);
        let table = PartitionTable::read_disk(&disk).unwrap();
        let problem = problem(&table.warnings()[0]);
        assert!(expected(&problem), "{problem}");
        assert_eq!(table.gpt().unwrap().copy, GptCopy::Backup);
    }
}

#[test]
fn a_resized_disk_is_noticed() {
    let mut disk = spec().disk();
    disk.extend_from_slice(&[0; 512]);
    let table = PartitionTable::read_disk(&disk).unwrap();
    assert_eq!(
        table.warnings(),
        [Warning::BackupGptNotAtEnd {
            sector: 127,
            last_sector: 128
        }]
    );

    disk.truncate(100 * 512);
    let table = PartitionTable::read_disk(&disk).unwrap();
    assert_eq!(
        table.warnings(),
        [
            Warning::BackupGptNotAtEnd {
                sector: 127,
                last_sector: 99
            },
            Warning::BackupGptDamaged {
                problem: GptProblem::BeyondEnd { offset: 127 * 512 }
            },
        ]
    );
}

#[test]
fn a_backup_inside_the_table_is_no_backup() {
    for sector in [0u64, 1] {
        let mut disk = spec().disk();
        put(&mut disk, 512 + 32, &sector.to_le_bytes());
        fix_header(&mut disk, 512);
        let table = PartitionTable::read_disk(&disk).unwrap();
        let expected = GptProblem::BackupPosition { offset: 512, sector };
        assert!(
            table
                .warnings()
                .contains(&Warning::BackupGptDamaged { problem: expected }),
            "{table}"
        );
    }
}

#[test]
fn copies_that_differ_are_noticed() {
    let mut disk = spec().disk();
    let other = GptSpec {
        rows: vec![gpt_row(1, 10, 30, "other")],
        ..spec()
    };
    let other_disk = other.disk();
    disk[64 * 512..].copy_from_slice(&other_disk[64 * 512..]);
    let table = PartitionTable::read_disk(&disk).unwrap();
    assert_eq!(table.warnings(), [Warning::GptCopiesDiffer]);
    assert_eq!(table.partitions().len(), 2);
}

#[test]
fn a_hybrid_mbr_is_noticed() {
    let mut disk = spec().disk();
    put_record(&mut disk, 0, &[row(0x0c, 10, 10), row(0xee, 1, 9), row(0x83, 20, 80)]);
    let table = PartitionTable::read_disk(&disk).unwrap();
    assert_eq!(table.warnings(), [Warning::HybridMbr { entries: vec![1, 3] }]);
    assert_eq!(table.partition(3).unwrap().name(), Some("Wurzel 🌳"));
    assert_eq!(table.mbr().entries[2].start, 20);
}

#[test]
fn the_remains_of_a_gpt_do_not_hide_an_mbr() {
    let mut disk = spec().disk();
    put_mbr(&mut disk, &[row(0x83, 10, 20)]);
    let table = PartitionTable::read_disk(&disk).unwrap();
    assert!(table.gpt().is_none());
    assert_eq!(table.warnings(), [Warning::IgnoredGpt { offset: 512 }]);
}

#[test]
fn a_gpt_behind_a_blank_sector_is_read() {
    let mut disk = spec().disk();
    put(&mut disk, 0, &[0; 512]);
    let table = PartitionTable::read_disk(&disk).unwrap();
    assert_eq!(table.partitions().len(), 2);
    assert_eq!(table.warnings(), [Warning::NoProtectiveMbr]);
}

#[test]
fn what_is_odd_about_the_partitions_is_said() {
    let twin = GptRow {
        guid: gpt_row(1, 0, 0, "").guid,
        ..gpt_row(4, 3, 4, "")
    };
    let spec = GptSpec::new(
        512,
        128,
        vec![
            gpt_row(1, 10, 19, ""),
            gpt_row(2, 15, 130, ""),
            gpt_row(3, 20, 18, ""),
            twin,
            gpt_row(5, 0, u64::MAX, ""),
            gpt_row(6, 1, u64::MAX / 512 + 7, ""),
            gpt_row(7, 100, 99, ""),
        ],
    );
    let table = PartitionTable::read_disk(&spec.disk()).unwrap();
    assert_eq!(
        table.warnings(),
        [
            Warning::ImpossibleRange {
                number: 3,
                first_sector: 20,
                last_sector: 18
            },
            Warning::ImpossibleRange {
                number: 5,
                first_sector: 0,
                last_sector: u64::MAX
            },
            Warning::ImpossibleRange {
                number: 6,
                first_sector: 1,
                last_sector: u64::MAX / 512 + 7
            },
            Warning::OutsideUsable { number: 2 },
            Warning::OverTable { number: 4 },
            Warning::OutsideUsable { number: 4 },
            Warning::SameGuid { first: 1, second: 4 },
            Warning::BeyondEnd {
                number: 2,
                end: 131 * 512,
                disk_size: 128 * 512
            },
            Warning::ZeroLength { number: 7 },
            Warning::Overlap {
                first: 1,
                second: 2,
                len: 5 * 512
            },
            Warning::OutOfOrder { number: 4 },
        ]
    );
}

#[test]
fn a_name_cannot_steer_the_terminal() {
    let spec = GptSpec::new(512, 128, vec![gpt_row(1, 10, 19, "\u{1b}[2Jboo\n")]);
    let text = PartitionTable::read_disk(&spec.disk()).unwrap().to_string();
    assert!(text.contains(r"\u{1b}[2Jboo\n"), "{text}");
}

#[test]
fn a_name_that_is_no_text_is_shown_as_far_as_it_is() {
    let mut disk = spec().disk();
    put(&mut disk, 1024 + 56, &[0x41, 0, 0x00, 0xd8, 0x42, 0, 0, 0]);
    let table = PartitionTable::read(&disk[..4096]).unwrap();
    assert_eq!(table.partition(1).unwrap().name(), Some("A\u{fffd}B"));
}

#[test]
fn types_and_guids_keep_their_bytes() {
    let own = Guid::from_u128(0xdeadbeef_0000_1111_2222_333344445555);
    let spec = GptSpec::new(
        512,
        128,
        vec![GptRow {
            kind: own,
            ..gpt_row(1, 10, 19, "")
        }],
    );
    let table = PartitionTable::read_disk(&spec.disk()).unwrap();
    assert_eq!(
        table.partition(1).unwrap().partition_type().to_string(),
        "DEADBEEF-0000-1111-2222-333344445555"
    );
}
