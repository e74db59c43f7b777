//! Hives against hivex, and against what Windows' format says.

mod boot;
mod builder;
mod hostile;
mod logs;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use vhd_mbr::registry::windows::{self, StartType};
use vhd_mbr::registry::{self, Error, Hive, ValueType};
use vhd_mbr::xen_disk::ReadAt;

use crate::builder::{Key, hive, text};

/// All values of a hive, by key and name: the type's number and the data.
pub(crate) type All = BTreeMap<(String, String), (u32, Vec<u8>)>;

pub(crate) fn all<S: ReadAt>(hive: &Hive<S>) -> Result<All, Error> {
    fn walk<S: ReadAt>(key: &registry::Key<'_, S>, found: &mut All) -> Result<(), Error> {
        for value in key.values()? {
            let value = value?;
            let kind = (0..12).find(|number| ValueType::from(*number) == value.kind());
            let place = (key.path().to_owned(), value.name().to_owned());
            found.insert(place, (kind.unwrap_or(99), value.data()?));
        }
        for within in key.subkeys()? {
            walk(&within?, found)?;
        }
        Ok(())
    }
    let mut found = All::new();
    walk(&hive.root()?, &mut found)?;
    Ok(found)
}

/// The same as hivex reads it; none where it is missing, which it must not be where tests run for everyone.
fn by_hivex(file: &Path) -> Option<All> {
    let output = Command::new("hivexregedit")
        .arg("--export")
        .arg(file)
        .arg("\\")
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "hivexregedit: {error}");
            eprintln!("skipped: hivexregedit: {error}");
            return None;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let exported = String::from_utf8(output.stdout).unwrap();
    let mut found = All::new();
    let mut key = String::new();
    for line in exported.lines().skip(1).filter(|line| !line.is_empty()) {
        if let Some(path) = line.strip_prefix("[\\") {
            key = path.strip_suffix(']').unwrap().to_owned();
            continue;
        }
        let (name, data) = match line.strip_prefix("@=") {
            Some(data) => (String::new(), data),
            None => {
                let (name, data) = line[1..].split_once("\"=").unwrap();
                (name.replace("\\\\", "\\"), data)
            }
        };
        let value = match data.strip_prefix("dword:") {
            Some(number) => (4, u32::from_str_radix(number, 16).unwrap().to_le_bytes().to_vec()),
            None => {
                let (kind, bytes) = data.strip_prefix("hex(").unwrap().split_once("):").unwrap();
                let bytes = bytes.split(',').filter(|byte| !byte.is_empty());
                let bytes = bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
                (u32::from_str_radix(kind, 16).unwrap(), bytes)
            }
        };
        found.insert((key.clone(), name), value);
    }
    Some(found)
}

/// The hive of `SYSTEM`, as far as drivers need it, and with all that a hive can have.
pub(crate) fn system() -> Key<'static> {
    let driver = |name, start: u32| {
        Key::new(name)
            .value("Start", 4, start.to_le_bytes())
            .value("Type", 4, 1_u32.to_le_bytes())
            .value("ImagePath", 2, text("System32\\drivers\\x.sys"))
    };
    let many: Vec<&'static str> = (0..3000).map(|number| &*format!("key {number:05}").leak()).collect();
    let mut crowd = Key::new("Crowd");
    crowd.keys = many
        .iter()
        .map(|name| Key::new(name).value("", 1, text(name)))
        .collect();
    Key::new("ROOT")
        .key(Key::new("Select").value("Current", 4, 1_u32.to_le_bytes()))
        .key(
            Key::new("ControlSet001").key(
                Key::new("Services")
                    .key(driver("xenbus", 0))
                    .key(driver("XENVBD", 3))
                    .key(Key::new("Folder").value("Other", 1, text("no service"))),
            ),
        )
        .key(
            Key::new("Kinds")
                .value("", 1, text("nameless"))
                .value("empty", 3, [])
                .value("three bytes", 3, [1, 2, 3])
                .value("several", 7, [text("one"), text("two"), vec![0, 0]].concat())
                .value("long number", 11, 0x1122_3344_5566_7788_u64.to_le_bytes())
                .value("big endian", 5, 7_u32.to_be_bytes())
                .value("grüße \u{1f600}", 1, text("\u{1f600}"))
                .value("one cell", 3, vec![5; 16_344])
                .value(
                    "segments",
                    3,
                    (0..50_000_u32).map(|place| place as u8).collect::<Vec<_>>(),
                ),
        )
        .key(crowd)
        .key(Key::new("Ünïcödé \u{1f600}").key(Key::new("deeper").value("value", 1, text("there"))))
}

#[test]
fn everything_is_read_as_hivex_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("SYSTEM");
    for minor in [3, 5] {
        let bytes = hive(&system(), minor);
        std::fs::write(&file, &bytes).unwrap();
        let opened = Hive::open(&bytes).unwrap();
        assert!(!opened.is_dirty() && opened.base().is_checksum_right);
        let ours = all(&opened).unwrap();
        assert_eq!(ours.len(), 3000 + 10 + 8);
        let Some(theirs) = by_hivex(&file) else { return };
        assert!(ours == theirs, "version 1.{minor}");
    }
}

#[test]
fn a_hive_that_hivex_has_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hive");
    std::fs::write(&file, hive(&Key::new("ROOT"), 3)).unwrap();
    let mut script = String::from("Windows Registry Editor Version 5.00\n\n");
    for number in 0..700 {
        let name = format!("{:x}", number * 7919 % 1000);
        script += &format!("[\\k{name}]\n\"number\"=dword:{number:08x}\n@=\"{name}\"\n\n");
        script += &format!(
            "[\\k{name}\\within]\n\"bytes\"=hex(3):{}\n\n",
            vec!["ab"; number].join(",")
        );
    }
    std::fs::write(folder.path().join("script"), script).unwrap();
    let merged = Command::new("hivexregedit")
        .args(["--merge"])
        .args([&file, &folder.path().join("script")])
        .output();
    match merged {
        Ok(merged) => assert!(merged.status.success(), "{}", String::from_utf8_lossy(&merged.stderr)),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "hivexregedit: {error}");
            return eprintln!("skipped: hivexregedit: {error}");
        }
    }
    let ours = all(&Hive::open(std::fs::File::open(&file).unwrap()).unwrap()).unwrap();
    assert!(ours.len() > 2000 && Some(ours) == by_hivex(&file));
}

#[test]
fn values_are_what_they_are_said_to_be() {
    let bytes = hive(&system(), 5);
    let hive = Hive::open(&bytes).unwrap();
    let kinds = hive.key("kinds").unwrap();
    assert_eq!(kinds.value("").unwrap().string().unwrap(), "nameless");
    assert_eq!(kinds.value("SEVERAL").unwrap().strings().unwrap(), ["one", "two"]);
    assert_eq!(
        kinds.value("long number").unwrap().u64().unwrap(),
        0x1122_3344_5566_7788
    );
    assert_eq!(kinds.value("big endian").unwrap().u32().unwrap(), 7);
    assert_eq!(
        hive.value("ünïCÖDÉ \u{1f600}\\Deeper", "VALUE")
            .unwrap()
            .string()
            .unwrap(),
        "there"
    );
    let error = kinds.value("empty").unwrap().u32().unwrap_err().to_string();
    assert!(error.contains("REG_BINARY of 0 bytes"), "{error}");
    let error = hive.key("Kinds\\nothing\\deeper").unwrap_err().to_string();
    assert_eq!(error, r#"there is no key "nothing" in "Kinds""#);
    assert!(matches!(hive.value("Kinds", "nothing"), Err(Error::NoValue { .. })));
    let written = kinds.written().to_system_time().unwrap();
    assert_eq!(
        written.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(),
        1_655_526_400
    );
}

/// A hive's bytes after a change.
pub(crate) fn changed(bytes: &[u8], changes: &[vhd_mbr::patch::Change]) -> Vec<u8> {
    use vhd_mbr::layout::{Extent, Layout, Place};
    use vhd_mbr::patch::{OnDisk, WritePlan};
    let mut disk = bytes.to_vec();
    let size = disk.len() as u64;
    let layout = Layout::new(size, vec![Extent::new(0..size, Place::Data { offset: 0 })]);
    let plan = WritePlan::for_file(&disk, &OnDisk::from(0..size), &layout, changes).unwrap();
    plan.apply(&mut disk).unwrap();
    disk
}

#[test]
fn a_driver_is_turned_off_with_one_byte() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("SYSTEM");
    let bytes = hive(&system(), 5);
    let hive = Hive::open(&bytes).unwrap();
    let services = windows::services(&hive).unwrap();
    let names: Vec<_> = services.iter().map(|service| (&*service.name, service.start)).collect();
    assert_eq!(names, [("xenbus", StartType::Boot), ("XENVBD", StartType::Manual)]);
    assert!(services[0].is_driver() && services[0].image_path.is_some());

    let new = changed(&bytes, &windows::disable_driver(&hive, "XenBus").unwrap());
    let differing: Vec<_> = (0..bytes.len()).filter(|&at| bytes[at] != new[at]).collect();
    assert_eq!(differing.len(), 1);
    let opened = Hive::open(&new).unwrap();
    assert_eq!(windows::services(&opened).unwrap()[0].start, StartType::Disabled);
    std::fs::write(&file, &new).unwrap();
    if let Some(theirs) = by_hivex(&file) {
        let place = (r"ControlSet001\Services\xenbus".to_owned(), "Start".to_owned());
        assert_eq!(theirs[&place], (4, vec![4, 0, 0, 0]));
    }
    let missing = windows::disable_driver(&hive, "nothing").unwrap_err().to_string();
    assert!(
        missing.contains(r#"no key "nothing" in "ControlSet001\\Services""#),
        "{missing}"
    );
}

#[test]
fn data_does_not_become_longer_than_one_cell_may_hold() {
    for (minor, takes) in [(3, true), (5, false)] {
        let bytes = hive(&Key::new("ROOT").value("edge", 3, vec![1; 16_344]), minor);
        let hive = Hive::open(&bytes).unwrap();
        let changed = hive.value("", "edge").unwrap().change(&[2; 16_346]);
        assert_eq!(changed.is_ok(), takes, "version 1.{minor}");
    }
}

#[test]
fn data_is_changed_as_far_as_there_is_room() {
    let bytes = hive(&system(), 5);
    let hive = Hive::open(&bytes).unwrap();
    let change = |name: &str, data: &[u8]| {
        let changes = hive.value("Kinds", name)?.change(data)?;
        let new = changed(&bytes, &changes);
        Hive::open(&new)?.value("Kinds", name)?.data()
    };
    let shorter = text("short");
    assert_eq!(change("", &shorter).unwrap(), shorter);
    assert_eq!(change("three bytes", &[9; 4]).unwrap(), [9; 4]);
    assert_eq!(change("empty", &[9]).unwrap(), [9]);
    assert_eq!(change("segments", &[8; 50_000]).unwrap(), [8; 50_000]);
    for (name, data) in [
        ("three bytes", &[0; 5][..]),
        ("", &[0; 4]),
        ("", &[0; 100]),
        ("segments", &[0; 49_999]),
        ("one cell", &[0; 16_400]),
    ] {
        let refused = change(name, data).unwrap_err();
        assert!(matches!(refused, Error::NoRoom { .. }), "{name}: {refused}");
    }
}
