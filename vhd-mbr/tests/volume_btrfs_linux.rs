//! A btrfs volume as Linux wrote it: compressed, cloned, preallocated and logged files, subvolumes and snapshots, which
//! `mkfs.btrfs` does not make. `btrfs_linux/make` made it.
#![cfg(unix)]

mod images;

use std::time::{Duration, UNIX_EPOCH};

use images::{assert_same, read};
use vhd_mbr::layout::{Obstacle, Place};
use vhd_mbr::volume::{BtrfsError, ContentKind, Error, FileKind, Volume};
use xen_disk::ReadAt;

fn image() -> Vec<u8> {
    zstd::decode_all(&include_bytes!("btrfs_linux/linux.img.zst")[..]).unwrap()
}

fn lines(count: usize) -> Vec<u8> {
    let line = |number| format!("line {number:06} of a text that compresses well\n");
    (1..=count).flat_map(|number| line(number).into_bytes()).collect()
}

fn changed() -> Vec<u8> {
    let mut text = lines(4500);
    text[70_000..70_007].copy_from_slice(b"changed");
    text
}

fn filled(size: usize, at: usize, len: usize, byte: u8) -> Vec<u8> {
    let mut bytes = vec![0; size];
    bytes[at..at + len].fill(byte);
    bytes
}

/// All files but those of `many`, and what is in them.
fn expected() -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for compression in ["zlib", "lzo", "zstd"] {
        files.push((format!("{compression}/text"), lines(8000)));
        files.push((format!("{compression}/inline"), lines(30)));
        files.push((format!("{compression}/changed"), changed()));
    }
    let text = lines(2000);
    let mut pieces = text[..8192].to_vec();
    pieces.extend_from_slice(&text[4096..8192]);
    pieces.extend_from_slice(&text[..8192]);
    let plain = [
        ("text", text.clone()),
        ("hard", text),
        ("clone", lines(8000)),
        ("pieces", pieces),
        ("preallocated", filled(1 << 20, 500_000, 100, b'a')),
        ("holes", filled(3_000_000, 1_000_000, 5000, b'b')),
        ("beyond", vec![b'c'; 10]),
        ("nocow", lines(1000)),
        ("n477b0b1b", b"one\n".to_vec()),
        ("n897786cb", b"two\n".to_vec()),
        ("old", Vec::new()),
        ("new", Vec::new()),
    ];
    files.extend(plain.map(|(name, content)| (format!("plain/{name}"), content)));
    files
}

fn names<D: ReadAt>(volume: &Volume<D>, path: &str) -> Vec<String> {
    let entries = volume.list(path).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().name.to_string()).collect();
    names.sort();
    names
}

fn content<D: ReadAt>(volume: &Volume<D>, path: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    volume.content(path).unwrap().copy_to(&mut bytes).unwrap();
    bytes
}

#[test]
fn every_file_reads_as_it_was_written() {
    let volume = Volume::open(image()).unwrap();
    assert_eq!(volume.kind(), ContentKind::Btrfs);
    assert_eq!(volume.label().unwrap().as_deref(), Some("linux"));
    for (path, expected) in expected() {
        assert_eq!(volume.stat(&path).unwrap().size, expected.len() as u64, "{path}");
        assert_same(&content(&volume, &path), &expected, &path);
        let content = volume.content(&path).unwrap();
        let size = expected.len();
        for (at, len) in [(1, 1), (69_999, 10), (131_000, 200), (262_100, 5000), (size, 0)] {
            let range = size.min(at)..size.min(at + len);
            let mut part = vec![1; range.len()];
            content.read_exact_at(range.start as u64, &mut part).unwrap();
            assert_same(&part, &expected[range], &path);
        }
        // Every sector of its own, backwards: what was read before does not count.
        for at in (0..size).step_by(20_011).rev() {
            let range = at..size.min(at + 3);
            let mut part = vec![1; range.len()];
            content.read_exact_at(at as u64, &mut part).unwrap();
            assert_eq!(part, expected[range], "{path}");
        }
    }
    for number in 1..=300 {
        assert_eq!(
            content(&volume, &format!("many/file-{number}")),
            format!("{number}\n").as_bytes()
        );
    }
    assert_eq!(names(&volume, "many").len(), 300);
}

#[test]
fn the_default_subvolume_has_those_below_it() {
    let volume = Volume::open(image()).unwrap();
    let top = ["lzo", "many", "nested", "plain", "snapshot", "zlib", "zstd"];
    assert_eq!(names(&volume, "/"), top);
    assert_eq!(content(&volume, "nested/file"), b"nested\n");
    assert_eq!(volume.stat("nested").unwrap().kind, FileKind::Directory);
    // A snapshot ends where another subvolume begins.
    let taken = top.iter().filter(|name| **name != "snapshot");
    assert!(names(&volume, "snapshot").iter().eq(taken));
    assert_eq!(names(&volume, "snapshot/nested"), [""; 0]);
    assert_same(&content(&volume, "snapshot/zstd/text"), &lines(8000), "snapshot");
    assert_eq!(content(&volume, "plain/later"), b"later\n");
    assert!(volume.stat("snapshot/plain/later").is_err());
    assert_same(&content(&volume, "snapshot/plain/link"), &lines(2000), "link");
    assert!(volume.stat("outside").is_err());
}

#[test]
fn what_is_only_in_the_log_is_not_seen_but_told() {
    let volume = Volume::open(image()).unwrap();
    assert!(volume.stat("plain/logged").is_err());
    let layout = volume.layout("plain/later").unwrap();
    assert!(layout.obstacles.contains(&Obstacle::JournalNotEmpty), "{layout:?}");
}

#[test]
fn layouts_tell_what_is_compressed_and_what_is_not_written() {
    let image = image();
    let volume = Volume::open(&image).unwrap();
    for (path, expected) in expected() {
        let layout = volume.layout(&path).unwrap();
        assert!(layout.obstacles.contains(&Obstacle::CopyOnWrite), "{path}");
        let is_encoded = layout
            .extents
            .iter()
            .any(|extent| matches!(extent.place, Place::Encoded { .. }));
        let is_compressed = !path.starts_with("plain/") || path == "plain/clone";
        assert_eq!(is_encoded, is_compressed, "{path}: {layout:?}");
        assert_eq!(
            layout.obstacles.contains(&Obstacle::Compressed),
            is_compressed,
            "{path}"
        );
        if !is_encoded {
            assert_same(&read(&&image, &layout), &expected, &path);
        }
    }
    let inline = volume.layout("zstd/inline").unwrap();
    assert!(inline.obstacles.contains(&Obstacle::Inline), "{inline:?}");
    let preallocated = volume.layout("plain/preallocated").unwrap();
    assert!(matches!(preallocated.extents[0].place, Place::Unwritten { .. }));
    let content = volume.content("plain/preallocated").unwrap();
    assert_eq!(content.next_data(0).unwrap(), Some(499_712..503_808));
    assert_eq!(content.next_data(503_808).unwrap(), None);
    let holes = volume.content("plain/holes").unwrap();
    assert_eq!(holes.next_data(0).unwrap(), Some(999_424..1_007_616));
    let beyond = volume.content("plain/beyond").unwrap();
    assert_eq!(beyond.next_data(3).unwrap(), Some(0..10));
    assert_eq!(beyond.next_data(10).unwrap(), None);
}

#[test]
fn times_are_told_to_the_nanosecond() {
    let volume = Volume::open(image()).unwrap();
    let old = volume.stat("plain/old").unwrap();
    assert_eq!(old.modified, Some(UNIX_EPOCH - Duration::from_millis(1500)));
    assert_eq!(old.accessed, old.modified);
    assert!(old.created.unwrap() > UNIX_EPOCH && old.created <= old.changed);
    let new = volume.stat("plain/new").unwrap();
    assert_eq!(
        new.modified,
        Some(UNIX_EPOCH + Duration::new(4_294_967_297, 123_456_789))
    );
    let link = volume.stat("plain/link").unwrap();
    assert_eq!(
        (link.kind, link.target.as_deref()),
        (FileKind::Symlink, Some("../plain/text"))
    );
}

#[test]
fn what_later_versions_need_is_refused_by_name() {
    for (bit, feature) in [
        (12, "zones"),
        (13, "extent tree"),
        (14, "stripes"),
        (40, "later version"),
    ] {
        let mut image = image();
        let superblock = &mut image[65_536..][..4096];
        superblock[188 + bit / 8] |= 1 << (bit % 8);
        let sum = crc32c::crc32c(&superblock[32..]);
        superblock[..4].copy_from_slice(&sum.to_le_bytes());
        let refused = Volume::open(&image).unwrap_err();
        assert!(
            matches!(&refused, Error::Btrfs(BtrfsError::Unsupported { feature: found }) if found.contains(feature)),
            "{refused}"
        );
    }
}

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (self.0 >> 33) as usize % limit
    }
}

/// Damage that checksums do not tell: those of superblock and nodes are right again.
#[test]
fn damage_is_told_and_ends() {
    const NODE: usize = 4096;
    const SUPERBLOCK: usize = 65_536;
    let whole = image();
    let id = &whole[SUPERBLOCK + 32..SUPERBLOCK + 48];
    let is_node = |at: &usize| whole[at + 32..].starts_with(id);
    let nodes: Vec<_> = (SUPERBLOCK..whole.len()).step_by(NODE).filter(is_node).collect();
    let mut numbers = Numbers(1);
    let (mut opened, mut told) = (0, 0);
    for _ in 0..40 {
        let mut image = whole.clone();
        for _ in 0..=numbers.below(8) {
            // The superblock is one of many, and not left out.
            let node = match numbers.below(20) {
                0 => SUPERBLOCK,
                _ => nodes[numbers.below(nodes.len())],
            };
            let used: Vec<_> = (node + 48..node + NODE).filter(|&at| image[at] != 0).collect();
            let at = used[numbers.below(used.len())];
            image[at] = [0, 1, 0x7f, 0x80, 0xff, image[at] ^ 1, image[at].wrapping_add(1)][numbers.below(7)];
            let sum = crc32c::crc32c(&image[node + 32..node + NODE]);
            image[node..node + 4].copy_from_slice(&sum.to_le_bytes());
        }
        let Ok(volume) = Volume::open(&image) else {
            told += 1;
            continue;
        };
        opened += 1;
        told += usize::from(!reads_all(&volume));
    }
    assert!(opened > 10 && told > 10, "{opened} opened, {told} told");
}

/// Whether there is no error in anything that a user can ask of the files of the first two levels.
fn reads_all<D: ReadAt>(volume: &Volume<D>) -> bool {
    let mut is_whole = true;
    let mut directories = vec![String::new()];
    while let Some(directory) = directories.pop() {
        let Ok(entries) = volume.list(&directory) else {
            is_whole = false;
            continue;
        };
        for entry in entries.take(100) {
            let Ok(entry) = entry else {
                is_whole = false;
                continue;
            };
            let path = format!("{directory}/{}", entry.name);
            is_whole &= volume.stat(&path).is_ok();
            match entry.kind {
                FileKind::Directory if directory.is_empty() => directories.push(path),
                FileKind::File => is_whole &= reads(volume, &path).is_ok(),
                _ => {}
            }
        }
    }
    is_whole
}

fn reads<D: ReadAt>(volume: &Volume<D>, path: &str) -> Result<(), Box<dyn std::error::Error>> {
    volume.layout(path)?;
    let content = volume.content(path)?;
    let len = content.len();
    for at in [0, len / 2, len.saturating_sub(5000)] {
        let mut part = vec![0; (len - at).min(5000) as usize];
        content.read_exact_at(at, &mut part)?;
        content.next_data(at)?;
    }
    Ok(())
}
