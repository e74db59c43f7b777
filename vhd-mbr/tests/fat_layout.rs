//! Files on FAT volumes made by `mkfs.fat` and `mcopy`, found by us and by `mshowfat`.
#![cfg(unix)]

mod images;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;

use images::{Workplace, assert_same, files, have, noise, read, run};
use proptest::collection::vec;
use proptest::prelude::*;
use vhd_mbr::fat::{self, Error, PathError};
use vhd_mbr::layout::{Layout, Obstacle, Place};

const TOOLS: [&str; 5] = ["mkfs.fat", "mcopy", "mdel", "mlabel", "mshowfat"];

fn find(image: &str, path: &str) -> Result<Layout, Error> {
    fat::layout(&File::open(image).unwrap(), path)
}

fn workplace() -> Workplace {
    let work = Workplace::new();
    work.put("EMPTY", b"");
    work.put("SHORT.TXT", b"short");
    work.put("a rather long name.with dots.txt", &noise(1, 1000));
    work.put("größe ☃.dat", &noise(2, 20_000));
    work.put("EFI/Microsoft/Boot/BCD", &noise(3, 28_672));
    for index in 0..100 {
        work.put(&format!("many/entry number {index}"), format!("{index}").as_bytes());
    }
    work
}

fn make(work: &Workplace, size: u64, options: &[&str]) -> String {
    let image = work.image(size);
    run("mkfs.fat", &[options, &["-n", "EFI", &image]].concat(), "");
    // Every second of the small files goes away again, so that large ones have to be in many parts.
    for index in 0..120 {
        work.put(&format!("../small/{index}"), &noise(index, 5000));
    }
    let small = work.path("small");
    run("mcopy", &["-s", "-i", &image, &small, "::"], "");
    for index in (0..120).step_by(2) {
        run("mdel", &["-i", &image, &format!("::small/{index}")], "");
    }
    std::fs::write(work.tree().join("parts.bin"), noise(9, 250_000)).unwrap();
    for name in std::fs::read_dir(work.tree()).unwrap() {
        let path = name.unwrap().path();
        run("mcopy", &["-s", "-i", &image, path.to_str().unwrap(), "::"], "");
    }
    image
}

/// The file's clusters, first and last of each run, as mshowfat and we see them.
fn runs_by_mshowfat(image: &str, path: &str) -> Vec<(u64, u64)> {
    let answer = run("mshowfat", &["-i", image, &format!("::{path}")], "");
    // ::/parts.bin <5-8> <13> <20-23>
    answer
        .split('<')
        .skip(1)
        .map(|run| {
            let run = run.trim().trim_end_matches('>');
            let (first, last) = run.split_once('-').unwrap_or((run, run));
            (first.parse().unwrap(), last.parse().unwrap())
        })
        .collect()
}

#[test]
fn every_file_is_found_whatever_the_volume_is_like() {
    if !have(&TOOLS) {
        return;
    }
    let work = workplace();
    for (size, options) in [
        (2 << 20, &["-F", "12"][..]),
        (8 << 20, &["-F", "16", "-s", "1"]),
        (24 << 20, &["-F", "16", "-S", "4096", "-s", "1"]),
        (40 << 20, &["-F", "32", "-s", "1"]),
        (40 << 20, &["-F", "32", "-s", "1", "-f", "1", "-R", "64"]),
        (160 << 20, &["-F", "32", "-s", "1", "-S", "2048"]),
    ] {
        let image = make(&work, size, options);
        let volume = File::open(&image).unwrap();
        let data = {
            // Where cluster 2 is: the only file whose first cluster is known from the tool says it.
            let layout = fat::layout(&volume, "parts.bin").unwrap();
            let first = runs_by_mshowfat(&image, "parts.bin")[0].0;
            let mut boot = [0; 512];
            volume.read_exact_at(&mut boot, 0).unwrap();
            let cluster = u64::from(u16::from_le_bytes([boot[11], boot[12]])) * u64::from(boot[13]);
            let Place::Data { offset } = layout.extents[0].place else {
                panic!("{layout:?}")
            };
            (offset - first * cluster, cluster)
        };
        for path in files(&work.tree()) {
            let layout = fat::layout(&volume, &path).unwrap_or_else(|error| panic!("{options:?} {path}: {error}"));
            assert_same(&read(&volume, &layout), &work.content(&path), &path);
            assert_eq!(layout.obstacles, [], "{options:?} {path}");
            if !path.is_ascii() || path.starts_with("many") {
                continue;
            }
            let ours = layout.extents.iter().map(|extent| {
                let Place::Data { offset } = extent.place else {
                    panic!("{layout:?}")
                };
                let first = (offset - data.0) / data.1;
                (
                    first,
                    first + (extent.file.end - extent.file.start).div_ceil(data.1) - 1,
                )
            });
            let ours: Vec<(u64, u64)> = ours.collect();
            assert_eq!(ours, runs_by_mshowfat(&image, &path), "{options:?} {path}");
        }
        // On FAT32 mcopy goes on behind what was written last.
        let parts = fat::layout(&volume, "parts.bin").unwrap().extents.len();
        assert!(parts > 10 || options[1] == "32", "{options:?}: {parts}");
    }
}

#[test]
fn a_volume_is_fat32_where_its_fields_say_so_however_small_it_is() {
    if !have(&TOOLS) {
        return;
    }
    let work = Workplace::new();
    let image = work.image(4 << 20);
    run("mkfs.fat", &["-F", "32", "-s", "1", &image], "");
    assert!(matches!(
        find(&image, "x"),
        Err(Error::Path(PathError::NotFound { .. }))
    ));
}

#[test]
fn names_are_found_without_case_and_by_their_short_form() {
    if !have(&TOOLS) {
        return;
    }
    let work = workplace();
    let image = make(&work, 8 << 20, &["-F", "16", "-s", "1"]);
    for path in [
        "/efi/microsoft/boot/bcd",
        "EFI\\MICROSOFT\\BOOT\\BCD",
        "efi/MICROS~1/boot/../Boot/./bcd",
        "GRÖßE ☃.dat",
        "ARATHE~1.TXT",
        "short.txt",
    ] {
        find(&image, path).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    let error = |path: &str| match find(&image, path).unwrap_err() {
        Error::Path(error) => error,
        other => panic!("{other}"),
    };
    assert!(
        matches!(error("EFI"), PathError::NotAFile { .. }),
        "the directory, not the volume's label"
    );
    assert!(matches!(error("GRÖSSE ☃.DAT"), PathError::NotFound { .. }));
    assert_eq!(error("efi/linux").to_string(), "efi/linux: there is no \"linux\"");
    assert_eq!(error("small/0").to_string(), "small/0: there is no \"0\"");
    assert_eq!(
        error("short.txt/x").to_string(),
        "short.txt/x: \"short.txt\" is not a directory"
    );
}

#[test]
fn a_volume_that_was_not_unmounted_is_seen() {
    if !have(&TOOLS) {
        return;
    }
    let work = workplace();
    // Bit 0 of a byte in the boot sector, and the two upper bits of the table's second entry.
    for (size, options, table, places) in [
        (2 << 20, &["-F", "12"][..], None, 37),
        (8 << 20, &["-F", "16", "-s", "1"], Some((3, [0x80, 0x40])), 37),
        (40 << 20, &["-F", "32", "-s", "1"], Some((7, [0x08, 0x04])), 65),
    ] {
        let image = make(&work, size, options);
        let disk = File::options().read(true).write(true).open(&image).unwrap();
        let flip = |offset: u64, bit: u8| {
            let mut byte = [0];
            disk.read_exact_at(&mut byte, offset).unwrap();
            disk.write_all_at(&[byte[0] ^ bit], offset).unwrap();
        };
        let mut reserved = [0; 2];
        disk.read_exact_at(&mut reserved, 14).unwrap();
        let start = u64::from(u16::from_le_bytes(reserved)) * 512;
        let table_bits = table.iter().flat_map(|(at, bits)| bits.map(|bit| (start + at, bit)));
        for (offset, bit) in table_bits.chain([(places, 1)]) {
            assert_eq!(find(&image, "SHORT.TXT").unwrap().obstacles, []);
            flip(offset, bit);
            assert_eq!(
                find(&image, "SHORT.TXT").unwrap().obstacles,
                [Obstacle::NotUnmounted],
                "{options:?} {offset}"
            );
            flip(offset, bit);
        }
    }
}

#[test]
fn other_volumes_are_named() {
    for (name, why) in [(b"NTFS    ", "it is NTFS"), (b"EXFAT   ", "it is exFAT")] {
        let mut disk = vec![0; 4096];
        disk[3..11].copy_from_slice(name);
        assert_eq!(
            fat::layout(&disk, "x").unwrap_err().to_string(),
            format!("not a FAT volume: {why}")
        );
    }
    assert!(matches!(fat::layout(&vec![0; 4096], "x"), Err(Error::NotFat { .. })));
    assert!(matches!(fat::layout(&vec![0; 100], "x"), Err(Error::Read(_))));
}

static SMALL: LazyLock<Option<Vec<u8>>> = LazyLock::new(|| {
    if !have(&TOOLS) {
        return None;
    }
    let work = workplace();
    let image = make(&work, 2 << 20, &["-F", "12"]);
    Some(std::fs::read(&image).unwrap())
});

#[test]
fn chains_that_go_around_in_circles_end() {
    let Some(volume) = SMALL.clone() else { return };
    let start = usize::from(u16::from_le_bytes([volume[14], volume[15]])) * 512;
    let len = usize::from(u16::from_le_bytes([volume[22], volume[23]])) * 512;
    let mut circle = volume.clone();
    // Each cluster is followed by cluster 5.
    circle[start..start + len]
        .chunks_exact_mut(3)
        .for_each(|pair| pair.copy_from_slice(&[5, 0x50, 0]));
    let error = |path: &str| fat::layout(&circle, path).unwrap_err().to_string();
    assert!(error("parts.bin").contains("same place"), "{}", error("parts.bin"));
    assert!(
        error("many/nobody").contains("65536 entries"),
        "{}",
        error("many/nobody")
    );

    let mut ends = volume.clone();
    ends[start + 3..start + len].fill(0xff);
    assert!(
        fat::layout(&ends, "parts.bin")
            .unwrap_err()
            .to_string()
            .contains("end before")
    );
    let mut leaves = volume;
    leaves[start + 3..start + len].fill(0xee);
    assert!(
        fat::layout(&leaves, "parts.bin")
            .unwrap_err()
            .to_string()
            .contains("does not exist")
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_gives_an_answer(damage in vec((any::<u16>(), any::<u8>()), 1..24), reach in 64..20_000usize) {
        let Some(mut volume) = SMALL.clone() else { return Ok(()) };
        for (at, value) in damage {
            volume[usize::from(at) % reach] = value;
        }
        for path in ["parts.bin", "EFI/Microsoft/Boot/BCD", "many/nobody"] {
            let Ok(layout) = fat::layout(&volume, path) else { continue };
            let mut at = 0;
            for extent in &layout.extents {
                prop_assert_eq!(extent.file.start, at);
                at = extent.file.end;
                let Place::Data { offset } = extent.place else { panic!("{extent:?}") };
                prop_assert!(offset + (extent.file.end - extent.file.start) <= volume.len() as u64);
            }
            prop_assert_eq!(at, layout.size);
        }
    }
}
