//! Any volume: no panic, no hang, and every layout covers its file.
//!
//! A boot sector that is wrong ends the run at once, so start from a corpus of small volumes: `truncate -s 2M volume` and
//! `mkfs.ntfs -F volume`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vhd_mbr::ntfs::Ntfs;
use vhd_mbr::xen_disk::ReadAt;

fuzz_target!(|disk: &[u8]| {
    let Ok(volume) = Ntfs::open(disk) else { return };
    let _ = (volume.info(), volume.obstacles(), volume.lookup("/some/file"));
    for entry in volume.walk().into_iter().flatten().take(500) {
        let Ok(file) = entry.and_then(|entry| volume.file(entry.entry.reference)) else {
            continue;
        };
        let _ = (file.stat(), file.names(), file.reparse());
        for info in file.streams() {
            let name = info.name.to_string();
            if let Ok(layout) = file.layout_of(&name) {
                assert_eq!(layout.extents.last().map_or(0, |extent| extent.file.end), layout.size);
            }
            if let Ok(stream) = file.stream(&name) {
                let mut start = vec![0; stream.len().min(1 << 16) as usize];
                let _ = stream.read_exact_at(0, &mut start);
                let _ = stream.next_data(stream.len() / 2);
            }
        }
    }
});
