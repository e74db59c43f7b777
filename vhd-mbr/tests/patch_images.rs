//! Changes of files on real volumes: their checkers find nothing, other programs read the new bytes, nothing else is
//! touched, and undoing gives back the same disk.
#![cfg(unix)]

mod images;

use std::fs::{self, File};
use std::ops::Range;
use std::sync::LazyLock;

use images::{Workplace, assert_same, have, noise, outcome, run, tool};
use proptest::collection::vec;
use proptest::prelude::*;
use vhd_mbr::layout::{Layout, Obstacle};
use vhd_mbr::patch::{Change, FatError, OnDisk, Overlay, Padding, Refused, Undo, WritePlan, put_on_fat};
use vhd_mbr::{ext4, fat, xfs};
use xen_disk::{Window, WriteAt};

/// Where the volume is on the disk: behind some other bytes, before others.
const START: u64 = 3 << 20;

fn disk_around(image: &str) -> (Vec<u8>, Range<u64>) {
    let volume = fs::read(image).unwrap();
    let end = START + volume.len() as u64;
    let mut disk = noise(77, START as usize);
    disk.extend(volume);
    disk.extend(noise(78, 1 << 20));
    (disk, START..end)
}

/// Applies a plan and writes the volume back to its image, for the tools; then the undo file gives back the old disk.
fn with_applied(disk: &[u8], volume: &Range<u64>, plan: &WritePlan, image: &str, check: impl FnOnce()) {
    let mut undo = Vec::new();
    plan.undo().write(&mut undo).unwrap();
    let mut changed = disk.to_vec();
    plan.apply(&mut changed).unwrap();
    let differing = disk
        .chunks(4096)
        .zip(changed.chunks(4096))
        .filter(|(old, new)| old != new);
    let differing: usize = differing
        .map(|(old, new)| old.iter().zip(new).filter(|(old, new)| old != new).count())
        .sum();
    assert_eq!(differing as u64, plan.changed_bytes());
    fs::write(image, &changed[volume.start as usize..volume.end as usize]).unwrap();
    check();
    Undo::read(undo.as_slice()).unwrap().apply(&mut changed).unwrap();
    assert!(changed == disk, "undone");
}

/// A change in the middle of the file and its replacement by less, each with all that follows.
fn change_and_replace(image: &str, find: impl Fn(&Window<&Vec<u8>>) -> Layout, content: &[u8], check: impl Fn(&[u8])) {
    let (disk, volume) = disk_around(image);
    let layout = find(&Window::new(&disk, volume.start, volume.end - volume.start));
    let middle = content.len() / 2;
    let new = noise(99, 5000);
    let mut changed = content.to_vec();
    changed[middle..middle + new.len()].copy_from_slice(&new);
    let change = Change::write(middle as u64, new).expecting(&content[middle..middle + 100]);
    let mut replaced = b"GRUB_TIMEOUT=1\n".to_vec();
    let replace = Change::replace(replaced.clone(), Padding::Newlines);
    replaced.resize(content.len(), b'\n');
    for (change, expected) in [(change, changed), (replace, replaced)] {
        let on_disk = OnDisk::from(volume.clone());
        let plan = WritePlan::for_file(&disk, &on_disk, &layout, &[change]).unwrap();
        with_applied(&disk, &volume, &plan, image, || check(&expected));
    }
}

#[test]
fn ext4_stays_clean() {
    if !have(&["mke2fs", "debugfs", "e2fsck"]) {
        return;
    }
    let work = Workplace::new();
    let content = noise(1, 60_000);
    work.put("boot/grub.cfg", &content);
    work.put("tiny", b"tiny");
    work.put_sparse("holes", 60_000, &[(30_000, b"island")]);
    for options in [
        ["-t", "ext2", "-b", "1024"],
        ["-t", "ext4", "-b", "4096"],
        ["-t", "ext4", "-O", "inline_data"],
    ] {
        let (image, tree) = (work.image(8 << 20), work.tree());
        run(
            "mke2fs",
            &[&["-q", "-F", "-d", tree.to_str().unwrap()], &options[..], &[&image]].concat(),
            "",
        );
        let (disk, volume) = disk_around(&image);
        change_and_replace(
            &image,
            |volume| ext4::layout(volume, "boot/grub.cfg").unwrap(),
            &content,
            |expected| {
                run("e2fsck", &["-fn", &image], "");
                let copy = work.path("copy");
                run("debugfs", &["-R", &format!("dump /boot/grub.cfg {copy}"), &image], "");
                assert_same(&fs::read(&copy).unwrap(), expected, "grub.cfg");
            },
        );
        let in_volume = Window::new(&disk, volume.start, volume.end - volume.start);
        let refused = |path: &str| {
            let layout = ext4::layout(&in_volume, path).unwrap();
            WritePlan::for_file(&disk, &OnDisk::from(volume.clone()), &layout, &[Change::write(0, "x")]).err()
        };
        if options.contains(&"inline_data") {
            assert!(matches!(refused("tiny"), Some(Refused::Obstacles(found)) if found == [Obstacle::Inline]));
        } else {
            assert!(refused("tiny").is_none());
            assert!(
                matches!(refused("holes"), Some(Refused::Hole(hole)) if hole == (0..1)),
                "{options:?}"
            );
        }
    }
}

#[test]
fn xfs_stays_clean() {
    if !have(&["mkfs.xfs", "xfs_repair", "xfs_db"]) {
        return;
    }
    let work = Workplace::new();
    let content = noise(1, 60_000);
    work.put("grub.cfg", &content);
    let (prototype, image) = (work.path("prototype"), work.image(64 << 20));
    fs::write(
        &prototype,
        format!(
            "/none\n0 0\nd--755 0 0\ngrub.cfg ---644 0 0 {}/grub.cfg\n$\n",
            work.tree().display()
        ),
    )
    .unwrap();
    let mut mkfs = tool("mkfs.xfs");
    mkfs.env("TEST_DIR", "1").env("TEST_DEV", "1").env("QA_CHECK_FS", "1");
    let made = mkfs.args(["-q", "-f", "-p", &prototype, &image]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    change_and_replace(
        &image,
        |volume| xfs::layout(volume, "grub.cfg").unwrap(),
        &content,
        |expected| {
            run("xfs_repair", &["-n", &image], "");
            // xfs_db shows a file block by block.
            let answer = run(
                "xfs_db",
                &[
                    "-r",
                    "-c",
                    "path /grub.cfg",
                    "-c",
                    "dblock 7",
                    "-c",
                    "type text",
                    "-c",
                    "print",
                    &image,
                ],
                "",
            );
            let shown = answer.lines().flat_map(|line| {
                line.split_once(':')
                    .map_or("", |(_, rest)| rest)
                    .split_whitespace()
                    .take(16)
            });
            let shown: Vec<u8> = shown.map_while(|byte| u8::from_str_radix(byte, 16).ok()).collect();
            assert_same(&shown[..16], &expected[7 * 4096..][..16], "grub.cfg");
        },
    );
}

fn fat_volume(work: &Workplace, size: u64, options: &[&str]) -> String {
    let image = work.image(size);
    run("mkfs.fat", &[options, &[&image]].concat(), "");
    for name in fs::read_dir(work.tree()).unwrap() {
        let path = name.unwrap().path();
        run("mcopy", &["-s", "-i", &image, path.to_str().unwrap(), "::"], "");
    }
    image
}

const FAT_TOOLS: [&str; 4] = ["mkfs.fat", "fsck.vfat", "mcopy", "mdir"];
const FATS: [(u64, &[&str]); 3] = [
    (2 << 20, &["-F", "12"]),
    (10 << 20, &["-F", "16", "-s", "1"]),
    (35 << 20, &["-F", "32", "-s", "1"]),
];

fn assert_file(work: &Workplace, image: &str, path: &str, expected: &[u8]) {
    let fsck = outcome("fsck.vfat", &["-n", image], "");
    let said = String::from_utf8_lossy(&fsck.stdout);
    assert!(fsck.status.success(), "{path}: {said}");
    let copy = work.path("copy");
    run("mcopy", &["-n", "-i", image, &format!("::{path}"), &copy], "");
    assert_same(&fs::read(&copy).unwrap(), expected, path);
    fs::remove_file(&copy).unwrap();
}

#[test]
fn fat_stays_clean() {
    if !have(&FAT_TOOLS) {
        return;
    }
    let work = Workplace::new();
    let content = noise(1, 60_000);
    work.put("EFI/BOOT/grub.cfg", &content);
    for (size, options) in FATS {
        let image = fat_volume(&work, size, options);
        change_and_replace(
            &image,
            |volume| fat::layout(volume, "efi/boot/GRUB.CFG").unwrap(),
            &content,
            |expected| {
                assert_file(&work, &image, "EFI/BOOT/grub.cfg", expected);
            },
        );
    }
}

#[test]
fn whole_files_are_put_on_fat_whatever_their_size() {
    if !have(&FAT_TOOLS) {
        return;
    }
    let work = Workplace::new();
    work.put("EFI/BOOT/grub.cfg", &noise(1, 60_000));
    work.put("EFI/BOOT/other.cfg", &noise(2, 60_000));
    for (size, options) in FATS {
        let image = fat_volume(&work, size, options);
        let (disk, volume) = disk_around(&image);
        for (path, len) in [
            ("EFI/BOOT/grub.cfg", 60_000),
            ("efi\\boot\\GRUB.CFG", 0),
            ("EFI/BOOT/grub.cfg", 1),
            ("EFI/BOOT/grub.cfg", 59_904),
            ("EFI/BOOT/grub.cfg", 300_001),
            ("EFI/a new file of a long näme.txt", 5000),
            ("NEW.TXT", 0),
        ] {
            let content = noise(50 + len as u64, len);
            let plan = put_on_fat(&disk, volume.clone(), path, &content).unwrap();
            if len == 60_000 {
                // The file's clusters stay where they are: its bytes, its time, and no more.
                assert!(plan.changed_bytes() < 60_010, "{}", plan.changed_bytes());
            }
            with_applied(&disk, &volume, &plan, &image, || {
                let path = path.replace('\\', "/");
                assert_file(&work, &image, &path, &content);
                assert_file(&work, &image, "EFI/BOOT/other.cfg", &noise(2, 60_000));
            });
        }
    }
}

#[test]
fn what_does_not_fit_on_fat_is_refused() {
    if !have(&FAT_TOOLS) {
        return;
    }
    let work = Workplace::new();
    work.put("EFI/BOOT/grub.cfg", &noise(1, 60_000));
    let image = fat_volume(&work, 2 << 20, &["-F", "12"]);
    let (mut disk, volume) = disk_around(&image);
    let put =
        |disk: &Vec<u8>, path: &str, len: usize| put_on_fat(disk, volume.clone(), path, &vec![1; len]).unwrap_err();
    assert!(matches!(put(&disk, "EFI/BOOT/grub.cfg", 2 << 20), FatError::Write(_)));
    assert!(matches!(put(&disk, "EFI/no such directory/x", 1), FatError::Write(_)));
    assert!(matches!(
        put(&disk, "EFI/BOOT", 1),
        FatError::Volume(fat::Error::Path(_))
    ));
    assert!(matches!(
        put(&disk, "EFI/BOOT/grub.cfg/x", 1),
        FatError::Volume(fat::Error::Path(_))
    ));
    assert!(matches!(put(&disk, "EFI/a?b", 1), FatError::Write(_)));
    disk[START as usize + 37] |= 1;
    let error = put(&disk, "EFI/BOOT/grub.cfg", 1);
    assert_eq!(error.to_string(), "not changed: the volume was not unmounted");
    let error = put(&vec![0; 8 << 20], "x", 1);
    assert!(matches!(error, FatError::Volume(fat::Error::NotFat { .. })));
}

#[test]
fn an_allocation_table_that_the_writer_cannot_count_is_refused() {
    if !have(&FAT_TOOLS) {
        return;
    }
    let work = Workplace::new();
    let image = fat_volume(&work, 40 << 20, &["-F", "32"]);
    let mut volume = File::options().read(true).write(true).open(image).unwrap();
    volume.set_len(2 << 30).unwrap();
    volume.write_all_at(32, &(4_u32 << 20).to_le_bytes()).unwrap();
    volume.write_all_at(36, &(1_u32 << 20).to_le_bytes()).unwrap();
    let error = put_on_fat(&volume, 0..2 << 30, "x", b"").unwrap_err();
    assert!(matches!(error, FatError::LargeTable { len: 0x2000_0000 }), "{error}");
}

static SMALL: LazyLock<Option<Vec<u8>>> = LazyLock::new(|| {
    if !have(&FAT_TOOLS) {
        return None;
    }
    let work = Workplace::new();
    work.put("EFI/BOOT/grub.cfg", &noise(1, 60_000));
    Some(fs::read(fat_volume(&work, 2 << 20, &["-F", "12"])).unwrap())
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_fat_volumes_give_an_answer(
        damage in vec((any::<u16>(), any::<u8>()), 1..24),
        reach in 64..20_000usize,
        len in 0..20_000usize,
    ) {
        let Some(volume) = &*SMALL else { return Ok(()) };
        let mut damaged = Overlay::new(volume, 1 << 20);
        for (at, value) in damage {
            damaged.write_all_at((usize::from(at) % reach) as u64, &[value]).unwrap();
        }
        for path in ["EFI/BOOT/grub.cfg", "EFI/new"] {
            let _ = put_on_fat(&damaged, 0..volume.len() as u64, path, &noise(3, len));
        }
    }
}
