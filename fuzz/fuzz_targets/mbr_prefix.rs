//! Any beginning of a disk: no panic, no hang, and every partition can be counted in bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vhd_mbr::PartitionTable;

fuzz_target!(|input: (Option<u64>, &[u8])| {
    let (disk_size, first_bytes) = input;
    let options = PartitionTable::options();
    let options = disk_size.map_or(options, |size| options.disk_size(size));
    if let Ok(table) = options.read(first_bytes) {
        for partition in table.partitions() {
            assert_eq!(partition.start.checked_add(partition.len), Some(partition.end()));
        }
        let _ = table.to_string();
    }
});
