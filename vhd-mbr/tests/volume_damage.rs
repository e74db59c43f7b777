//! Damaged volumes of every kind: no panic, no hang, and whatever can still be read comes to an end.
#![cfg(unix)]

mod images;

use std::fs::{self, File};
use std::io;
use std::sync::OnceLock;

use images::{Workplace, have, noise, run, tool};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use vhd_mbr::volume::{FileKind, Volume};
use xen_disk::ReadAt;

/// An image in which some bytes are others.
struct Changed<'a> {
    image: &'a Image,
    changes: Vec<(u64, u8)>,
}

struct Image {
    file: File,
    /// The bytes that are worth being changed.
    places: Vec<u64>,
    /// Where blocks with a checksum are, as btrfs has it, and how long they are.
    blocks: Vec<(u64, usize)>,
}

impl ReadAt for Changed<'_> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.image.file.read_exact_at(offset, buf)?;
        for &(at, byte) in &self.changes {
            if let Some(index) = at.checked_sub(offset).filter(|&index| index < buf.len() as u64) {
                buf[index as usize] = byte;
            }
        }
        for &(at, len) in &self.image.blocks {
            // Such a block is always read as a whole.
            if at == offset
                && len == buf.len()
                && self
                    .changes
                    .iter()
                    .any(|(place, _)| (at..at + len as u64).contains(place))
            {
                let sum = crc32c(&buf[32..]).to_le_bytes();
                buf[..4].copy_from_slice(&sum);
            }
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        self.image.file.size()
    }
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 }
        })
    })
}

/// Everything a user can ask of a volume, within bounds.
fn use_all(disk: &Changed<'_>) {
    let Ok(volume) = Volume::open(disk) else { return };
    let _ = volume.label();
    let mut directories = vec![(String::new(), 0)];
    let mut seen = 0;
    while let Some((directory, depth)) = directories.pop() {
        let Ok(entries) = volume.list(&directory) else { continue };
        for entry in entries.take(300).flatten() {
            seen += 1;
            if seen > 400 {
                return;
            }
            let path = format!("{directory}/{}", entry.name);
            let _ = volume.stat(&path);
            let _ = volume.layout(&path);
            if let Ok(content) = volume.content(&path) {
                let len = content.len();
                for at in [0, len / 2, len.saturating_sub(5000)] {
                    let _ = content.read_exact_at(at, &mut vec![0; (len - at).min(5000) as usize]);
                }
            }
            if entry.kind == FileKind::Directory && depth < 4 {
                directories.push((path, depth + 1));
            }
        }
    }
}

fn workplace() -> Workplace {
    let work = Workplace::new();
    work.put("tiny", b"tiny");
    work.put("etc/fstab", &noise(2, 1000));
    work.put("text", "compresses well\n".repeat(20_000).as_bytes());
    work.put_sparse(
        "holes",
        900_000,
        &[(300_000, b"island"), (500_000, &noise(4, 70_000)), (899_000, b"end")],
    );
    for index in 0..40 {
        work.put(&format!("many/file-{index:03}"), format!("{index}").as_bytes());
    }
    work
}

/// Reads an image made in a folder; changes are worth it where there is something, in the first part of it.
fn image(path: &str, first: usize) -> Image {
    let bytes = fs::read(path).unwrap();
    let used = bytes.iter().take(first).enumerate().filter(|(_, byte)| **byte != 0);
    Image {
        places: used.map(|(at, _)| at as u64).collect(),
        file: File::open(path).unwrap(),
        blocks: Vec::new(),
    }
}

fn cases(name: &'static str, tools: &[&str], make: impl FnOnce(&Workplace) -> Image, cases: u32) {
    if !have(tools) {
        return;
    }
    let work = workplace();
    let image = make(&work);
    use_all(&Changed {
        image: &image,
        changes: Vec::new(),
    });
    let byte = prop_oneof![any::<u8>(), Just(0), Just(1), Just(0xff), Just(0x80)];
    let changes = vec((any::<Index>(), byte), 1..12);
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    };
    proptest!(config, |(changes in changes)| {
        let changes = changes.into_iter().map(|(place, byte)| (image.places[place.index(image.places.len())], byte));
        let changes = changes.collect();
        use_all(&Changed { image: &image, changes });
    });
    println!("{name}: {cases} cases");
}

#[test]
fn ext() {
    let make = |work: &Workplace| {
        let (path, tree) = (work.image(2 << 20), work.tree());
        run(
            "mke2fs",
            &[
                "-q",
                "-F",
                "-t",
                "ext4",
                "-O",
                "inline_data",
                "-d",
                tree.to_str().unwrap(),
                &path,
            ],
            "",
        );
        image(&path, 400_000)
    };
    cases("ext4", &["mke2fs"], make, 100);
}

#[test]
fn xfs() {
    let make = |work: &Workplace| {
        let (path, prototype) = (work.image(24 << 20), work.path("prototype"));
        let tree = work.tree();
        let many: String = (0..40)
            .map(|index| format!("f{index} ---644 0 0 /dev/null\n"))
            .collect();
        let text = format!(
            "/none\n0 0\nd--755 0 0\ntext ---644 0 0 {}\nmany d--755 0 0\n{many}$\n$\n",
            tree.join("text").display()
        );
        fs::write(&prototype, text).unwrap();
        let mut command = tool("mkfs.xfs");
        command
            .env("TEST_DIR", "1")
            .env("TEST_DEV", "1")
            .env("QA_CHECK_FS", "1");
        let made = command.args(["-q", "-f", "-p", &prototype, &path]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        image(&path, 600_000)
    };
    cases("xfs", &["mkfs.xfs"], make, 100);
}

#[test]
fn fat() {
    let make = |work: &Workplace| {
        let path = work.image(3 << 20);
        run("mkfs.fat", &["-F", "12", &path], "");
        for name in ["many", "text", "etc", "tiny"] {
            let source = work.tree().join(name);
            run("mcopy", &["-s", "-i", &path, source.to_str().unwrap(), "::"], "");
        }
        image(&path, 30_000)
    };
    cases("fat", &["mkfs.fat", "mcopy"], make, 100);
}

#[test]
fn iso() {
    let make = |work: &Workplace| {
        work.link("/etc/fstab", "link");
        work.put(&"x".repeat(240), b"a long name");
        work.put(&format!("{}deepest", "down/".repeat(10)), b"deep");
        let (path, tree) = (work.path("image.iso"), work.tree());
        run(
            "genisoimage",
            &["-quiet", "-R", "-J", "-o", &path, tree.to_str().unwrap()],
            "",
        );
        let mut image = image(&path, 150_000);
        image.places.retain(|&at| at >= 32_768);
        image
    };
    cases("iso", &["genisoimage"], make, 100);
}

#[test]
fn ntfs() {
    let make = |work: &Workplace| {
        let path = work.image(4 << 20);
        run("mkfs.ntfs", &["-q", "-F", "-f", &path], "");
        let text = work.tree().join("text");
        run("ntfscp", &["-q", "-f", &path, text.to_str().unwrap(), "text"], "");
        image(&path, 200_000)
    };
    cases("ntfs", &["mkfs.ntfs", "ntfscp"], make, 50);
}

#[test]
fn btrfs() {
    let make = |work: &Workplace| {
        let (path, tree) = (work.image(128 << 20), work.tree());
        run(
            "mkfs.btrfs",
            &["-q", "-f", "-m", "single", "--rootdir", tree.to_str().unwrap(), &path],
            "",
        );
        let file = File::open(&path).unwrap();
        let mut superblock = vec![0; 4096];
        file.read_exact_at(65_536, &mut superblock).unwrap();
        let (mut blocks, mut places) = (vec![(65_536, 4096)], Vec::new());
        let mut block = vec![0; 16_384];
        for at in (0..file.size().unwrap()).step_by(16_384) {
            file.read_exact_at(at, &mut block).unwrap();
            let is_node = block[32..48] == superblock[32..48] && at != 65_536;
            if is_node {
                blocks.push((at, block.len()));
            }
            if is_node || at == 65_536 {
                let used = block.iter().enumerate().skip(32).filter(|(_, byte)| **byte != 0);
                places.extend(used.map(|(index, _)| at + index as u64));
            }
        }
        Image { file, places, blocks }
    };
    cases("btrfs", &["mkfs.btrfs"], make, 100);
}

/// What ends within whatever it begins with.
#[test]
fn short_disks() {
    for len in 0..2048 {
        let disk = vec![0xeb; len];
        assert!(Volume::open(&disk).is_err(), "{len} bytes");
        let marks = noise(len as u64, len);
        assert!(Volume::open(&marks).is_err(), "{len} bytes");
    }
}

/// The bytes of nothing in particular, behind the mark of something.
#[test]
fn noise_behind_a_mark() {
    static NOISE: OnceLock<Vec<u8>> = OnceLock::new();
    let noise = NOISE.get_or_init(|| noise(3, 1 << 18));
    let marks: [(usize, &[u8]); 6] = [
        (3, b"NTFS    "),
        (0, b"XFSB\0\0\x10\0"),
        (1080, &[0x53, 0xef]),
        (32_769, b"CD001"),
        (65_600, b"_BHRfS_M"),
        (
            0,
            &[
                0xeb, 0x3c, 0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 4, 1, 0, 2, 0, 2, 0, 1, 0xf8, 9, 0,
            ],
        ),
    ];
    for (at, mark) in marks {
        let mut disk = noise.clone();
        disk[at..at + mark.len()].copy_from_slice(mark);
        if let Ok(volume) = Volume::open(&disk) {
            let _ = volume.list("").map(|entries| entries.take(1000).count());
        }
    }
}
