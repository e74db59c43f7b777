//! Any bytes at all.

use proptest::prelude::*;
use vhd_mbr::registry::{Hive, bcd, windows};

use crate::all;
use crate::builder::{Key, hive, text};

fn small() -> Vec<u8> {
    let key = Key::new("a")
        .value("", 1, text("x"))
        .value("long", 3, vec![1; 20_000])
        .key(Key::new("b").value("n", 4, [1, 0, 0, 0]));
    hive(
        &Key::new("ROOT")
            .key(key)
            .key(Key::new("Select").value("Current", 4, [1, 0, 0, 0])),
        5,
    )
}

fn look(bytes: &Vec<u8>) {
    let _ = Hive::open_with_logs(bytes, &[bytes]);
    if let Ok(hive) = Hive::open(bytes) {
        let _ = all(&hive);
        let _ = windows::services(&hive);
        let _ = bcd::entries(&hive);
        if let Ok(value) = hive.value("a", "long") {
            let _ = value.change(&[0; 20_000]);
        }
    }
}

#[test]
fn every_single_word_may_be_wrong() {
    let good = small();
    for at in (0..good.len()).step_by(2) {
        if good[at..(at + 2).min(good.len())]
            .iter()
            .all(|&byte| byte == 0 || byte == 1)
            && at % 16 != 0
        {
            continue;
        }
        for word in [0, 0xffff, 0x8000, 32] {
            let mut bytes = good.clone();
            bytes[at..at + 2].copy_from_slice(&u16::to_le_bytes(word));
            look(&bytes);
        }
    }
}

#[test]
fn a_key_within_itself_is_refused() {
    let good = small();
    let opened = Hive::open(&good).unwrap();
    let root = u32::from_le_bytes(good[36..40].try_into().unwrap());
    // Wherever a list of keys names one, name the root instead.
    for at in (4096..good.len() - 4).step_by(4) {
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(&root.to_le_bytes());
        look(&bytes);
    }
    assert!(all(&opened).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn any_bytes_are_answered(places in proptest::collection::vec((0_usize..30_000, any::<u8>()), 1..40)) {
        let mut bytes = small();
        let length = bytes.len();
        for (place, byte) in places {
            bytes[place % length] = byte;
        }
        look(&bytes);
    }
}

/// A guest can say anything of its own registry.
#[test]
fn lengths_that_nothing_has_take_no_memory() {
    let mut hive = small();
    let huge = 0xffff_f000_u32;
    let root = 4096 + u32::from_le_bytes(hive[36..40].try_into().unwrap()) as usize;
    // The hive is dirty; its log, of the older format, says that it is of almost four gigabytes.
    hive[4] = hive[4].wrapping_add(1);
    let mut head = hive[..512].to_vec();
    head[40..44].copy_from_slice(&huge.to_le_bytes());
    let sum = head[..508]
        .chunks_exact(4)
        .fold(0, |sum, word| sum ^ u32::from_le_bytes(word.try_into().unwrap()));
    head[508..512].copy_from_slice(&sum.to_le_bytes());
    let log = [&head[..], b"DIRT", &[0; 508], &[0; 1 << 20]].concat();
    // The root key says that it has 400 million values.
    hive[root + 4 + 36..root + 4 + 40].copy_from_slice(&400_000_000_u32.to_le_bytes());
    for opened in [Hive::open(&hive), Hive::open_with_logs(&hive, &[&log])] {
        let value = opened.and_then(|opened| opened.value("", "Start").map(drop));
        assert!(value.is_err());
    }
}
