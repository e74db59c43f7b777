//! A disk is read anywhere while its archive is still coming in.

mod common;

use std::io::{Cursor, ErrorKind, Read};

use common::{Builder, Trickle, UNIT, ova, sparse};
use xva::{Error, ReadAt, Reader, StreamedDisk};

fn archive() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (one, two) = (sparse(30, 0, &[0, 1, 2, 10, 11, 29]), sparse(5, 7, &[1]));
    let bytes = Builder::xapi()
        .entry("ova.xml", ova(&[("Ref:1", one.len()), ("Ref:2", two.len())]).as_bytes())
        .disk("Ref:1", &one)
        .disk("Ref:2", &two)
        .end();
    (bytes, one, two)
}

fn check(disk: &impl ReadAt, raw: &[u8], start: usize, len: usize) {
    let mut bytes = vec![0xee; len];
    disk.read_exact_at(start as u64, &mut bytes).unwrap();
    assert!(bytes == raw[start..start + len], "{start}");
}

#[test]
fn reads_pull_the_archive_only_as_far_as_they_need() {
    let (bytes, one, _) = archive();
    let disk = StreamedDisk::open(Reader::new(&bytes[..]), None, Cursor::new(Vec::new())).unwrap();
    assert_eq!(disk.id(), "Ref:1");
    let begun = disk.bytes_read();
    check(&disk, &one, 100, 512);
    assert!(disk.bytes_read() - begun < 2 * UNIT as u64 + 2048);
    assert_eq!(disk.spooled(), UNIT as u64);
    check(&disk, &one, 10 * UNIT - 5, 10);
    let middle = disk.bytes_read();
    assert!(middle + 4 * (UNIT as u64 + 1536) < bytes.len() as u64);
    // What has passed is there again; nothing more is read for it.
    check(&disk, &one, 0, 10 * UNIT);
    assert_eq!(disk.bytes_read(), middle);
    check(&disk, &one, 0, one.len());
    assert_eq!(disk.spooled(), 6 * UNIT as u64, "holes are not spooled");
    assert_eq!(disk.size().unwrap(), one.len() as u64);
    let error = disk.read_exact_at(one.len() as u64, &mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn a_later_disk_of_a_compressed_archive_is_read_too() {
    let (bytes, _, two) = archive();
    let mut gzip = flate2::read::GzEncoder::new(&bytes[..], flate2::Compression::fast());
    let mut compressed = Vec::new();
    gzip.read_to_end(&mut compressed).unwrap();
    let source = Trickle {
        rest: &compressed,
        limit: 100,
    };
    let disk = StreamedDisk::open(Reader::new(source), Some("Ref:2"), tempfile::tempfile().unwrap()).unwrap();
    check(&disk, &two, 3 * UNIT, two.len() - 3 * UNIT);
    check(&disk, &two, 0, two.len());
    assert_eq!(disk.ova().unwrap().vms().len(), 1);
}

#[test]
fn limits_and_failures_leave_what_came_before() {
    let (bytes, one, _) = archive();
    let disk = StreamedDisk::open(Reader::new(&bytes[..]), None, Cursor::new(Vec::new())).unwrap();
    let disk = disk.spool_limit(4 * UNIT as u64);
    check(&disk, &one, 10 * UNIT, UNIT);
    let error = disk.read(11 * UNIT as u64, &mut [0]).unwrap_err();
    assert!(matches!(error, Error::SpoolFull { .. }), "{error}");
    let again = disk.read(12 * UNIT as u64, &mut [0]).unwrap_err();
    assert!(
        matches!(again, Error::AlreadyFailed),
        "zeros there would be made up: {again}"
    );
    check(&disk, &one, 0, 11 * UNIT);

    let cut = &bytes[..bytes.len() / 3];
    let disk = StreamedDisk::open(Reader::new(cut), None, Cursor::new(Vec::new())).unwrap();
    check(&disk, &one, UNIT, 100);
    let error = disk.read(29 * UNIT as u64, &mut [0]).unwrap_err();
    assert!(matches!(error, Error::Truncated { .. }), "{error}");
    check(&disk, &one, 0, 2 * UNIT);

    let mut damaged = bytes.clone();
    let block = damaged
        .windows(UNIT)
        .position(|bytes| bytes == &one[UNIT..2 * UNIT])
        .unwrap();
    damaged[block] ^= 1;
    let disk = StreamedDisk::open(Reader::new(&damaged[..]), None, Cursor::new(Vec::new())).unwrap();
    check(&disk, &one, 0, UNIT);
    for _ in 0..2 {
        assert!(disk.read(UNIT as u64, &mut [0]).is_err());
    }

    let error = StreamedDisk::open(Reader::new(&bytes[..]), Some("Ref:9"), Cursor::new(Vec::new())).unwrap_err();
    assert_eq!(error.to_string(), "the archive has no disk Ref:9, only Ref:1, Ref:2");
}
