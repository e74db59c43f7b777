//! Registry hives: read whole, with themselves as a log, and changed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vhd_mbr::registry::{Hive, Key, bcd, windows};
use vhd_mbr::xen_disk::ReadAt;

fn walk<S: ReadAt>(key: &Key<'_, S>, left: &mut u32) {
    for value in key.values().into_iter().flatten().flatten() {
        let data = value.data().unwrap_or_default();
        let _ = (value.string(), value.strings(), value.change(&data));
    }
    for within in key.subkeys().into_iter().flatten().flatten() {
        // Hostile hives have a key in many places; what takes time is not what is looked for here.
        if *left > 0 {
            *left -= 1;
            walk(&within, left);
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    for hive in [Hive::open(bytes), Hive::open_with_logs(bytes, &[&bytes])].into_iter().flatten() {
        let _ = (windows::services(&hive), bcd::entries(&hive), bcd::enable_debug(&hive, 1, 9600));
        if let Ok(root) = hive.root() {
            walk(&root, &mut 1000);
        }
    }
});
