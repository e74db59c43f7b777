//! qcow2 images made and compared by `qemu-img`.
#![cfg(all(feature = "qcow2", unix))]

use std::fs::{self, File};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use vhd_mbr::qcow2::{self, OpenOptions, Qcow2};
use vhd_mbr::vhd::copy_to_raw;
use vhd_mbr::xen_disk::{ReadAt, WriteAt};

const MIB: u64 = 1 << 20;

fn have_qemu() -> bool {
    let found = Command::new("qemu-img").arg("--version").output().is_ok();
    if !found {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "qemu-img must be installed in CI"
        );
        eprintln!("skipped: qemu-img is not installed");
    }
    found
}

fn qemu_img(args: &[&str]) -> String {
    let output = Command::new("qemu-img").args(args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {text}");
    String::from_utf8(output.stdout).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A raw image with data at its ends and in the middle.
fn sample(folder: &Path, size: u64) -> PathBuf {
    let path = folder.join("sample.raw");
    let mut image = File::create_new(&path).unwrap();
    image.set_len(size).unwrap();
    let mut bytes = vec![0; 2 * MIB as usize];
    fastrand::Rng::with_seed(1).fill(&mut bytes);
    image.write_all_at(0, &bytes[..700]).unwrap();
    image.write_all_at(3 * MIB + 1, &bytes).unwrap();
    image.write_all_at(size - 5, &bytes[..5]).unwrap();
    path
}

fn assert_same(disk: &impl ReadAt, raw: &Path) {
    let expected = fs::read(raw).unwrap();
    let mut found = vec![0xee; expected.len()];
    assert_eq!(disk.size().unwrap(), expected.len() as u64);
    disk.read_exact_at(0, &mut found).unwrap();
    assert!(found == expected);
    assert!(disk.read_exact_at(expected.len() as u64 - 1, &mut [0; 2]).is_err());
    let mut copy = Cursor::new(Vec::new());
    copy_to_raw(disk, &mut copy).unwrap();
    assert!(copy.into_inner() == expected, "read by its holes, the disk is another");
}

#[test]
fn qemu_and_we_read_the_same() {
    if !have_qemu() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let raw = sample(folder, 21 * MIB + 512);
    let theirs = folder.join("theirs.qcow2");
    for options in [
        "cluster_size=64k",
        "cluster_size=4k,compat=0.10",
        "cluster_size=2M,preallocation=metadata",
    ] {
        qemu_img(&[
            "convert",
            "-f",
            "raw",
            "-O",
            "qcow2",
            "-o",
            options,
            text(&raw),
            text(&theirs),
        ]);
        assert_same(&Qcow2::open(&theirs).unwrap(), &raw);
    }
    qemu_img(&["convert", "-c", "-f", "raw", "-O", "qcow2", text(&raw), text(&theirs)]);
    assert_same(&Qcow2::open(&theirs).unwrap(), &raw);

    let ours = folder.join("ours.qcow2");
    qcow2::write(&Qcow2::open(&theirs).unwrap(), &ours).unwrap();
    qemu_img(&["check", "-f", "qcow2", text(&ours)]);
    qemu_img(&["compare", "-f", "qcow2", "-F", "raw", text(&ours), text(&raw)]);
    let info: serde_json::Value =
        serde_json::from_str(&qemu_img(&["info", "-f", "qcow2", "--output=json", text(&ours)])).unwrap();
    assert_eq!(info["virtual-size"], 21 * MIB + 512);
    assert!(fs::metadata(&ours).unwrap().len() < 4 * MIB, "zeros are left out");
    assert!(matches!(
        qcow2::write(&vec![1; 512], &ours),
        Err(qcow2::Error::Create { .. })
    ));
}

#[test]
fn backing_files_are_read_where_they_may_be() {
    if !have_qemu() {
        return;
    }
    let (folder, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let raw = sample(folder.path(), 8 * MIB);
    let middle = folder.path().join("middle.qcow2");
    let top = folder.path().join("top.qcow2");
    qemu_img(&["create", "-f", "qcow2", "-b", "sample.raw", "-F", "raw", text(&middle)]);
    qemu_img(&["create", "-f", "qcow2", "-b", "middle.qcow2", "-F", "qcow2", text(&top)]);
    assert_same(&Qcow2::open(&top).unwrap(), &raw);

    let elsewhere = other.path().join("top.qcow2");
    qemu_img(&[
        "create",
        "-f",
        "qcow2",
        "-b",
        text(&middle),
        "-F",
        "qcow2",
        text(&elsewhere),
    ]);
    let refused = Qcow2::open(&elsewhere).unwrap_err();
    assert!(matches!(refused, qcow2::Error::Open { .. }), "{refused}");
    let allowed = OpenOptions::new().allow_folder(folder.path()).open(&elsewhere).unwrap();
    assert_same(&allowed, &raw);

    // An image that is built on itself.
    qemu_img(&[
        "rebase",
        "-u",
        "-f",
        "qcow2",
        "-b",
        "top.qcow2",
        "-F",
        "qcow2",
        text(&middle),
    ]);
    assert!(Qcow2::open(&top).is_err());
    assert!(Qcow2::open(&raw).is_err());
}

/// Headers that are damaged anywhere, and those that have made readers panic or go on for hours.
#[test]
fn damaged_headers_are_errors() {
    if !have_qemu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let raw = sample(folder.path(), 8 * MIB);
    for version in ["compat=0.10", "compat=1.1", "compat=1.1,cluster_size=512"] {
        let path = folder.path().join("whole.qcow2");
        qemu_img(&["convert", "-O", "qcow2", "-o", version, text(&raw), text(&path)]);
        let whole = fs::read(&path).unwrap();
        let damaged = folder.path().join("damaged.qcow2");
        let reads = |change: &dyn Fn(&mut [u8])| {
            let mut image = whole.clone();
            change(&mut image);
            fs::write(&damaged, image).unwrap();
            let Ok(disk) = Qcow2::open(&damaged) else { return false };
            let read = disk.read_exact_at(3 * MIB, &mut [0; 4096]);
            disk.next_data(0).and(read).is_ok()
        };
        assert!(reads(&|_| ()));
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..300 {
            let (at, value) = (random.usize(4..512), random.u8(..));
            reads(&|image| image[at] = value);
        }
        let absurd_size = |image: &mut [u8]| image[24] = 0x0f;
        assert!(!reads(&absurd_size), "{version}");
        let names = whole[..512]
            .windows(4)
            .position(|mark| mark == [0x68, 0x03, 0xf8, 0x57]);
        assert_eq!(names.is_some(), version == "compat=1.1");
        if let Some(names) = names {
            assert!(!reads(&|image| image[names + 7] += 1), "{version}");
        }
    }
}
