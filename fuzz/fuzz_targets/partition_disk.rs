//! Any disk: no panic, no hang, and reading it at random gives what reading it as one piece gives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vhd_mbr::PartitionTable;

fuzz_target!(|disk: &[u8]| {
    let at_random = PartitionTable::read_disk(&disk);
    let in_one_piece = PartitionTable::options().disk_size(disk.len() as u64).read(disk);
    match (at_random, in_one_piece) {
        (Ok(at_random), Ok(in_one_piece)) => assert_eq!(at_random, in_one_piece),
        (Err(at_random), Err(in_one_piece)) => assert_eq!(at_random.to_string(), in_one_piece.to_string()),
        (at_random, in_one_piece) => panic!("{at_random:?} and {in_one_piece:?}"),
    }
});
