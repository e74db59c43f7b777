//! Content and holes, as real servers give them.

use std::io;
use std::num::NonZeroUsize;
use std::process::Command;
use std::thread;
use std::time::Duration;

use vhd_mbr::PartitionTable;
use vhd_mbr::cbt::{BLOCK, ChangedBlocks};
use vhd_mbr::nbd::{self, Error, Nbd};
use vhd_mbr::xen_disk::ReadAt;

use crate::servers::{have, image, nbd_server, nbdkit, qemu_nbd, whole};

const MIB: u64 = 1 << 20;

pub(crate) fn connections(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

fn stretches() -> Vec<(u64, usize)> {
    vec![(0, 5000), (3 * MIB, 9 << 20), (20 * MIB, 4096), (31 * MIB, 1 << 20)]
}

fn data_of(disk: &impl ReadAt) -> Vec<std::ops::Range<u64>> {
    let mut found: Vec<std::ops::Range<u64>> = Vec::new();
    let mut at = 0;
    while let Some(data) = disk.next_data(at).unwrap() {
        at = data.end;
        match found.last_mut() {
            Some(last) if last.end == data.start => last.end = data.end,
            _ => found.push(data),
        }
    }
    found
}

/// Every way of reading gives the image's bytes.
pub(crate) fn assert_reads(disk: &Nbd, expected: &[u8]) {
    assert_eq!(disk.size().unwrap(), expected.len() as u64);
    let mut at_once = vec![1; expected.len()];
    disk.read_exact_at(0, &mut at_once).unwrap();
    assert!(at_once == expected, "one large read");

    let mut copied = Vec::new();
    assert_eq!(disk.copy_to(&mut copied).unwrap(), expected.len() as u64);
    assert!(copied == expected, "a copy");

    thread::scope(|scope| {
        for seed in 0..4 {
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..15 {
                    let start = random.usize(..expected.len());
                    let length = random.usize(..=(expected.len() - start).min(300_000));
                    let mut buf = vec![1; length];
                    disk.read_exact_at(start as u64, &mut buf).unwrap();
                    assert!(buf == expected[start..][..length], "{length} bytes at {start}");
                }
            });
        }
    });
    let error = disk.read_exact_at(expected.len() as u64 - 1, &mut [0; 2]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn nbdkit_gives_content_and_holes() {
    if !have("nbdkit") {
        return;
    }
    let image = image(32 * MIB, &stretches());
    let server = nbdkit(["file", image.path().to_str().unwrap()]);
    let disk = Nbd::connect(&server.target("")).unwrap();
    assert!(disk.knows_holes());
    assert!(!disk.is_writable());
    assert_reads(&disk, &whole(image.as_file()).unwrap());
    assert_eq!(data_of(&disk), data_of(image.as_file()));
}

#[test]
fn qemu_nbd_gives_content_and_holes() {
    if !have("qemu-nbd") {
        return;
    }
    let image = image(32 * MIB, &stretches());
    let server = qemu_nbd(&["--read-only", "--export-name=a disk"], image.path());
    let target = server.target("a disk");
    let disk = Nbd::options().connections(connections(3)).connect(&target).unwrap();
    assert_reads(&disk, &whole(image.as_file()).unwrap());
    assert_eq!(data_of(&disk), data_of(image.as_file()));

    let names = nbd::list(&target).unwrap();
    assert_eq!(names.iter().map(|name| name.expose()).collect::<Vec<_>>(), ["a disk"]);
    let info = nbd::info(&target).unwrap();
    assert_eq!(
        (info.size(), info.blocks()),
        (disk.export().size(), disk.export().blocks())
    );
    assert!(info.is_read_only());
    let error = nbd::info(&server.target("another")).unwrap_err().to_string();
    assert!(
        error.starts_with("the NBD server does not give the export another: it has no such export"),
        "{error}"
    );
}

#[test]
fn nbd_server_gives_content() {
    if !have("nbd-server") {
        return;
    }
    let image = image(8 * MIB, &[(0, 5000), (3 * MIB, 1 << 20)]);
    let server = nbd_server(image.path());
    let mut tries = 0;
    let disk = loop {
        match Nbd::options()
            .connections(connections(1))
            .connect(&server.target("disk"))
        {
            Err(Error::Connect { .. }) if tries < 1000 => tries += 1,
            outcome => break outcome.unwrap(),
        }
        thread::sleep(Duration::from_millis(10));
    };
    assert_reads(&disk, &whole(image.as_file()).unwrap());
}

#[test]
fn holes_are_where_nbdinfo_finds_them() {
    if !have("nbdkit") || !have("nbdinfo") {
        return;
    }
    let server = nbdkit([
        "data",
        "@65536 1 @0x100000 2*40000 @0x7fffff 3 @0x40000000 4",
        "size=3G",
    ]);
    let disk = Nbd::connect(&server.target("")).unwrap();
    let uri = format!("nbd+unix:///?socket={}", server.target("").address());
    let output = Command::new("nbdinfo")
        .args(["--map", "--json", &uri])
        .output()
        .unwrap();
    let map: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut expected: Vec<std::ops::Range<u64>> = Vec::new();
    for extent in map.as_array().unwrap() {
        let number = |field: &str| extent[field].as_u64().unwrap();
        if number("type") & 2 == 0 {
            let (start, end) = (number("offset"), number("offset") + number("length"));
            match expected.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => expected.push(start..end),
            }
        }
    }
    assert!(expected.len() > 2);
    assert_eq!(data_of(&disk), expected);
}

#[test]
fn servers_that_can_do_less_are_read_as_well() {
    if !have("nbdkit") {
        return;
    }
    let image = image(12 * MIB, &stretches()[..2]);
    let file = image.path().to_str().unwrap();
    let expected = whole(image.as_file()).unwrap();
    for (args, holes) in [
        (&["--no-sr"][..], false),
        (&["--filter=noextents"], true),
        (&["--filter=nozero"], true),
        (&["--filter=nocache", "--filter=noparallel"], true),
    ] {
        let server = nbdkit(args.iter().copied().chain(["file", file]));
        let disk = Nbd::connect(&server.target("")).unwrap();
        assert_eq!(disk.knows_holes(), holes, "{args:?}");
        assert_reads(&disk, &expected);
    }
    let server = nbdkit(["file", file]);
    let disk = Nbd::options().holes(false).connect(&server.target("")).unwrap();
    assert_eq!(disk.next_data(5).unwrap(), Some(5..12 * MIB));
}

#[test]
fn blocks_are_what_the_server_wants() {
    if !have("nbdkit") {
        return;
    }
    let image = image(12 * MIB + 4096, &stretches()[..2]);
    let server = nbdkit([
        "--filter=blocksize-policy",
        "file",
        image.path().to_str().unwrap(),
        "blocksize-minimum=4096",
        "blocksize-preferred=64K",
        "blocksize-maximum=128K",
        "blocksize-error-policy=error",
    ]);
    let disk = Nbd::connect(&server.target("")).unwrap();
    let blocks = disk.export().blocks();
    assert_eq!((blocks.minimum, blocks.maximum), (4096, 128 << 10));
    assert_reads(&disk, &whole(image.as_file()).unwrap());
}

#[test]
fn a_server_with_one_connection_to_give_is_enough() {
    if !have("nbdkit") {
        return;
    }
    let image = image(12 * MIB, &stretches()[..2]);
    let server = nbdkit(["--filter=limit", "file", image.path().to_str().unwrap(), "limit=1"]);
    let disk = Nbd::options()
        .connections(connections(4))
        .connect(&server.target(""))
        .unwrap();
    assert_reads(&disk, &whole(image.as_file()).unwrap());
}

#[test]
fn parts_are_read_in_the_order_they_are_asked_for() {
    if !have("nbdkit") {
        return;
    }
    let image = image(32 * MIB, &stretches());
    let expected = whole(image.as_file()).unwrap();
    let server = nbdkit(["file", image.path().to_str().unwrap()]);
    let disk = Nbd::options().request_size(70_000).connect(&server.target("")).unwrap();
    let ranges = [31 * MIB + 3..32 * MIB - 1, 4 * MIB + 1..4 * MIB + 2, 6 * MIB..7 * MIB];
    let mut seen = Vec::new();
    let each = |offset: u64, bytes: &[u8]| {
        // The caller can read meanwhile.
        let mut again = vec![0; bytes.len()];
        disk.read_exact_at(offset, &mut again)?;
        assert_eq!(again, bytes);
        seen.extend_from_slice(bytes);
        Ok(())
    };
    disk.read_ranges(ranges.clone(), each).unwrap();
    let wanted: Vec<u8> = ranges
        .iter()
        .flat_map(|range| &expected[range.start as usize..range.end as usize])
        .copied()
        .collect();
    assert!(seen == wanted);

    let mut calls = 0;
    let stopped = disk.read_ahead(|_, _| {
        calls += 1;
        Err(io::Error::other("enough"))
    });
    assert_eq!(stopped.unwrap_err().to_string(), "enough");
    assert_eq!(calls, 1);
    let beyond = std::iter::once(0..32 * MIB + 1);
    assert!(disk.read_ranges(beyond, |_, _| Ok(())).is_err());
}

#[test]
fn only_changed_blocks_are_read() {
    if !have("nbdkit") {
        return;
    }
    let image = image(2 * MIB, &[(0, 2 << 20)]);
    let server = nbdkit(["file", image.path().to_str().unwrap()]);
    let disk = Nbd::connect(&server.target("")).unwrap();
    let changed = ChangedBlocks::from_bytes(vec![0x40, 0, 0, 0x01]);
    let delta = changed.only(&disk).unwrap();
    assert_eq!(data_of(&delta), [BLOCK..2 * BLOCK, 31 * BLOCK..32 * BLOCK]);
    let expected = whole(image.as_file()).unwrap();
    let mut bytes = vec![1; expected.len()];
    delta.read_exact_at(0, &mut bytes).unwrap();
    for (block, (bytes, expected)) in bytes
        .chunks(BLOCK as usize)
        .zip(expected.chunks(BLOCK as usize))
        .enumerate()
    {
        match block {
            1 | 31 => assert_eq!(bytes, expected),
            _ => assert!(bytes.iter().all(|&byte| byte == 0)),
        }
    }
}

#[test]
fn a_partition_table_is_read_through_it() {
    if !have("nbdkit") {
        return;
    }
    let image = image(8 * MIB, &[]);
    std::os::unix::fs::FileExt::write_all_at(
        image.as_file(),
        &[
            &[0x80, 0, 0, 0, 0x0e, 0, 0, 0, 0, 8, 0, 0, 0, 0x10, 0, 0][..],
            &[0; 48],
            &[0x55, 0xaa],
        ]
        .concat(),
        446,
    )
    .unwrap();
    let server = nbdkit(["file", image.path().to_str().unwrap()]);
    let disk = Nbd::connect(&server.target("")).unwrap();
    let table = PartitionTable::read_disk(&disk).unwrap();
    assert_eq!(table.partitions()[0].start, MIB);
}
