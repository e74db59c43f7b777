//! btrfs as `mkfs.btrfs` makes it in all its forms, and what is left of it when bytes are lost.
#![cfg(unix)]

mod images;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use images::{Workplace, assert_same, files, have, noise, read, run};
use vhd_mbr::layout::Obstacle;
use vhd_mbr::patch::{Change, OnDisk, Refused, WritePlan};
use vhd_mbr::volume::{BtrfsError, Error, FileKind, Volume};
use xen_disk::ReadAt;

const SIZE: u64 = 128 << 20;

fn make(work: &Workplace, options: &[&str]) -> String {
    let (image, tree) = (work.image(SIZE), work.tree());
    let rest = ["-q", "-f", "--rootdir", tree.to_str().unwrap(), &image];
    run("mkfs.btrfs", &[options, &rest].concat(), "");
    image
}

fn open(image: &str) -> Volume<File> {
    Volume::open(File::open(image).unwrap()).unwrap()
}

fn content<D: ReadAt>(volume: &Volume<D>, path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    volume.content(path).unwrap().copy_to(&mut bytes)?;
    Ok(bytes)
}

/// Files of many sizes and names, in directories of many sizes.
fn workplace() -> Workplace {
    let work = Workplace::new();
    for size in [0, 1, 2047, 2048, 2049, 4095, 4096, 4097, 1_300_001] {
        work.put(&format!("sizes/{size}"), &noise(size as u64, size));
    }
    work.put_sparse("holes", 3_000_000, &[(1_000_000, b"island"), (2_999_000, b"end")]);
    work.put(&format!("names/{}", "ü".repeat(127)), b"a long name");
    work.put("names/\u{1}\n\"\\ *?", b"an odd name");
    work.put(&format!("{}deepest", "down/".repeat(40)), b"deep");
    work.link("../sizes/4097", "names/link");
    work.link(&format!("{}sizes/1", "./".repeat(1800)), "long");
    let no_flags = rustix::fs::XattrFlags::empty();
    // Older systems keep none in memory.
    let _ = rustix::fs::setxattr(work.tree().join("sizes/1"), "user.text", &[b'x'; 1000], no_flags);
    let time = UNIX_EPOCH + Duration::new(1_500_000_000, 123_456_789);
    let file = File::open(work.tree().join("sizes/2049")).unwrap();
    file.set_times(fs::FileTimes::new().set_modified(time)).unwrap();
    work
}

/// Everything is as it is in the tree, and nothing else is there.
fn compare<D: ReadAt>(volume: &Volume<D>, work: &Workplace) {
    let (mut found, mut directories) = (Vec::new(), vec![String::new()]);
    while let Some(directory) = directories.pop() {
        for entry in volume.list(&directory).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{directory}/{}", entry.name);
            let source = fs::symlink_metadata(work.tree().join(&path[1..])).unwrap();
            let stat = volume.stat(&path).unwrap();
            let modified = UNIX_EPOCH + Duration::new(source.mtime() as u64, source.mtime_nsec() as u32);
            assert_eq!(stat.modified.map(seconds), Some(seconds(modified)), "{path}");
            assert_eq!((entry.kind, entry.size), (stat.kind, stat.size), "{path}");
            match entry.kind {
                FileKind::Directory => directories.push(path),
                FileKind::Symlink => {
                    let target = fs::read_link(work.tree().join(&path[1..])).unwrap();
                    assert_eq!(stat.target.as_deref(), target.to_str(), "{path}");
                }
                _ => found.push(path[1..].to_owned()),
            }
        }
    }
    found.sort();
    assert_eq!(found, files(&work.tree()));
    for path in found {
        let expected = work.content(&path);
        assert_same(&content(volume, &path).unwrap(), &expected, &path);
    }
}

/// As much as `mkfs.btrfs` keeps of a time.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn every_form_reads_as_its_source() {
    if !have(&["mkfs.btrfs"]) {
        return;
    }
    let work = workplace();
    for options in [
        &["-m", "dup", "-d", "dup", "-s", "65536", "--checksum", "xxhash"][..],
        &["-m", "dup", "--checksum", "sha256", "-O", "^skinny-metadata,^extref"],
        &["--mixed", "-n", "4096", "--checksum", "blake2"],
        &["-m", "single", "-d", "single", "-n", "4096", "-O", "^no-holes"],
    ] {
        if options.contains(&"^no-holes") {
            for index in 0..3000 {
                work.put(&format!("many/file-{index:04}"), format!("{index}").as_bytes());
            }
        }
        let image = make(&work, options);
        let volume = open(&image);
        compare(&volume, &work);
        let disk = File::open(&image).unwrap();
        for path in ["holes", "sizes/1300001", "sizes/4097", "sizes/2047", "sizes/0"] {
            let layout = volume.layout(path).unwrap();
            assert_same(&read(&disk, &layout), &work.content(path), path);
            assert!(layout.obstacles.contains(&Obstacle::CopyOnWrite), "{layout:?}");
        }
    }
}

#[test]
fn the_volume_reads_as_btrfs_restore_reads_it() {
    if !have(&["btrfs"]) {
        return;
    }
    let work = Workplace::new();
    let image = work.path("image");
    let bytes = zstd::decode_all(&include_bytes!("btrfs_linux/linux.img.zst")[..]).unwrap();
    fs::write(&image, bytes).unwrap();
    let tree = work.tree();
    run(
        "btrfs",
        &["restore", "-s", "-S", "-m", &image, tree.to_str().unwrap()],
        "",
    );
    // The tool starts above the default subvolume, and leaves out what is not written.
    fs::rename(tree.join("@"), work.path("default")).unwrap();
    fs::remove_dir_all(&tree).unwrap();
    fs::rename(work.path("default"), &tree).unwrap();
    let volume = open(&image);
    let paths = files(&tree);
    assert!(paths.len() > 600, "{}", paths.len());
    // Linux shows an empty directory there: the subvolume is none of the snapshot's.
    for path in paths.into_iter().filter(|path| path != "snapshot/nested/file") {
        assert_same(&content(&volume, &path).unwrap(), &work.content(&path), &path);
    }
}

#[test]
fn several_devices_are_refused_by_name() {
    if !have(&["mkfs.btrfs"]) {
        return;
    }
    let work = Workplace::new();
    let (one, other) = (work.image(SIZE), work.path("other"));
    File::create(&other).unwrap().set_len(SIZE).unwrap();
    run(
        "mkfs.btrfs",
        &["-q", "-f", "-m", "raid1", "-d", "raid1", &one, &other],
        "",
    );
    let refused = Volume::open(File::open(&one).unwrap()).unwrap_err();
    assert!(
        matches!(&refused, Error::Btrfs(BtrfsError::Unsupported { feature }) if feature.contains("other devices")),
        "{refused}"
    );
}

#[test]
fn copies_are_read_where_the_first_is_lost() {
    if !have(&["mkfs.btrfs"]) {
        return;
    }
    let work = Workplace::new();
    let text = noise(5, 300_000);
    work.put("folder/file", &text);
    let image = make(&work, &["-m", "dup", "-d", "dup"]);
    let disk = File::options().read(true).write(true).open(&image).unwrap();
    let spoil = |at: u64| {
        let mut byte = [0];
        FileExt::read_exact_at(&disk, &mut byte, at).unwrap();
        disk.write_all_at(&[!byte[0]], at).unwrap();
    };
    let layout = open(&image).layout("folder/file").unwrap();
    let data = layout.on_volume(0..300_000).unwrap()[0].clone();

    // The label of the first superblock, then the first copy of every node, then of a sector of the file.
    spoil(65_536 + 300);
    compare(&open(&image), &work);
    for place in nodes(&image) {
        spoil(place + 100);
    }
    spoil(data.start + 100_000);
    compare(&open(&image), &work);

    // The second copy of a sector.
    let copies = places_of(&image, &text[204_800..208_896]);
    assert_eq!(copies.len(), 2);
    for copy in copies {
        spoil(copy);
    }
    let volume = open(&image);
    let damaged = content(&volume, "folder/file").unwrap_err();
    assert_eq!(damaged.kind(), io::ErrorKind::InvalidData);
    assert!(damaged.to_string().contains("checksum of a file's data"), "{damaged}");
    let file = volume.content("folder/file").unwrap();
    let mut behind = vec![0; 1000];
    file.read_exact_at(208_896, &mut behind).unwrap();
    assert_eq!(behind, text[208_896..209_896], "what is whole is still read");

    // And the other superblock.
    spoil((64 << 20) + 300);
    let lost = Volume::open(File::open(&image).unwrap()).unwrap_err();
    assert!(
        lost.to_string().contains("byte 65536: the checksum of the superblock"),
        "{lost}"
    );
}

/// Where these bytes are on the image.
fn places_of(image: &str, bytes: &[u8]) -> Vec<u64> {
    let image = fs::read(image).unwrap();
    let sectors = (0..image.len()).step_by(4096);
    let found = sectors.filter(|&at| image[at..].starts_with(bytes));
    found.map(|at| at as u64).collect()
}

/// The first one of all nodes that say to be at the same address.
fn nodes(image: &str) -> Vec<u64> {
    let image = fs::read(image).unwrap();
    let mut seen = std::collections::HashSet::new();
    let id = &image[(64 << 20) + 32..][..16];
    let nodes = (0..image.len())
        .step_by(16_384)
        .filter(|at| image[at + 32..].starts_with(id));
    nodes
        .filter(|at| !image[at + 64..].starts_with(b"_BHRfS_M") && seen.insert(image[at + 48..at + 56].to_vec()))
        .map(|at| at as u64)
        .collect()
}

#[test]
fn files_are_never_changed_in_place() {
    if !have(&["mkfs.btrfs"]) {
        return;
    }
    let work = Workplace::new();
    work.put("file", &noise(1, 10_000));
    let image = make(&work, &[]);
    let disk = File::open(&image).unwrap();
    let layout = open(&image).layout("file").unwrap();
    let whole = OnDisk::from(0..SIZE);
    let change = Change::write(0, "other");
    let refused = WritePlan::for_file(&disk, &whole, &layout, &[change]).unwrap_err();
    assert!(matches!(refused, Refused::Obstacles(_)), "{refused}");
    assert!(
        refused.to_string().contains("the file system keeps checksums of data"),
        "{refused}"
    );
}
