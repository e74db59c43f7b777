//! Bitmaps of changed blocks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::collection::vec;
use proptest::prelude::*;
use vhd_mbr::cbt::{BLOCK, ChangedBlocks, Error};
use vhd_mbr::xen_disk::ReadAt;

#[test]
fn the_highest_bit_is_the_first_block() {
    let changed = ChangedBlocks::from_base64(" gAE=\n").unwrap();
    assert_eq!(changed.as_bytes(), [0x80, 0x01]);
    assert_eq!(changed.is_changed(0), Some(true));
    assert_eq!(changed.is_changed(BLOCK), Some(false));
    assert_eq!(changed.is_changed(15 * BLOCK + 1), Some(true));
    assert_eq!(changed.is_changed(16 * BLOCK), None);
    assert_eq!(changed.reach(), 16 * BLOCK);
    let ranges: Vec<_> = changed.ranges(16 * BLOCK).unwrap().collect();
    assert_eq!(ranges, [0..BLOCK, 15 * BLOCK..16 * BLOCK]);
}

#[test]
fn what_is_behind_the_disk_does_not_count() {
    let changed = ChangedBlocks::from_bytes(vec![0xff, 0xff]);
    let size = 2 * BLOCK + 512;
    let mut ranges = changed.ranges(size).unwrap();
    assert_eq!((ranges.next(), ranges.next()), (Some(0..size), None));
    assert_eq!(changed.changed_bytes(size).unwrap(), size);
    assert_eq!(changed.count(size).unwrap(), 3);
    assert_eq!(changed.ranges(0).unwrap().next(), None);
}

#[test]
fn a_list_that_is_too_short_is_refused() {
    let changed = ChangedBlocks::from_bytes(vec![0xff]);
    assert!(changed.ranges(8 * BLOCK).is_ok());
    let error = changed.ranges(8 * BLOCK + 1).unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooShort {
                reach: 524_288,
                size: 524_289
            }
        ),
        "{error}"
    );
    assert!(changed.only(vec![0; 8 * BLOCK as usize + 1]).is_err());
    assert!(matches!(
        ChangedBlocks::from_base64("a!").unwrap_err(),
        Error::NotBase64(_)
    ));
}

#[test]
fn a_longer_step_reaches_further() {
    let first = ChangedBlocks::from_bytes(vec![0x81]);
    let second = ChangedBlocks::from_bytes(vec![0x01, 0x80]);
    let both = ChangedBlocks::from_bytes(vec![0x81, 0x80]);
    assert_eq!(first.clone().union(&second), both);
    assert_eq!(second.union(&first), both);
    assert_eq!(format!("{both:?}"), "ChangedBlocks(3 of 16)");
}

/// Counts what is read.
struct Counted<'a>(Vec<u8>, &'a std::cell::Cell<u64>);

impl ReadAt for Counted<'_> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        self.1.set(self.1.get() + buf.len() as u64);
        self.0.read_exact_at(offset, buf)
    }

    fn size(&self) -> std::io::Result<u64> {
        self.0.size()
    }
}

#[test]
fn nothing_else_is_read_and_nothing_twice() {
    let read = std::cell::Cell::new(0);
    let disk = Counted(vec![7; 20 * BLOCK as usize], &read);
    let changed = ChangedBlocks::from_bytes(vec![0b0110_0001, 0b1000_0000, 0]);
    let delta = changed.only(&disk).unwrap();
    let (mut at, mut bytes) = (0, Vec::new());
    while let Some(data) = delta.next_data(at).unwrap() {
        bytes.resize((data.end - data.start) as usize, 0);
        delta.read_exact_at(data.start, &mut bytes).unwrap();
        assert!(bytes.iter().all(|&byte| byte == 7));
        at = data.end;
    }
    assert_eq!(read.get(), 4 * BLOCK);
}

proptest! {
    #[test]
    fn ranges_are_the_bits(bits in vec(any::<u8>(), 0..40), cut in 0..8 * BLOCK) {
        let changed = ChangedBlocks::from_base64(&STANDARD.encode(&bits)).unwrap();
        let size = changed.reach().saturating_sub(cut);
        let ranges: Vec<_> = changed.ranges(size).unwrap().collect();
        for pair in ranges.windows(2) {
            prop_assert!(pair[0].end < pair[1].start);
        }
        for block in 0..size.div_ceil(BLOCK) {
            let expected = bits[(block / 8) as usize] & 0x80 >> (block % 8) != 0;
            let at = block * BLOCK;
            let end = (at + BLOCK).min(size);
            let inside = ranges.iter().any(|range| range.start <= at && end <= range.end);
            prop_assert_eq!(inside, expected);
            prop_assert_eq!(changed.is_changed(at), Some(expected));
        }
        prop_assert!(ranges.iter().all(|range| range.end <= size));
    }
}
