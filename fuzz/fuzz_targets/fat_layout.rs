//! Any FAT volume: no panic, no hang, no file leaves its volume, and what is put on it can be read from it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vhd_mbr::layout::Place;
use vhd_mbr::patch::put_on_fat;

fuzz_target!(|volume: &[u8]| {
    if let Ok(layout) = vhd_mbr::fat::layout(&volume, "A") {
        for extent in &layout.extents {
            let Place::Data { offset } = extent.place else {
                panic!("{extent:?}");
            };
            assert!(offset + (extent.file.end - extent.file.start) <= volume.len() as u64);
        }
    }
    if let Ok(plan) = put_on_fat(&volume, 0..volume.len() as u64, "A", &[7; 2000]) {
        let mut changed = volume.to_vec();
        plan.apply(&mut changed).expect("a disk in memory");
        let layout = vhd_mbr::fat::layout(&changed, "A").expect("the file is there");
        assert_eq!(layout.size, 2000);
    }
});
