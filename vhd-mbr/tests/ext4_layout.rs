//! Files on ext2, ext3 and ext4 volumes made by `mke2fs` and `debugfs`, found by us and by them.
#![cfg(unix)]

mod images;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;

use images::{Workplace, assert_same, blocks, files, have, noise, read, run};
use proptest::collection::vec;
use proptest::prelude::*;
use vhd_mbr::ext4::{self, Error, PathError};
use vhd_mbr::layout::{Layout, Obstacle, Place};

const TOOLS: [&str; 3] = ["mke2fs", "debugfs", "e2fsck"];

fn find(image: &str, path: &str) -> Result<Layout, Error> {
    ext4::layout(&File::open(image).unwrap(), path)
}

/// A tree with files of many sizes, holes, a large directory and symbolic links of all kinds.
fn workplace() -> Workplace {
    workplace_with(Ending::Hole)
}

/// How files with holes end: mke2fs 1.47 loses a hole at the end where `inline_data` is on.
#[derive(PartialEq)]
enum Ending {
    Hole,
    Data,
}

fn workplace_with(ending: Ending) -> Workplace {
    let work = Workplace::new();
    work.put("empty", b"");
    work.put("tiny", b"in the inode, if it may");
    work.put("small", &noise(1, 120));
    work.put("etc/fstab", &noise(2, 1000));
    work.put("boot/grub/grub.cfg", &noise(3, 100_000));
    work.put("large", &noise(4, 600_001));
    work.put("größe/naïve ☃", b"names are bytes");
    let island = noise(5, 5000);
    let islands: Vec<_> = (0..400).map(|index| (index * 8192 + 4096, &island[..4096])).collect();
    let more = if ending == Ending::Hole { 5000 } else { 0 };
    work.put_sparse("islands", 400 * 8192 + more, &islands);
    work.put_sparse("hole", (1 << 20) + 4096 + more, &[(1 << 20, &island[..4096])]);
    for index in 0..200 {
        work.put(
            &format!("many/file-with-a-long-name-{index:04}-{}", "x".repeat(60)),
            format!("{index}").as_bytes(),
        );
    }
    work.link("/etc/fstab", "absolute");
    work.link("../boot/../etc/./fstab", "boot/relative");
    work.link(&format!("{}etc/fstab", "./".repeat(60)), "long");
    work.link("boot", "directory");
    work.link("circle", "circle");
    work
}

fn make(work: &Workplace, options: &[&str]) -> String {
    let image = work.image(24 << 20);
    let tree = work.tree();
    let mut args = vec!["-q", "-F", "-E", "no_copy_xattrs", "-d", tree.to_str().unwrap()];
    args.extend(options);
    args.push(&image);
    run("mke2fs", &args, "");
    image
}

/// What debugfs says about each block of a file.
fn blocks_by_debugfs(image: &str, path: &str, count: usize) -> Vec<(u64, bool)> {
    let commands: String = (0..count).map(|block| format!("bmap \"/{path}\" {block}\n")).collect();
    let answer = run("debugfs", &["-f", "-", image], &commands);
    answer
        .lines()
        .filter(|line| !line.starts_with("debugfs"))
        .map(|line| {
            let number = line.split_whitespace().next().unwrap();
            (number.parse().unwrap(), !line.contains("uninit"))
        })
        .collect()
}

fn compare_all(work: &Workplace, image: &str, block_size: u64) {
    let volume = File::open(image).unwrap();
    for path in files(&work.tree()) {
        let layout = ext4::layout(&volume, &path).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_same(&read(&volume, &layout), &work.content(&path), &path);
        if layout.obstacles == [Obstacle::Inline] {
            continue;
        }
        assert_eq!(layout.obstacles, [], "{path}");
        if !path.starts_with("many") {
            let found = blocks(&layout, block_size);
            assert_eq!(found, blocks_by_debugfs(image, &path, found.len()), "{path}");
        }
    }
    for link in [
        "absolute",
        "boot/relative",
        "long",
        "directory/relative",
        "directory/../etc/fstab",
        "/../etc//fstab",
    ] {
        let layout = ext4::layout(&volume, link).unwrap_or_else(|error| panic!("{link}: {error}"));
        assert_eq!(read(&volume, &layout), work.content("etc/fstab"), "{link}");
    }
}

#[test]
fn every_file_is_found_whatever_the_volume_is_like() {
    if !have(&TOOLS) {
        return;
    }
    let (work, without_end_holes) = (workplace(), workplace_with(Ending::Data));
    for (block_size, options) in [
        (1024, &["-t", "ext2", "-b", "1024"][..]),
        (4096, &["-t", "ext2", "-b", "4096", "-r", "0"]),
        (4096, &["-t", "ext3", "-b", "4096"]),
        (1024, &["-t", "ext4", "-b", "1024"]),
        (4096, &["-t", "ext4", "-b", "4096"]),
        (
            2048,
            &[
                "-t",
                "ext4",
                "-b",
                "2048",
                "-O",
                "^64bit,^flex_bg,^metadata_csum",
                "-I",
                "128",
            ],
        ),
        (1024, &["-t", "ext4", "-b", "1024", "-O", "^extents,^64bit"]),
        (
            1024,
            &[
                "-t",
                "ext4",
                "-b",
                "1024",
                "-O",
                "meta_bg,^resize_inode",
                "-g",
                "1024",
                "-N",
                "2000",
            ],
        ),
        (
            1024,
            &[
                "-t",
                "ext4",
                "-b",
                "1024",
                "-O",
                "meta_bg,^resize_inode,^sparse_super,^64bit",
                "-g",
                "1024",
            ],
        ),
        (
            1024,
            &[
                "-t",
                "ext4",
                "-b",
                "1024",
                "-O",
                "meta_bg,^resize_inode,sparse_super2",
                "-g",
                "1024",
            ],
        ),
        (
            1024,
            &[
                "-t",
                "ext4",
                "-b",
                "1024",
                "-O",
                "bigalloc,meta_bg,^resize_inode",
                "-C",
                "4096",
                "-g",
                "4096",
            ],
        ),
        (
            4096,
            &[
                "-t",
                "ext4",
                "-b",
                "4096",
                "-O",
                "bigalloc,quota,project",
                "-C",
                "16384",
            ],
        ),
        (
            4096,
            &[
                "-t",
                "ext4",
                "-b",
                "4096",
                "-O",
                "inline_data,large_dir,mmp",
                "-I",
                "256",
            ],
        ),
        (
            1024,
            &[
                "-t",
                "ext4",
                "-b",
                "1024",
                "-O",
                "inline_data,verity,encrypt",
                "-I",
                "1024",
            ],
        ),
    ] {
        let inline = options.iter().any(|option| option.contains("inline_data"));
        let work = if inline { &without_end_holes } else { &work };
        let image = make(work, options);
        compare_all(work, &image, block_size);
        // An index looks the same whatever groups are like.
        if !inline && options.len() > 4 {
            continue;
        }
        // With -D the large directory gets an index.
        let mut fsck = images::tool("e2fsck");
        let status = fsck.args(["-fyD", &image]).output().unwrap().status;
        assert!(matches!(status.code(), Some(0 | 1)), "{options:?}: {status}");
        compare_all(work, &image, block_size);
    }
}

#[test]
fn paths_that_lead_to_no_file_say_why() {
    if !have(&TOOLS) {
        return;
    }
    let work = workplace();
    let image = make(&work, &["-t", "ext4"]);
    let error = |path: &str| match find(&image, path).unwrap_err() {
        Error::Path(error) => error,
        other => panic!("{other}"),
    };
    assert_eq!(error("etc/passwd").to_string(), "etc/passwd: there is no \"passwd\"");
    assert_eq!(
        error("etc/fstab/x").to_string(),
        "etc/fstab/x: \"fstab\" is not a directory"
    );
    assert!(matches!(error("etc"), PathError::NotAFile { .. }));
    assert!(matches!(error("/"), PathError::NotAFile { .. }));
    assert!(matches!(error("circle"), PathError::TooManyLinks { .. }));
    assert!(matches!(
        find(&work.image(1 << 20), "x"),
        Err(Error::NotExt { found: [0, 0] })
    ));
}

#[test]
fn what_fallocate_reserved_is_not_written() {
    if !have(&TOOLS) {
        return;
    }
    let work = Workplace::new();
    work.put_sparse("reserved", 80_000, &[(20_480, &noise(1, 4096))]);
    let image = make(&work, &["-t", "ext4", "-b", "4096"]);
    run("debugfs", &["-w", "-R", "fallocate /reserved 0 25", &image], "");
    let volume = File::open(&image).unwrap();
    let layout = ext4::layout(&volume, "reserved").unwrap();
    let places: Vec<_> = layout
        .extents
        .iter()
        .map(|extent| matches!(extent.place, Place::Unwritten { .. }))
        .collect();
    assert_eq!(places, [true, false, true], "{layout:?}");
    assert_eq!(layout.extents.last().unwrap().file, 24_576..80_000);
    assert_eq!(read(&volume, &layout), work.content("reserved"));
    assert_eq!(blocks(&layout, 4096), blocks_by_debugfs(&image, "reserved", 20));
}

/// The obstacles of /file after these commands of debugfs.
fn obstacles(options: &[&str], commands: &str) -> Vec<Obstacle> {
    let work = Workplace::new();
    work.put("file", &noise(1, 50_000));
    work.put("tiny", b"tiny");
    let image = make(&work, &[&["-t", "ext4", "-b", "4096"], options].concat());
    run("debugfs", &["-w", "-f", "-", &image], commands);
    find(&image, "file").unwrap().obstacles
}

#[test]
fn whatever_speaks_against_a_change_is_named() {
    if !have(&TOOLS) {
        return;
    }
    assert_eq!(obstacles(&[], ""), []);
    for (options, commands, obstacle) in [
        (&[][..], "feature needs_recovery", Obstacle::JournalNotEmpty),
        (&[], "ssv journal_inum 0", Obstacle::JournalNotEmpty),
        (&[], "ssv state 0", Obstacle::NotUnmounted),
        (&[], "ssv state 3", Obstacle::NotUnmounted),
        (&[], "ssv last_orphan 12", Obstacle::NotUnmounted),
        (&[], "feature shared_blocks", Obstacle::Shared),
        (&[], "feature read-only", Obstacle::ReadOnly),
        (&[], "sif /file flags 0x180000", Obstacle::Verity),
        (&[], "sif /file flags 0x80800", Obstacle::Encrypted),
        (&["-O", "quota"], "ssv usr_quota_inum 12", Obstacle::SystemFile),
    ] {
        assert_eq!(obstacles(options, commands), [obstacle], "{commands}");
    }
    let work = Workplace::new();
    work.put("tiny", b"tiny");
    let image = make(&work, &["-t", "ext4", "-b", "4096", "-O", "inline_data,mmp"]);
    assert_eq!(find(&image, "tiny").unwrap().obstacles, [Obstacle::Inline]);
    // A host that has the volume mounted counts up in this block.
    let disk = File::options().read(true).write(true).open(&image).unwrap();
    let mut mmp_block = [0; 8];
    disk.read_exact_at(&mut mmp_block, 1024 + 0x168).unwrap();
    let mmp_block = u64::from_le_bytes(mmp_block) * 4096;
    disk.write_all_at(&1u32.to_le_bytes(), mmp_block + 4).unwrap();
    assert_eq!(
        find(&image, "tiny").unwrap().obstacles,
        [Obstacle::NotUnmounted, Obstacle::Inline]
    );
}

#[test]
fn a_file_that_may_be_in_the_journal_only_is_not_said_to_be_missing() {
    if !have(&TOOLS) {
        return;
    }
    let work = Workplace::new();
    let image = make(&work, &["-t", "ext4"]);
    run("debugfs", &["-w", "-R", "feature needs_recovery", &image], "");
    assert_eq!(
        find(&image, "new").unwrap_err().to_string(),
        "new: there is no \"new\"; the journal has changes that are not written yet, so mount the volume once and look again"
    );
}

#[test]
fn what_is_not_supported_is_named() {
    if !have(&TOOLS) {
        return;
    }
    let work = Workplace::new();
    work.put("folder/file", b"content");
    let changed = |options: &[&str], commands: &str, path: &str| {
        let image = make(&work, &[&["-t", "ext4"], options].concat());
        run("debugfs", &["-w", "-f", "-", &image], commands);
        find(&image, path).unwrap_err().to_string()
    };
    assert_eq!(
        changed(&["-O", "casefold"], "sif /folder flags 0x40080000", "folder/FILE"),
        "this ext4 volume needs a directory that ignores case (casefold), which is not supported"
    );
    assert_eq!(
        changed(&["-O", "encrypt"], "sif /folder flags 0x80800", "folder/fail"),
        "this ext4 volume needs the key of an encrypted directory, which is not supported"
    );
    assert_eq!(
        changed(&[], "ssv feature_incompat 0x12c2", "folder/file"),
        "this ext4 volume needs the feature dirdata, which is not supported"
    );
    assert_eq!(
        changed(&[], "ssv feature_incompat 0x800002c2", "folder/file"),
        "this ext4 volume needs a feature of flag 0x80000000, which is not supported"
    );
    let journal = work.image(8 << 20);
    run("mke2fs", &["-q", "-F", "-O", "journal_dev", &journal], "");
    assert!(find(&journal, "x").unwrap_err().to_string().contains("journal"));
}

/// A small volume with all that can be damaged, and where its structures are.
static SMALL: LazyLock<Option<Vec<u8>>> = LazyLock::new(small);

/// Where the small volume's bytes are that mean something.
static USED: LazyLock<Vec<usize>> = LazyLock::new(|| {
    let volume = SMALL.as_deref().unwrap_or_default();
    (1024..volume.len()).filter(|&at| volume[at] != 0).collect()
});

fn small() -> Option<Vec<u8>> {
    if !have(&TOOLS) {
        return None;
    }
    let work = Workplace::new();
    let part = noise(5, 1024);
    let parts: Vec<_> = (0..400).map(|index| (index * 2048, &part[..])).collect();
    work.put_sparse("islands", 400 * 2048, &parts);
    work.put("folder/file", &noise(1, 20_000));
    work.link(&"folder/../".repeat(20), "way");
    let image = work.image(2 << 20);
    let tree = work.tree();
    let args = [
        "-q",
        "-F",
        "-t",
        "ext4",
        "-b",
        "1024",
        "-O",
        "^has_journal,inline_data",
        "-N",
        "32",
    ];
    run(
        "mke2fs",
        &[&args[..], &["-d", tree.to_str().unwrap(), &image]].concat(),
        "",
    );
    // The same file by indirect blocks.
    let commands = "sif /folder/file flags 0\nsif /folder/file block[0] 700\nsif /folder/file block[IND] 900\nsif /folder/file block[DIND] 901\n";
    run("debugfs", &["-w", "-f", "-", &image], commands);
    Some(std::fs::read(&image).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_gives_an_answer(damage in vec((any::<u32>(), any::<u8>()), 1..24), spread in 0..4u32) {
        let Some(mut volume) = SMALL.clone() else { return Ok(()) };
        // Structures stand at the front; the fewer bytes are in reach, the more of them are hit.
        let reach = USED.len() >> (spread * 3);
        for (at, value) in damage {
            volume[USED[at as usize % reach]] = value;
        }
        for path in ["islands", "folder/file", "way/islands", "nowhere"] {
            if let Ok(layout) = ext4::layout(&volume, path) {
                assert_sound(&layout, volume.len() as u64);
            }
        }
    }
}

fn assert_sound(layout: &Layout, size: u64) {
    let mut at = 0;
    for extent in &layout.extents {
        assert_eq!(extent.file.start, at);
        assert!(extent.file.end > at);
        at = extent.file.end;
        if let Place::Data { offset } | Place::Unwritten { offset } = extent.place {
            assert!(offset + (extent.file.end - extent.file.start) <= size);
        }
    }
    assert_eq!(at, layout.size);
}

#[test]
fn a_tree_that_leads_back_to_itself_ends() {
    let Some(mut volume) = SMALL.clone() else { return };
    let layout = ext4::layout(&volume, "islands").unwrap();
    assert!(layout.extents.len() > 700, "the tree has more than one level");
    // Each node with a pointer leads to itself: the block that the inode's only index names.
    let inode = (0..volume.len() - 60)
        .step_by(4)
        .find(|&at| volume[at..].starts_with(&[0x0a, 0xf3, 1, 0, 4, 0]) && volume[at + 6] > 0)
        .expect("an inode with an index of one entry");
    volume[inode + 6] = 5;
    let block = u32::from_le_bytes(volume[inode + 16..inode + 20].try_into().unwrap()) as usize * 1024;
    let mut node = [0x0a, 0xf3, 84, 0, 84, 0, 4, 0, 0, 0, 0, 0].to_vec();
    for index in 0..84u32 {
        node.extend(index.to_le_bytes());
        node.extend((block as u32 / 1024).to_le_bytes());
        node.extend([0; 4]);
    }
    volume[block..block + node.len()].copy_from_slice(&node);
    let error = ext4::layout(&volume, "islands").unwrap_err();
    assert!(error.to_string().contains("same block twice"), "{error}");
}

#[test]
fn an_image_that_was_cut_off_is_refused() {
    let Some(volume) = SMALL.clone() else { return };
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("cut");
    std::fs::write(&path, &volume[..1 << 20]).unwrap();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    assert!(matches!(
        ext4::layout(&file, "islands"),
        Err(Error::Damaged { offset: 1028, .. })
    ));
    file.write_all_at(&[0; 2], 1080).unwrap();
    assert!(matches!(ext4::layout(&file, "islands"), Err(Error::NotExt { .. })));
}
