//! Hives that Windows had not written out.

use vhd_mbr::registry::{Error, Hive, windows};
use vhd_mbr::xen_disk::ReadAt;

use crate::builder::{hive, sum};
use crate::{all, system};

/// The hash of a log's entries, written a second time.
fn marvin(bytes: &[u8]) -> u64 {
    let (mut p0, mut p1): (u32, u32) = (0x7a4e_55c5, 0x82ef_4d88);
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    while !padded.len().is_multiple_of(4) {
        padded.push(0);
    }
    padded.extend([0; 4]);
    for word in padded.chunks(4) {
        p0 = p0.wrapping_add(u32::from_le_bytes(word.try_into().unwrap()));
        p1 ^= p0;
        p0 = p0.rotate_left(20);
        p0 = p0.wrapping_add(p1);
        p1 = p1.rotate_left(9);
        p1 ^= p0;
        p0 = p0.rotate_left(27);
        p0 = p0.wrapping_add(p1);
        p1 = p1.rotate_left(19);
    }
    u64::from(p1) << 32 | u64::from(p0)
}

fn entry(sequence: u32, hive: &[u8], pages: &[usize]) -> Vec<u8> {
    let mut entry = vec![0; 40];
    entry[..4].copy_from_slice(b"HvLE");
    for (at, word) in [
        (12, sequence),
        (16, (hive.len() - 4096) as u32),
        (20, pages.len() as u32),
    ] {
        entry[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
    for page in pages {
        entry.extend((*page as u32).to_le_bytes());
        entry.extend(512_u32.to_le_bytes());
    }
    for page in pages {
        entry.extend(&hive[4096 + page..4096 + page + 512]);
    }
    entry.resize(entry.len().next_multiple_of(512), 0);
    let length = entry.len() as u32;
    entry[4..8].copy_from_slice(&length.to_le_bytes());
    let hash = marvin(&entry[40..]);
    entry[24..32].copy_from_slice(&hash.to_le_bytes());
    let hash = marvin(&entry[..32]);
    entry[32..40].copy_from_slice(&hash.to_le_bytes());
    entry
}

/// Which sectors two hives differ in, from the first cell on.
fn differing(one: &[u8], other: &[u8]) -> Vec<usize> {
    let sectors = (4096..one.len()).step_by(512);
    let differing = sectors.filter(|&at| one[at..at + 512] != other[at..at + 512]);
    differing.map(|at| at - 4096).collect()
}

fn dirty(mut hive: Vec<u8>) -> Vec<u8> {
    hive[4] += 1;
    sum(&mut hive);
    hive
}

/// The hive before, after one change and after two.
fn states() -> [Vec<u8>; 3] {
    let before = hive(&system(), 5);
    let opened = Hive::open(&before).unwrap();
    let first = crate::changed(&before, &windows::disable_driver(&opened, "xenbus").unwrap());
    let opened = Hive::open(&first).unwrap();
    let value = opened.value("Kinds", "segments").unwrap();
    let second = crate::changed(&first, &value.change(&[1; 50_000]).unwrap());
    [before, first, second]
}

#[test]
fn a_dirty_hive_is_read_with_its_logs_and_never_changed() {
    let [before, first, second] = states();
    let hive = dirty(before.clone());
    let base = &hive[..512];
    let one = [base, &entry(7, &first, &differing(&before, &first))].concat();
    let two = [base, &entry(8, &second, &differing(&first, &second))].concat();
    let both = [&one[..], &entry(8, &second, &differing(&first, &second))].concat();
    let logs = |logs: &[&Vec<u8>]| {
        let logs: Vec<&dyn ReadAt> = logs.iter().map(|log| *log as &dyn ReadAt).collect();
        let opened = Hive::open_with_logs(hive.clone(), &logs).unwrap();
        assert!(opened.is_dirty());
        assert!(matches!(windows::disable_driver(&opened, "xenbus"), Err(Error::Dirty)));
        all(&opened).unwrap()
    };
    let expect = |state: &Vec<u8>| all(&Hive::open(state).unwrap()).unwrap();
    assert!(logs(&[&one]) == expect(&first));
    assert!(logs(&[&both]) == expect(&second));
    assert!(logs(&[&one, &two]) == expect(&second) && logs(&[&two, &one]) == expect(&second));
    assert!(logs(&[]) == expect(&before), "without a log it is as it stands");
    // What is not whole is not taken, and what follows it neither.
    let mut broken = both.clone();
    broken[512 + 100] ^= 1;
    assert!(logs(&[&broken]) == expect(&before));
    let mut broken = both.clone();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    assert!(logs(&[&broken]) == expect(&first));
    // Entries from before the hive was written last are past.
    let old = [base, &entry(3, &second, &differing(&before, &second))].concat();
    assert!(logs(&[&old]) == expect(&before));
}

#[test]
fn a_log_of_the_older_format_is_replayed() {
    let [before, _, after] = states();
    let hive = dirty(before.clone());
    let pages = differing(&before, &after);
    let sectors = (before.len() - 4096) / 512;
    let mut bits = vec![0_u8; sectors.div_ceil(8)];
    for page in &pages {
        bits[page / 512 / 8] |= 1 << (page / 512 % 8);
    }
    let mut log = [&hive[..512], b"DIRT", &bits].concat();
    log.resize(log.len().next_multiple_of(512), 0);
    for page in &pages {
        log.extend(&after[4096 + page..4096 + page + 512]);
    }
    let opened = Hive::open_with_logs(&hive, &[&log]).unwrap();
    assert!(all(&opened).unwrap() == all(&Hive::open(&after).unwrap()).unwrap());
    log.truncate(log.len() - 1);
    let opened = Hive::open_with_logs(&hive, &[&log]).unwrap();
    assert!(all(&opened).unwrap() == all(&Hive::open(&before).unwrap()).unwrap());
}

#[test]
fn a_clean_hive_needs_no_log() {
    let [before, first, _] = states();
    let log = [&before[..512], &entry(7, &first, &differing(&before, &first))].concat();
    let opened = Hive::open_with_logs(&before, &[&log]).unwrap();
    assert!(!opened.is_dirty());
    assert!(all(&opened).unwrap() == all(&Hive::open(&before).unwrap()).unwrap());
    assert!(matches!(Hive::open(&b"PK"[..]), Err(Error::NotHive)));
}
