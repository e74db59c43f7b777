//! Volumes that are not as they should be: what speaks against changing them, what is told of damage, and that nothing
//! panics or hangs whatever the bytes are.
#![cfg(target_os = "linux")]

mod ntfs_image;

use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use ntfs_image::surgery::{change_attribute, split};
use ntfs_image::{Image, all, attribute, change_record, have_tools, mft, noise, number, put, text, tool};
use proptest::collection::vec;
use proptest::prelude::*;
use vhd_mbr::layout::{Obstacle, Place};
use vhd_mbr::ntfs::{Error, Ntfs};
use xen_disk::ReadAt;

const FILE_NAME: u64 = 0x30;
const DATA: u64 = 0x80;
const VOLUME_INFORMATION: u64 = 0x70;

fn volume() -> Option<Image> {
    have_tools().then(|| Image::new(6 << 20, &["-c", "1024"]))
}

fn record(image: &Image, path: &str) -> usize {
    image.open().lookup(path).unwrap().reference().record as usize
}

fn obstacles(image: &Image, path: &str) -> Vec<Obstacle> {
    image.open().lookup(path).unwrap().layout().unwrap().obstacles
}

#[test]
fn what_speaks_against_changing_anything() {
    let Some(image) = volume() else { return };
    image.put("/file", &noise(5000, 1));
    assert_eq!(obstacles(&image, "/file"), []);
    assert_eq!(obstacles(&image, "/$Bitmap"), [Obstacle::SystemFile]);
    let number = record(&image, "/file");
    // A file of which `$Extend` says that it is its directory.
    image.change(|bytes| {
        change_attribute(bytes, number, FILE_NAME, |name| {
            put(name, 24, &(11u64 | 11 << 48).to_le_bytes())
        })
    });
    assert_eq!(obstacles(&image, "/file"), [Obstacle::SystemFile]);
}

#[test]
fn a_record_that_is_kept_twice_is_not_changed_once() {
    if !have_tools() {
        return;
    }
    for (cluster, is_mirrored) in [("131072", true), ("4096", false)] {
        let image = Image::new(64 << 20, &["-c", cluster]);
        image.put("/small", b"in its record");
        assert!(record(&image, "/small") < 128);
        let found = obstacles(&image, "/small");
        assert_eq!(found.contains(&Obstacle::Mirrored), is_mirrored, "{cluster}: {found:?}");
    }
}

#[test]
fn a_volume_that_was_not_unmounted() {
    let Some(image) = volume() else { return };
    image.put("/file", &noise(5000, 1));
    image.change(|bytes| {
        change_record(bytes, 3, |record| {
            let value = attribute(record, VOLUME_INFORMATION) + 24;
            put(record, value + 10, &[1]);
        });
    });
    assert!(image.open().info().unwrap().dirty);
    assert_eq!(obstacles(&image, "/file"), [Obstacle::Unclean]);
    assert_eq!(
        all(&image.open().lookup("/file").unwrap().content().unwrap()),
        noise(5000, 1)
    );
}

#[test]
fn a_journal_with_something_left_to_do() {
    let Some(image) = volume() else { return };
    image.put("/file", &noise(5000, 1));
    let log = image.open().lookup("/$LogFile").unwrap().layout().unwrap();
    let start = log.on_volume(0..4096).unwrap()[0].start;
    let mut page = vec![0; 4096];
    put(&mut page, 0, b"RSTR\x1e\0\x09\0");
    put(&mut page, 16, &4096u32.to_le_bytes());
    put(&mut page, 24, &[0x30]);
    put(&mut page, 0x1e, &[1]);
    (510..4096).step_by(512).for_each(|end| page[end] = 1);
    image.patch(start, &page);
    assert_eq!(obstacles(&image, "/file"), [Obstacle::Unclean]);
    // The flag that says that the volume was unmounted.
    image.patch(start + 0x30 + 14, &[2]);
    assert_eq!(obstacles(&image, "/file"), []);
    image.patch(start + 1022, &[9]);
    assert_eq!(
        obstacles(&image, "/file"),
        [Obstacle::Unclean],
        "a torn page says nothing"
    );
}

#[test]
fn windows_that_sleeps() {
    let Some(image) = volume() else { return };
    image.put("/file", &noise(5000, 1));
    image.put("/HiberFil.sys", &[0; 8192]);
    let layout = image.open().lookup("/hiberfil.sys").unwrap().layout().unwrap();
    let memory = layout.on_volume(0..8192).unwrap()[0].start;
    for (start, sleeps) in [
        (&b"hibr"[..], true),
        (b"HIBR", true),
        (b"rstr", true),
        (b"wake", false),
        (b"WAKE", false),
        (b"\0\0\0\0", false),
    ] {
        image.patch(memory, start);
        let expected = if sleeps { vec![Obstacle::Hibernated] } else { vec![] };
        assert_eq!(obstacles(&image, "/file"), expected, "{}", start.escape_ascii());
    }
}

#[test]
fn an_encrypted_file_is_refused_by_name() {
    let Some(image) = volume() else { return };
    image.put("/file", &noise(5000, 1));
    let number = record(&image, "/file");
    image.change(|bytes| change_attribute(bytes, number, DATA, |data| put(data, 12, &0x4000u16.to_le_bytes())));
    let volume = image.open();
    let file = volume.lookup("/file").unwrap();
    assert!(file.streams()[0].encrypted);
    assert!(matches!(file.content(), Err(Error::Encrypted { .. })));
    let layout = file.layout().unwrap();
    assert_eq!(layout.obstacles, [Obstacle::Encrypted]);
    assert!(
        layout
            .extents
            .iter()
            .all(|extent| matches!(extent.place, Place::Encoded { .. }))
    );
}

#[test]
fn what_was_never_written_reads_as_zeros() {
    let Some(image) = volume() else { return };
    let bytes = noise(50_000, 2);
    image.put("/file", &bytes);
    let number = record(&image, "/file");
    image.change(|bytes| change_attribute(bytes, number, DATA, |data| put(data, 56, &30_001u64.to_le_bytes())));
    let volume = image.open();
    let file = volume.lookup("/file").unwrap();
    let read = all(&file.content().unwrap());
    assert_eq!(read, image.cat("/file"));
    assert_eq!(read[..30_001], bytes[..30_001]);
    assert!(read[30_001..].iter().all(|&byte| byte == 0));
    let layout = file.layout().unwrap();
    assert!(matches!(layout.extents.last().unwrap().place, Place::Unwritten { .. }));
    assert_eq!(layout.extents.last().unwrap().file, 30_001..50_000);
    assert_eq!(layout.on_volume(30_000..30_002), None);
    assert_eq!(file.content().unwrap().next_data(30_001).unwrap(), None);
}

#[test]
fn a_torn_record_is_told() {
    let Some(image) = volume() else { return };
    image.put("/file", b"small");
    let number = record(&image, "/file");
    let start = mft(&image.bytes()) + number * 1024;
    image.patch(start as u64 + 1022, &[0xee, 0xee]);
    let error = image.open().lookup("/file").unwrap_err();
    assert!(
        matches!(error, Error::Torn { offset, sector: 1 } if offset == start as u64),
        "{error}"
    );
    let told: Vec<_> = image.open().walk().unwrap().filter_map(Result::err).collect();
    assert!(told.is_empty(), "the directory has what a listing shows");
    image.patch(start as u64, b"BAAD");
    assert!(image.open().lookup("/file").unwrap_err().to_string().contains("BAAD"));
}

#[test]
fn other_volumes_and_cut_ones() {
    let Some(image) = volume() else { return };
    let bytes = image.bytes();
    assert!(matches!(Ntfs::open(&bytes[..300]), Err(Error::Read { offset: 0, .. })));
    assert!(matches!(Ntfs::open(&bytes[..20_000]), Err(Error::Read { .. })));
    let mut other = bytes.clone();
    put(&mut other, 3, b"-FVE-FS-");
    assert!(matches!(Ntfs::open(other), Err(Error::BitLocker)));
    let zeros = vec![0; 4096];
    assert!(matches!(Ntfs::open(zeros), Err(Error::NotNtfs { .. })));
}

/// A volume with something of everything, as bytes, and which of them mean something.
static EVERYTHING: LazyLock<Option<(Vec<u8>, Vec<usize>)>> = LazyLock::new(|| {
    let image = volume()?;
    image.put("/content", &text(40_000));
    for number in 0..60 {
        image.put(&format!("/with a rather long name {number}"), b"small");
    }
    image.mount(|root| {
        fs::create_dir_all(root.join("a/b/c")).unwrap();
        fs::write(root.join("a/b/c/deep"), b"down here").unwrap();
        let packed = root.join("packed");
        fs::create_dir(&packed).unwrap();
        tool("setfattr")
            .args(["-n", "system.ntfs_attrib_be", "-v", "0x00000800"])
            .arg(&packed)
            .status()
            .unwrap();
        fs::write(packed.join("text"), text(100_000)).unwrap();
        fs::write(root.join("a:stream"), noise(3000, 1)).unwrap();
        std::os::unix::fs::symlink("a", root.join("link")).unwrap();
    });
    let names = record(&image, "/");
    image.change(|bytes| {
        split(bytes, names, 0xa0, 16);
        split(bytes, 0, DATA, 17);
    });
    let bytes = image.bytes();
    let meaningful = (0..512).chain((512..bytes.len()).step_by(512).flat_map(|start| {
        let sector = &bytes[start..start + 512];
        let record = [&b"FILE"[..], b"INDX"].iter().any(|magic| sector.starts_with(magic));
        // Records, and the sectors behind them.
        (start..if record { start + 1024 } else { start }).filter(|&at| at < bytes.len())
    }));
    let meaningful = meaningful.filter(|&at| at % 512 < 510).collect();
    Some((bytes, meaningful))
});

/// Reads whatever can be read, which must come to an end.
fn read_everything(bytes: &[u8]) {
    let started = Instant::now();
    let Ok(volume) = Ntfs::open(bytes) else { return };
    let _ = volume.info();
    let _ = volume.obstacles();
    for path in [
        "/content",
        "/A/B/C/DEEP",
        "/packed/text",
        "/with a rather long name 33",
        "/link/x",
    ] {
        let _ = volume.lookup(path);
    }
    let mut seen = BTreeSet::new();
    for entry in volume.walk().into_iter().flatten().take(2000) {
        let Ok(file) = entry.and_then(|entry| volume.file(entry.entry.reference)) else {
            continue;
        };
        if !seen.insert(file.reference()) {
            continue;
        }
        let _ = (file.stat(), file.names(), file.reparse());
        for info in file.streams() {
            let name = info.name.to_string();
            if let Ok(layout) = file.layout_of(&name) {
                let end = layout.extents.last().map_or(0, |extent| extent.file.end);
                assert_eq!(end, layout.size);
            }
            if let Ok(stream) = file.stream(&name) {
                let mut buf = vec![0; stream.len().min(100_000) as usize];
                let _ = stream.read_exact_at(0, &mut buf);
                let _ = stream.read_exact_at(stream.len().saturating_sub(10), &mut [0; 10]);
                let _ = stream.next_data(0);
            }
        }
    }
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "took {:?}",
        started.elapsed()
    );
}

#[test]
fn the_volume_with_everything_is_right_before_it_is_damaged() {
    let Some((bytes, meaningful)) = &*EVERYTHING else {
        return;
    };
    assert!(meaningful.len() > 50_000);
    let volume = Ntfs::open(bytes.as_slice()).unwrap();
    assert!(volume.walk().unwrap().all(|entry| entry.is_ok()));
    assert_eq!(
        all(&volume.lookup("/content").unwrap().content().unwrap()),
        text(40_000)
    );
    read_everything(bytes);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(80) })]

    #[test]
    fn damage_is_no_danger(damage in vec((any::<u32>(), any::<u8>()), 1..200)) {
        if let Some((bytes, meaningful)) = &*EVERYTHING {
            let mut bytes = bytes.clone();
            for (place, value) in damage {
                let usual = [0, 1, 0x7f, 0x80, 0xff][usize::from(value) % 5];
                bytes[meaningful[place as usize % meaningful.len()]] = if value < 128 { value } else { usual };
            }
            read_everything(&bytes);
        }
    }

    #[test]
    fn a_damaged_first_record_or_directory_is_no_danger(
        damage in vec((0usize..8, any::<u16>(), any::<u8>()), 1..20)
    ) {
        if let Some((bytes, _)) = &*EVERYTHING {
            let mut bytes = bytes.clone();
            for (which, place, value) in damage {
                let record = [0, 0, 5, 5, 16, 17, 3, 10][which];
                let place = usize::from(place) % 700;
                if place % 512 < 510 {
                    let at = mft(&bytes) + record * 1024 + place;
                    bytes[at] = value;
                }
            }
            read_everything(&bytes);
        }
    }

    #[test]
    fn damaged_boot_sectors_are_no_danger(damage in vec((11usize..90, any::<u8>()), 1..4)) {
        if let Some((bytes, _)) = &*EVERYTHING {
            let mut bytes = bytes.clone();
            damage.into_iter().for_each(|(place, value)| bytes[place] = value);
            read_everything(&bytes);
        }
    }
}

#[test]
fn directories_in_a_circle_are_found() {
    let Some(image) = volume() else { return };
    let filled = image.mount(|root| fs::create_dir_all(root.join("outer/inner")).unwrap());
    if !filled {
        return;
    }
    let [outer, inner] = ["/outer", "/outer/inner"].map(|path| image.open().lookup(path).unwrap().reference());
    image.change(|bytes| {
        // "inner" gets the index of "outer", and what it calls "inner" is "outer".
        let outer_record = &bytes[mft(bytes) + outer.record as usize * 1024..][..1024];
        let at = attribute(outer_record, 0x90);
        let index = outer_record[at..][..number(outer_record, at + 4, 4) as usize].to_vec();
        change_record(bytes, inner.record as usize, |record| {
            let at = attribute(record, 0x90);
            let mut root = index.clone();
            put(
                &mut root,
                32 + 32,
                &(outer.record | u64::from(outer.sequence) << 48).to_le_bytes(),
            );
            record[at..].fill(0);
            put(record, at, &root);
            put(record, at + root.len(), &[0xff; 4]);
            let used = (at + root.len() + 8) as u32;
            put(record, 24, &used.to_le_bytes());
        });
    });
    let told: Vec<_> = image.open().walk().unwrap().filter_map(Result::err).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        matches!(&told[0], Error::DirectoryLoop { path, .. } if path == "/outer/inner/inner"),
        "{told:?}"
    );
}
