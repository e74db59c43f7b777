//! Any volume or physical volume of LVM2: no panic, no hang, and no file is longer than it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vhd_mbr::volume::lvm::VolumeGroup;
use vhd_mbr::volume::{Contents, Volume};
use vhd_mbr::xen_disk::ReadAt;

fuzz_target!(|disk: &[u8]| {
    let _ = Contents::detect(&disk);
    for group in VolumeGroup::find([&disk]).into_iter().flatten() {
        for info in group.logical_volumes() {
            if let Ok(logical) = group.open(&info.name) {
                let _ = logical.on_disk(0..logical.len().min(1 << 20));
                read_files(&logical);
            }
        }
    }
    read_files(&disk);
});

fn read_files(disk: &dyn ReadAt) {
    let Ok(volume) = Volume::open(disk) else {
        return;
    };
    let Ok(entries) = volume.list("/") else {
        return;
    };
    for entry in entries.take(100).flatten() {
        let path = [b"/", entry.name.as_bytes()].concat();
        let _ = volume.stat(&path);
        let _ = volume.layout(&path);
        let _ = volume.list(&path).map(|entries| entries.take(100).count());
        if let Ok(content) = volume.content(&path) {
            let mut piece = vec![0; content.len().min(100_000) as usize];
            let _ = content.read_exact_at(content.len() - piece.len() as u64, &mut piece);
        }
    }
}
