//! Writing, where it is asked for.

use std::io;

use vhd_mbr::nbd::{Nbd, Options};
use vhd_mbr::xen_disk::{ReadAt, WriteAt};

use crate::reading::connections;
use crate::servers::{Server, have, image, nbdkit, qemu_nbd, whole};

const SIZE: usize = 6 << 20;

/// Writes here and there and compares with a disk in memory.
fn assert_writes(server: &Server, options: &Options) {
    let mut disk = options.clone().writable(true).connect(&server.target("")).unwrap();
    assert!(disk.is_writable());
    let mut expected = vec![0; SIZE];
    disk.read_exact_at(0, &mut expected).unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..40 {
        let start = random.usize(..SIZE);
        let most = if round % 8 == 0 { SIZE } else { 20_000 };
        let length = random.usize(..=(SIZE - start).min(most));
        let mut bytes = vec![0; length];
        if round % 5 == 0 {
            disk.write_zeroes_at(start as u64, length as u64).unwrap();
        } else {
            random.fill(&mut bytes);
            disk.write_all_at(start as u64, &bytes).unwrap();
        }
        expected[start..][..length].copy_from_slice(&bytes);
    }
    disk.write_zeroes_at(1 << 20, 2 << 20).unwrap();
    expected[1 << 20..3 << 20].fill(0);
    disk.flush().unwrap();
    let mut found = Vec::new();
    disk.copy_to(&mut found).unwrap();
    assert!(found == expected);
    drop(disk);

    let disk = Nbd::connect(&server.target("")).unwrap();
    let mut found = vec![1; SIZE];
    disk.read_exact_at(0, &mut found).unwrap();
    assert!(found == expected, "over another connection");
}

#[test]
fn nbdkit_takes_writes() {
    if !have("nbdkit") {
        return;
    }
    for args in [
        &["memory", "6M"][..],
        &["--filter=nozero", "memory", "6M"],
        &["--filter=fua", "memory", "6M", "fuamode=force"],
        &[
            "--no-sr",
            "--filter=multi-conn",
            "memory",
            "6M",
            "multi-conn-mode=disable",
        ],
        &[
            "--filter=blocksize-policy",
            "memory",
            "6M",
            "blocksize-minimum=4096",
            "blocksize-preferred=4096",
            "blocksize-maximum=64K",
            "blocksize-error-policy=error",
        ],
    ] {
        let server = nbdkit(args);
        assert_writes(&server, &Nbd::options().connections(connections(3)));
        assert_writes(&server, &Nbd::options().durable_writes(true));
    }
}

#[test]
fn qemu_nbd_takes_writes() {
    if !have("qemu-nbd") {
        return;
    }
    let image = image(SIZE as u64, &[(0, 1 << 20)]);
    let server = qemu_nbd(&[], image.path());
    assert_writes(&server, &Nbd::options().durable_writes(true));
    let mut found = Vec::new();
    Nbd::connect(&server.target("")).unwrap().copy_to(&mut found).unwrap();
    assert!(found == whole(image.as_file()).unwrap());
}

#[test]
fn holes_are_asked_for_again_after_a_write() {
    if !have("nbdkit") {
        return;
    }
    let server = nbdkit(["memory", "6M"]);
    let mut disk = Nbd::options().writable(true).connect(&server.target("")).unwrap();
    assert_eq!(disk.next_data(0).unwrap(), None);
    disk.write_all_at(1 << 20, &[1; 512]).unwrap();
    let data = disk.next_data(0).unwrap().unwrap();
    assert!(data.contains(&(1 << 20)), "{data:?}");
}

#[test]
fn nothing_is_written_unless_both_sides_want_it() {
    if !have("nbdkit") {
        return;
    }
    let refused = |server: &Server, options: Options, words: &str| {
        let mut disk = options.connect(&server.target("")).unwrap();
        assert!(!disk.is_writable());
        for error in [
            disk.write_all_at(0, &[1; 512]).unwrap_err(),
            disk.write_zeroes_at(0, 512).unwrap_err(),
            disk.flush().unwrap_err(),
        ] {
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            assert!(error.to_string().contains(words), "{error}");
        }
    };
    refused(&nbdkit(["memory", "1M"]), Nbd::options(), "not asked for");
    refused(
        &nbdkit(["-r", "memory", "1M"]),
        Nbd::options().writable(true),
        "does not allow",
    );

    let server = nbdkit(["memory", "1M"]);
    let mut disk = Nbd::options().writable(true).connect(&server.target("")).unwrap();
    let error = disk.write_all_at((1 << 20) - 1, &[1, 2]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WriteZero);
}
