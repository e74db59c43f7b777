//! Random disks come back as they were written; damaged files give a disk or an error, never a panic or a hang.

use std::io::Cursor;
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use vhd_mbr::vhd::{Parent, Vhd, VhdStream, Writer, apply, changed_ranges, check, copy_to_raw, repair};
use vhd_mbr::xen_disk::{ReadAt, WriteAt};

const SIZE: usize = 5 << 20;

fn file(writer: Writer<&Vec<u8>>) -> Vec<u8> {
    let mut file = Vec::new();
    writer.plan().unwrap().write_to(&mut file).unwrap();
    file
}

/// Stretches of a disk, each with the byte that fills it.
fn stretches() -> impl Strategy<Value = Vec<(usize, usize, u8)>> {
    vec((0..SIZE, prop_oneof![1..600usize, 1..SIZE], 0..3u8), 0..8)
}

fn fill(disk: &mut [u8], stretches: &[(usize, usize, u8)]) {
    for &(start, len, byte) in stretches {
        let end = (start + len).min(disk.len());
        disk[start..end].fill(byte);
    }
}

fn raw(disk: &impl ReadAt) -> Vec<u8> {
    let mut image = Cursor::new(Vec::new());
    copy_to_raw(disk, &mut image).unwrap();
    image.into_inner()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]

    #[test]
    fn disks_and_differences_come_back(before in stretches(), changes in stretches()) {
        let mut base = vec![0; SIZE];
        fill(&mut base, &before);
        let mut disk = base.clone();
        fill(&mut disk, &changes);
        let base_vhd = Vhd::open(file(Writer::dynamic(&base))).unwrap();
        prop_assert!(raw(&base_vhd) == base);

        let changed = changed_ranges(&disk, &base_vhd, 512).unwrap();
        let delta = file(Writer::differencing(&disk, Parent::vhd(base_vhd.footer()), changed.clone()));
        let mut applied = base.clone();
        let bytes: u64 = changed.iter().map(|range| range.end - range.start).sum();
        prop_assert_eq!(apply(&Vhd::open(&delta).unwrap(), &mut applied).unwrap(), bytes);
        prop_assert!(applied == disk);
        let chain = Vhd::open(&delta).unwrap().with_parent_vhd(base_vhd).unwrap();
        prop_assert!(raw(&chain) == disk);
    }

    #[test]
    fn writes_come_back(before in stretches(), changes in stretches()) {
        let mut disk = vec![0; SIZE];
        fill(&mut disk, &before);
        let mut written = file(Writer::dynamic(&disk));
        let mut opened = Vhd::open(&mut written).unwrap().allocating().unwrap();
        for &(start, len, byte) in &changes {
            let len = len.min(SIZE - start);
            opened.write_all_at(start as u64, &vec![byte; len]).unwrap();
        }
        fill(&mut disk, &changes);
        prop_assert!(raw(&opened) == disk);
        prop_assert!(raw(&Vhd::open(&written).unwrap()) == disk);
        prop_assert_eq!(check(&written).unwrap().findings, []);
    }
}

/// The tables of a small difference, small enough to be damaged often.
static BASE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let disk = vec![5; 3 << 20];
    file(Writer::differencing(
        &disk,
        Parent::raw().path("base.raw"),
        Some(700..9000),
    ))
});

/// Where the tables are, the bitmap and the footer at the end.
static PLACES: LazyLock<Vec<usize>> = LazyLock::new(|| (0..3584).chain(BASE.len() - 512..BASE.len()).collect());

fn sum(bytes: &[u8], at: usize) -> [u8; 4] {
    let own = bytes[at..at + 4].iter();
    let sum = |bytes: &mut dyn Iterator<Item = &u8>| bytes.fold(0_u32, |sum, &byte| sum.wrapping_add(byte.into()));
    (!(sum(&mut bytes.iter()) - sum(&mut own.into_iter()))).to_be_bytes()
}

fn survive(bytes: &mut Vec<u8>) {
    let before = bytes.len();
    let report = check(bytes).unwrap();
    for finding in &report.findings {
        assert!(!finding.to_string().is_empty());
    }
    if let Ok(mut stream) = VhdStream::open(bytes.as_slice()) {
        for _ in 0..100 {
            match stream.next_run() {
                Ok(Some(run)) => assert!(run.data.len() <= before),
                Ok(None) => break,
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    break;
                }
            }
        }
    }
    if let Ok(disk) = Vhd::open(bytes.as_slice()) {
        let size = disk.size().unwrap();
        drop(disk.parent_paths());
        let disk = disk.with_parent(vec![3; 1 << 20]);
        let mut buffer = vec![0; 4096];
        for at in [0, 600, 2 << 20, size / 2, size.saturating_sub(4096)] {
            if at + 4096 <= size {
                drop(disk.read_exact_at(at, &mut buffer));
            }
        }
        let mut at = 0;
        for _ in 0..100 {
            let Ok(Some(data)) = disk.next_data(at) else { break };
            assert!(data.end > at && data.end <= size);
            at = data.end;
        }
    }
    drop(repair(bytes));
    if let Ok(Ok(mut disk)) = Vhd::open(bytes).map(|disk| disk.with_parent(vec![3; 1 << 20]).allocating()) {
        drop(disk.write_all_at(700, &[1; 600]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn damaged_files_are_no_danger(
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        fix in any::<bool>(),
        cut in prop_oneof![Just(0), 0usize..4000],
    ) {
        let mut bytes = BASE.clone();
        for (place, value) in damage {
            let usual = [0, 1, 0x7f, 0x80, 0xff][usize::from(value) % 5];
            bytes[PLACES[place.index(PLACES.len())]] = if value < 128 { value } else { usual };
        }
        if fix {
            // Right checksums let the damage through to the checks behind them.
            let end = bytes.len() - 512;
            for (start, len, at) in [(0, 512, 64), (512, 1024, 36), (end, 512, 64)] {
                let checksum = sum(&bytes[start..start + len], at);
                bytes[start + at..start + at + 4].copy_from_slice(&checksum);
            }
        }
        bytes.truncate(bytes.len() - cut);
        survive(&mut bytes);
    }

    #[test]
    fn rubbish_is_no_danger(mut bytes in vec(any::<u8>(), 0..3000)) {
        survive(&mut bytes);
    }
}
