//! What only Linux writes to btrfs, in images that `images/btrfs.sh` has made; and copies that stand in for damaged ones.

use std::collections::HashSet;

use vhd_mbr::layout::{Obstacle, Place};
use vhd_mbr::volume::{BtrfsError, Error, FileKind, Volume};
use xen_disk::ReadAt;

const NODE: usize = 16 << 10;

fn image() -> Vec<u8> {
    zstd::decode_all(&include_bytes!("images/btrfs.img.zst")[..]).unwrap()
}

fn lines(of: &str, count: u32) -> Vec<u8> {
    (1..=count)
        .flat_map(|line| format!("line {line} of {of}\n").into_bytes())
        .collect()
}

/// A file of 20,000 lines with a change in its middle and a hole at its end.
fn large(of: &str) -> Vec<u8> {
    let mut content = lines(of, 20_000);
    let change = b"changed in the middle";
    content[150_000..][..change.len()].copy_from_slice(change);
    content.resize(1_000_000, 0);
    content
}

fn content<D: ReadAt>(volume: &Volume<D>, path: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let content = volume.content(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    content
        .copy_to(&mut bytes)
        .unwrap_or_else(|error| panic!("{path}: {error}"));
    bytes
}

fn names<D: ReadAt>(volume: &Volume<D>, path: &str) -> Vec<String> {
    let entries = volume.list(path).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().name.to_string()).collect();
    names.sort();
    names
}

#[test]
fn every_compression() {
    let volume = Volume::open(image()).unwrap();
    for kind in ["zlib", "lzo", "zstd"] {
        assert!(content(&volume, kind) == large(kind), "{kind}");
        assert_eq!(content(&volume, &format!("tiny-{kind}")), lines(kind, 50), "{kind}");
        let layout = volume.layout(kind).unwrap();
        let places: Vec<_> = layout.extents.iter().map(|extent| extent.place).collect();
        assert!(
            places.iter().any(|place| matches!(place, Place::Encoded { .. })),
            "{kind}: {places:?}"
        );
        assert_eq!(places.last(), Some(&Place::Hole), "{kind}");
        assert_eq!(layout.obstacles, [Obstacle::CopyOnWrite]);
    }
    assert_eq!(content(&volume, "uncompressed"), lines("plain", 2000));
}

#[test]
fn pieces_from_anywhere() {
    let volume = Volume::open(image()).unwrap();
    let (file, expected) = (volume.content("lzo").unwrap(), large("lzo"));
    for start in (0..expected.len() - 5000).step_by(39_999) {
        let mut piece = vec![0xee; 5000];
        file.read_exact_at(start as u64, &mut piece).unwrap();
        assert!(piece == expected[start..start + 5000], "at {start}");
    }
    let data = file.next_data(0).unwrap().unwrap();
    assert_eq!(data.start, 0);
    assert_eq!(file.next_data(999_000).unwrap(), None, "the end is a hole");
    assert!(file.read_exact_at(999_999, &mut [0; 2]).is_err(), "behind the end");
}

#[test]
fn space_that_is_not_written_is_zero() {
    let volume = Volume::open(image()).unwrap();
    let mut expected = vec![0; 200_000];
    expected[..5].copy_from_slice(b"begun");
    assert!(content(&volume, "unwritten") == expected);
    let layout = volume.layout("unwritten").unwrap();
    assert!(
        layout
            .extents
            .iter()
            .any(|extent| matches!(extent.place, Place::Unwritten { .. }))
    );
    assert_eq!(content(&volume, "unchecked"), lines("unchecked", 1000));
}

#[test]
fn subvolumes_are_directories() {
    let volume = Volume::open(image()).unwrap();
    assert_eq!(content(&volume, "sub/file"), b"later\n");
    assert_eq!(content(&volume, "snapshot/file"), b"in a subvolume\n");
    assert_eq!(content(&volume, "sub/nested/file"), b"in a nested one\n");
    assert_eq!(names(&volume, "snapshot"), ["file", "nested"]);
    assert_eq!(volume.stat("snapshot/nested").unwrap().kind, FileKind::Directory);
    assert!(
        names(&volume, "snapshot/nested").is_empty(),
        "a snapshot does not go into another subvolume"
    );
    assert!(volume.stat("sub/file").unwrap().created.is_some());
    let image = zstd::decode_all(&include_bytes!("images/btrfs-default.img.zst")[..]).unwrap();
    let volume = Volume::open(image).unwrap();
    assert_eq!(names(&volume, "/"), ["file"]);
    assert_eq!(content(&volume, "file"), b"the default\n");
}

#[test]
fn names_with_one_hash() {
    let volume = Volume::open(image()).unwrap();
    assert_eq!(content(&volume, "ccaoacux"), b"first\n");
    assert_eq!(content(&volume, "wcjifoae"), b"second\n");
}

/// The volume keeps two copies of each node, and of its superblock.
#[test]
fn the_copy_is_read_where_the_original_is_damaged() {
    let mut image = image();
    let superblocks = [64 << 10, 64 << 20];
    let fsid = image[65_536 + 32..][..16].to_vec();
    let mut seen = HashSet::new();
    for at in (0..image.len()).step_by(NODE).filter(|at| !superblocks.contains(at)) {
        let node = &mut image[at..at + NODE];
        let address: [u8; 8] = node[0x30..0x38].try_into().unwrap();
        if node[32..48] == fsid && seen.insert(address) {
            node[200] ^= 1;
        }
    }
    assert!(seen.len() > 5, "{} nodes", seen.len());
    image[65_536 + 100] ^= 1;
    let volume = Volume::open(image).unwrap();
    assert!(content(&volume, "zstd") == large("zstd"));
    assert_eq!(content(&volume, "sub/nested/file"), b"in a nested one\n");
}

#[test]
fn damaged_data_is_no_content() {
    let mut image = image();
    let Place::Data { offset } = Volume::open(&image[..])
        .unwrap()
        .layout("uncompressed")
        .unwrap()
        .extents[0]
        .place
    else {
        panic!("it is somewhere else");
    };
    image[offset as usize + 10_000] ^= 1;
    let volume = Volume::open(image).unwrap();
    let file = volume.content("uncompressed").unwrap();
    let mut start = [0; 100];
    file.read_exact_at(0, &mut start).unwrap();
    assert_eq!(start, lines("plain", 100)[..100]);
    let error = file.read_exact_at(9_990, &mut [0; 100]).unwrap_err();
    let error = error.get_ref().and_then(|error| error.downcast_ref::<BtrfsError>());
    let sector = offset + 8192;
    assert!(
        matches!(error, Some(&BtrfsError::Damaged { offset, .. }) if offset == sector),
        "{error:?}"
    );
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    let feature = |change: fn(&mut [u8])| {
        let mut image = image();
        let superblock = &mut image[65_536..65_536 + 4096];
        change(superblock);
        let sum = crc32c::crc32c(&superblock[32..]).to_le_bytes();
        superblock[..4].copy_from_slice(&sum);
        match Volume::open(image).unwrap_err() {
            Error::Btrfs(BtrfsError::Unsupported { feature }) => feature,
            other => panic!("{other}"),
        }
    };
    assert!(feature(|superblock| superblock[0x88] = 2).contains("several disks"));
    assert!(feature(|superblock| superblock[0xc4] = 1).contains("CRC32C"));
    assert!(feature(|superblock| superblock[0xbd] |= 0x20).contains("newer"));
}
