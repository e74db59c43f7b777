//! Files on XFS volumes made by `mkfs.xfs` and `xfs_db`, found by us and by them.
#![cfg(unix)]

mod images;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;

use images::{Workplace, assert_same, blocks, have, noise, outcome, read, run, tool};
use proptest::collection::vec;
use proptest::prelude::*;
use vhd_mbr::layout::{Layout, Obstacle, Place};
use vhd_mbr::patch::Overlay;
use vhd_mbr::xfs::{self, Error, PathError};
use xen_disk::WriteAt;

const TOOLS: [&str; 3] = ["mkfs.xfs", "xfs_db", "xfs_repair"];
const FILES: [&str; 5] = ["empty", "tiny", "etc/fstab", "boot/grub/grub.cfg", "large"];

fn find(image: &str, path: &str) -> Result<Layout, Error> {
    xfs::layout(&File::open(image).unwrap(), path)
}

fn workplace() -> Workplace {
    let work = Workplace::new();
    work.put("empty", b"");
    work.put("tiny", b"tiny");
    work.put("etc/fstab", &noise(2, 1000));
    work.put("boot/grub/grub.cfg", &noise(3, 100_000));
    work.put("large", &noise(4, 600_001));
    work
}

/// What `mkfs.xfs` is to put into a volume, with a directory of `many` entries.
fn prototype(work: &Workplace, many: usize) -> String {
    let source = |path: &str| work.tree().join(path).to_str().unwrap().to_owned();
    let file = |name: &str, path: &str| format!("{name} ---644 0 0 {}\n", source(path));
    let link = |name: &str, target: &str| format!("{name} l--777 0 0 {target}\n");
    let directory = |name: &str, content: &str| format!("{name} d--755 0 0\n{content}$\n");
    let entries: String = (0..many)
        .map(|index| link(&format!("entry-{index:04}-{}", "x".repeat(50)), "../tiny"))
        .collect();
    let grub = directory("grub", &file("grub.cfg", "boot/grub/grub.cfg"));
    let content = [
        file("empty", "empty"),
        file("tiny", "tiny"),
        file("large", "large"),
        directory("etc", &file("fstab", "etc/fstab")),
        directory("boot", &(grub + &link("relative", "../boot/../etc/./fstab"))),
        directory("many", &entries),
        link("absolute", "/etc/fstab"),
        link("long", &format!("{}etc/fstab", "./".repeat(450))),
        link("circle", "circle"),
    ];
    format!("/none\n0 0\nd--755 0 0\n{}$\n", content.concat())
}

fn make(work: &Workplace, many: usize, options: &[&str]) -> String {
    let image = work.image(64 << 20);
    let path = work.path("prototype");
    std::fs::write(&path, prototype(work, many)).unwrap();
    let mut mkfs = tool("mkfs.xfs");
    // With these it makes volumes below 300 MiB.
    mkfs.env("TEST_DIR", "1").env("TEST_DEV", "1").env("QA_CHECK_FS", "1");
    let made = mkfs
        .args(["-q", "-f", "-p", &path])
        .args(options)
        .arg(&image)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{options:?}: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    image
}

/// Changes fields of the file `large`, or of the superblock.
fn change(image: &str, commands: &[&str]) {
    let mut args = vec!["-x"];
    for command in commands {
        args.extend(["-c", command]);
    }
    args.push(image);
    run("xfs_db", &args, "");
}

/// What xfs_db says about each block of a file: where on the volume it is, 0 for holes, and whether it is written.
fn blocks_by_xfs_db(image: &str, path: &str, block_size: u64, count: usize) -> Vec<(u64, bool)> {
    let field = |name: &str| {
        let answer = run(
            "xfs_db",
            &["-r", "-c", "sb 0", "-c", &format!("print {name}"), image],
            "",
        );
        answer.trim().rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let (group_blocks, sb_block_size) = (field("agblocks"), field("blocksize"));
    assert_eq!(sb_block_size, block_size);
    let answer = run(
        "xfs_db",
        &["-r", "-c", &format!("path /{path}"), "-c", "bmap", image],
        "",
    );
    let mut found = vec![(0, true); count];
    // data offset 0 startblock 24 (0/24) count 123 flag 0
    for line in answer.lines().filter(|line| line.starts_with("data")) {
        let words: Vec<_> = line.split_whitespace().collect();
        let number = |index: usize| words[index].parse::<u64>().unwrap();
        let (group, inside) = words[5].trim_matches(['(', ')']).split_once('/').unwrap();
        let start = group.parse::<u64>().unwrap() * group_blocks + inside.parse::<u64>().unwrap();
        for index in 0..number(7) {
            if let Some(block) = found.get_mut((number(2) + index) as usize) {
                *block = (start + index, number(9) == 0);
            }
        }
    }
    found
}

#[test]
fn every_file_is_found_whatever_the_volume_is_like() {
    if !have(&TOOLS) {
        return;
    }
    let work = workplace();
    for (block_size, many, options) in [
        (4096, 3, &["-m", "reflink=0"][..]),
        (4096, 30, &["-m", "reflink=1,rmapbt=1", "-i", "size=1024"]),
        (4096, 1500, &["-i", "nrext64=1"]),
        (1024, 1500, &["-b", "size=1024", "-d", "agcount=3"]),
        (2048, 1500, &["-b", "size=2048", "-n", "size=16384", "-i", "sparse=1"]),
        (4096, 400, &["-s", "size=4096", "-l", "su=65536"]),
        (4096, 3, &["-m", "crc=0", "-n", "ftype=1"]),
        (512, 1500, &["-m", "crc=0", "-b", "size=512"]),
        (
            1024,
            30,
            &["-m", "crc=0", "-b", "size=1024", "-i", "size=256", "-l", "version=1"],
        ),
        (4096, 400, &["-n", "version=ci"]),
    ] {
        let image = make(&work, many, options);
        let volume = File::open(&image).unwrap();
        for path in FILES {
            let layout = xfs::layout(&volume, path).unwrap_or_else(|error| panic!("{options:?} {path}: {error}"));
            assert_same(&read(&volume, &layout), &work.content(path), path);
            assert_eq!(layout.obstacles, [], "{options:?} {path}");
            let found = blocks(&layout, block_size);
            assert_eq!(
                found,
                blocks_by_xfs_db(&image, path, block_size, found.len()),
                "{options:?} {path}"
            );
        }
        for link in [
            "absolute",
            "boot/relative",
            "long",
            "many/../etc/fstab",
            "/../etc//fstab",
        ] {
            // mkfs.xfs 6.1 forgets the header that a long link has on version 5.
            if link == "long" && !options.contains(&"crc=0") {
                continue;
            }
            let layout = xfs::layout(&volume, link).unwrap_or_else(|error| panic!("{options:?} {link}: {error}"));
            assert_same(&read(&volume, &layout), &work.content("etc/fstab"), link);
        }
        for index in [0, 1, many / 2, many - 1] {
            let path = format!("many/entry-{index:04}-{}", "x".repeat(50));
            let layout = xfs::layout(&volume, &path).unwrap_or_else(|error| panic!("{options:?} {path}: {error}"));
            assert_same(&read(&volume, &layout), b"tiny", &path);
        }
        let shouted = xfs::layout(&volume, "BOOT/Grub/GRUB.cfg");
        assert_eq!(shouted.is_ok(), options.contains(&"version=ci"));
    }
}

#[test]
fn holes_and_unwritten_extents_are_told_apart() {
    if !have(&TOOLS) {
        return;
    }
    let work = workplace();
    let image = make(&work, 1, &[]);
    let volume = File::open(&image).unwrap();
    let before = xfs::layout(&volume, "large").unwrap();
    let Place::Data { offset } = before.extents[0].place else {
        panic!("{before:?}")
    };
    change(
        &image,
        &[
            "path /large",
            "write -d core.size 700000",
            "write -d u3.bmx[0].startoff 5",
        ],
    );
    let layout = xfs::layout(&volume, "large").unwrap();
    let ends = 5 * 4096 + 600_001u64.next_multiple_of(4096);
    let places: Vec<_> = layout
        .extents
        .iter()
        .map(|extent| (extent.file.clone(), extent.place))
        .collect();
    assert_eq!(
        places,
        [
            (0..20_480, Place::Hole),
            (20_480..ends, Place::Data { offset }),
            (ends..700_000, Place::Hole)
        ]
    );
    assert_eq!(blocks(&layout, 4096), blocks_by_xfs_db(&image, "large", 4096, 171));

    change(&image, &["path /large", "write -d u3.bmx[0].extentflag 1"]);
    let layout = xfs::layout(&volume, "large").unwrap();
    assert_eq!(layout.extents[1].place, Place::Unwritten { offset });
    assert_eq!(read(&volume, &layout), vec![0; 700_000]);
    assert_eq!(blocks(&layout, 4096), blocks_by_xfs_db(&image, "large", 4096, 171));
}

#[test]
fn paths_that_lead_to_no_file_say_why() {
    if !have(&TOOLS) {
        return;
    }
    let work = workplace();
    let image = make(&work, 400, &[]);
    let error = |path: &str| match find(&image, path).unwrap_err() {
        Error::Path(error) => error,
        other => panic!("{other}"),
    };
    assert_eq!(error("etc/passwd").to_string(), "etc/passwd: there is no \"passwd\"");
    assert_eq!(error("many/nobody").to_string(), "many/nobody: there is no \"nobody\"");
    assert!(matches!(error("etc"), PathError::NotAFile { .. }));
    assert!(matches!(error("circle"), PathError::TooManyLinks { .. }));
    assert!(matches!(find(&work.image(1 << 20), "x"), Err(Error::NotXfs { .. })));
}

#[test]
fn whatever_speaks_against_a_change_is_named() {
    if !have(&TOOLS) {
        return;
    }
    let work = workplace();
    let image = make(&work, 1, &["-m", "reflink=1"]);
    change(&image, &["path /large", "write -d v3.reflink 1"]);
    assert_eq!(find(&image, "large").unwrap().obstacles, [Obstacle::Shared]);
    assert_eq!(find(&image, "tiny").unwrap().obstacles, []);
    change(&image, &["path /tiny", "write -d core.realtime 1"]);
    assert_eq!(
        find(&image, "tiny").unwrap_err().to_string(),
        "this XFS volume needs the realtime device, where this file is, which is not supported"
    );
    change(&image, &["sb 0", "write -d features_ro_compat 0x8000000f"]);
    assert_eq!(find(&image, "empty").unwrap().obstacles, [Obstacle::ReadOnly]);
    for (flags, named) in [
        ("0x1b", "xfs_repair"),
        ("0x40000000", "0x40000000"),
        ("0x103", "metadir"),
    ] {
        change(&image, &["sb 0", &format!("write -d features_incompat {flags}")]);
        let error = find(&image, "empty").unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}

/// Where the log of an image starts, in bytes.
fn log_start(image: &str) -> u64 {
    let field = |command: &str| {
        let answer = run("xfs_db", &["-r", "-c", "sb 0", "-c", command, image], "");
        answer.trim().rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let daddr = field("print logstart");
    let answer = run(
        "xfs_db",
        &["-r", "-c", &format!("convert fsblock {daddr} byte"), image],
        "",
    );
    let hex = answer.split_whitespace().next().unwrap().trim_start_matches("0x");
    u64::from_str_radix(hex, 16).unwrap()
}

#[test]
fn a_log_that_was_not_closed_is_seen() {
    if !have(&TOOLS) {
        return;
    }
    let work = workplace();
    let image = make(&work, 1, &[]);
    let start = log_start(&image);
    let disk = File::options().read(true).write(true).open(&image).unwrap();
    assert_eq!(find(&image, "tiny").unwrap().obstacles, []);
    let repair_sees_changes = || {
        let output = outcome("xfs_repair", &["-n", &image], "");
        String::from_utf8_lossy(&output.stderr).contains("metadata changes in a log")
    };
    assert!(!repair_sees_changes());

    // The operation in the only record becomes a commit instead of an unmount.
    let mut operation = [0; 12];
    disk.read_exact_at(&mut operation, start + 512).unwrap();
    assert_eq!(operation[8..10], [0xaa, 0x20], "the record of an unmount");
    disk.write_all_at(&[2], start + 512 + 9).unwrap();
    assert_eq!(find(&image, "tiny").unwrap().obstacles, [Obstacle::JournalNotEmpty]);
    assert!(matches!(
        find(&image, "nothing"),
        Err(Error::NotReplayed(PathError::NotFound { .. }))
    ));
    assert!(repair_sees_changes());
    disk.write_all_at(&[0x20], start + 512 + 9).unwrap();
    assert_eq!(find(&image, "tiny").unwrap().obstacles, []);

    // Another record follows.
    let mut record = [0; 1024];
    disk.read_exact_at(&mut record, start).unwrap();
    let takes = 512 + u64::from(u32::from_be_bytes(record[12..16].try_into().unwrap())).next_multiple_of(512);
    record[512 + 9] = 1;
    record[20..24].copy_from_slice(&((takes / 512) as u32).to_be_bytes());
    disk.write_all_at(&record, start + takes).unwrap();
    assert_eq!(find(&image, "tiny").unwrap().obstacles, [Obstacle::JournalNotEmpty]);

    // What was never written to has nothing in it.
    disk.write_all_at(&vec![0; takes as usize + 1024], start).unwrap();
    assert_eq!(find(&image, "tiny").unwrap().obstacles, []);
}

/// A small volume, and where the bytes are that mean something.
static SMALL: LazyLock<Option<(Vec<u8>, Vec<usize>)>> = LazyLock::new(|| {
    if !have(&TOOLS) {
        return None;
    }
    let work = workplace();
    let image = make(
        &work,
        300,
        &["-m", "crc=0", "-b", "size=1024", "-d", "size=32m,agcount=2"],
    );
    let mut volume = std::fs::read(&image).unwrap();
    volume.truncate(32 << 20);
    let content = xfs::layout(&volume, "large").unwrap().on_volume(0..600_000).unwrap();
    let means = |at: usize| !content.iter().any(|range| range.contains(&(at as u64)));
    let sectors = volume
        .chunks(512)
        .enumerate()
        .filter(|(_, sector)| **sector != [0; 512]);
    let bytes = sectors.flat_map(|(number, sector)| {
        let used = sector.iter().enumerate().filter(|(_, byte)| **byte != 0);
        used.map(move |(index, _)| number * 512 + index)
    });
    let used = bytes.filter(|&at| means(at)).collect();
    Some((volume, used))
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_gives_an_answer(damage in vec((any::<u32>(), any::<u8>()), 1..24), spread in 0..4u32) {
        let Some((volume, used)) = &*SMALL else { return Ok(()) };
        let mut damaged = Overlay::new(volume, 1 << 20);
        let reach = used.len() >> (spread * 3);
        for (at, value) in damage {
            damaged.write_all_at(used[at as usize % reach] as u64, &[value]).unwrap();
        }
        for path in ["large", "long", "many/nobody", "boot/relative"] {
            let Ok(layout) = xfs::layout(&damaged, path) else { continue };
            let mut at = 0;
            for extent in &layout.extents {
                prop_assert_eq!(extent.file.start, at);
                prop_assert!(extent.file.end > at);
                at = extent.file.end;
                if let Place::Data { offset } | Place::Unwritten { offset } = extent.place {
                    prop_assert!(offset + (extent.file.end - extent.file.start) <= volume.len() as u64);
                }
            }
            prop_assert_eq!(at, layout.size);
        }
    }
}
