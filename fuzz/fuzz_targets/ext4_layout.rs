//! Any ext2, ext3 or ext4 volume: no panic, no hang, and no file leaves its volume.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vhd_mbr::layout::Place;

fuzz_target!(|volume: &[u8]| {
    for path in ["a", "a/b/c"] {
        let Ok(layout) = vhd_mbr::ext4::layout(&volume, path) else {
            continue;
        };
        let mut at = 0;
        for extent in &layout.extents {
            assert_eq!(extent.file.start, at);
            at = extent.file.end;
            if let Place::Data { offset } | Place::Unwritten { offset } = extent.place {
                assert!(offset + (at - extent.file.start) <= volume.len() as u64);
            }
        }
        assert_eq!(at, layout.size);
    }
});
