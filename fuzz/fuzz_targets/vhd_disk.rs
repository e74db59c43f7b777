//! Any VHD, read at random, checked, repaired and written to: no panic, no hang, no more memory than the file is worth.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vhd_mbr::vhd::{Vhd, check, repair};
use vhd_mbr::xen_disk::{ReadAt, WriteAt};

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    for finding in check(&bytes).expect("memory can be read").findings {
        assert!(!finding.to_string().is_empty());
    }
    if let Ok(disk) = Vhd::open(bytes.as_slice()) {
        drop(disk.parent_paths());
        let disk = disk.with_parent([7; 4096]);
        let size = disk.size().expect("the size is known");
        let mut sector = [0; 512];
        let mut at = 0;
        for _ in 0..100 {
            let Ok(Some(data)) = disk.next_data(at) else { break };
            assert!(data.end > at && data.end <= size);
            if data.start.max(at) + 512 <= size {
                drop(disk.read_exact_at(data.start.max(at), &mut sector));
            }
            at = data.end;
        }
    }
    drop(repair(&mut bytes));
    if let Ok(Ok(mut disk)) = Vhd::open(&mut bytes).map(|disk| disk.with_parent([7; 4096]).allocating()) {
        drop(disk.write_all_at(1000, &[1; 600]));
    }
});
