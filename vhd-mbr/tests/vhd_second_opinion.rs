//! VHDs that qemu makes read by us, and ours read by qemu and libvhdi.
#![cfg(unix)]

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use vhd_mbr::Guid;
use vhd_mbr::vhd::{
    Chain, Creator, Finding, Kind, Parent, Severity, Vhd, VhdStream, Writer, apply, changed_ranges, check, copy_to_raw,
};
use vhd_mbr::xen_disk::{ReadAt, WriteAt};

const MIB: u64 = 1 << 20;

/// Whether the program can be run; where it cannot, the test is skipped, but not in CI.
fn have(program: &str, args: &[&str]) -> bool {
    let found = Command::new(program).args(args).output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "{program} {args:?} must work in CI"
        );
        eprintln!("skipped: {program} {args:?} does not work");
    }
    found
}

fn have_qemu() -> bool {
    have("qemu-img", &["--version"])
}

/// Debian's Python, for which its packages are.
const PYTHON: &str = "/usr/bin/python3";

fn have_libvhdi() -> bool {
    have(PYTHON, &["-c", "import pyvhdi"])
}

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {args:?}: {text}");
    String::from_utf8(output.stdout).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Bytes that look random and are the same every time.
fn fill(seed: u64, bytes: &mut [u8]) {
    let mut random = fastrand::Rng::with_seed(seed);
    random.fill(bytes);
}

/// A raw image with data at its ends, in the middle of blocks and across two of them.
fn sample(folder: &Path, size: u64) -> PathBuf {
    let path = folder.join("sample.raw");
    let mut image = File::create_new(&path).unwrap();
    image.set_len(size).unwrap();
    let mut put = |seed, offset: u64, len: u64| {
        let mut bytes = vec![0; len as usize];
        fill(seed, &mut bytes);
        image.write_all_at(offset, &bytes).unwrap();
    };
    put(1, 0, 4096);
    put(2, 2 * MIB - 700, 1400);
    put(3, 9 * MIB + 123, MIB);
    put(4, size - 1000, 1000);
    path
}

fn write(plan: &vhd_mbr::vhd::Plan<impl ReadAt>, path: &Path) {
    let written = plan.write_to(&mut File::create(path).unwrap()).unwrap();
    assert_eq!(written, plan.size());
    assert_eq!(fs::metadata(path).unwrap().len(), plan.size());
}

fn open(path: &Path) -> Vhd<File> {
    Vhd::open(File::open(path).unwrap()).unwrap()
}

/// Compares whole disks, and what they say of their holes.
fn assert_same(disk: &impl ReadAt, raw: &Path) {
    let expected = fs::read(raw).unwrap();
    assert_eq!(disk.size().unwrap(), expected.len() as u64);
    let mut found = vec![0xee; expected.len()];
    disk.read_exact_at(0, &mut found).unwrap();
    assert!(found == expected, "the disk differs from {}", raw.display());
    let mut at = 0;
    while let Some(data) = disk.next_data(at).unwrap() {
        let start = data.start.max(at);
        assert!(data.end > at, "{data:?} at {at}");
        assert!(expected[at as usize..start as usize].iter().all(|&byte| byte == 0));
        at = data.end;
    }
    assert!(expected[at as usize..].iter().all(|&byte| byte == 0));
}

fn to_raw(disk: &impl ReadAt, path: &Path) {
    copy_to_raw(disk, &mut File::create(path).unwrap()).unwrap();
}

#[test]
fn qemu_reads_what_we_write() {
    if !have_qemu() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    // Not what cylinders, heads and sectors can tell.
    let raw = sample(folder, 21 * MIB + 512 * 5);
    let vhd = folder.join("ours.vhd");
    let image = File::open(&raw).unwrap();
    for plan in [Writer::dynamic(&image), Writer::fixed(&image)] {
        write(&plan.plan().unwrap(), &vhd);
        run(
            "qemu-img",
            &["compare", "-f", "vpc", "-F", "raw", text(&vhd), text(&raw)],
        );
        let info = run("qemu-img", &["info", "-f", "vpc", "--output=json", text(&vhd)]);
        let info: serde_json::Value = serde_json::from_str(&info).unwrap();
        assert_eq!(info["virtual-size"], 21 * MIB + 512 * 5);
        assert_same(&open(&vhd), &raw);
        assert_eq!(check(&File::open(&vhd).unwrap()).unwrap().severity(), None);
    }
}

#[test]
fn qemu_cuts_disks_of_virtual_pc_and_the_check_says_by_how_much() {
    if !have_qemu() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let raw = sample(folder, 64 * MIB);
    let vhd = folder.join("virtual_pc.vhd");
    let image = File::open(&raw).unwrap();
    write(
        &Writer::dynamic(&image).creator(Creator::VIRTUAL_PC).plan().unwrap(),
        &vhd,
    );
    let info = run("qemu-img", &["info", "-f", "vpc", "--output=json", text(&vhd)]);
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    let shown = info["virtual-size"].as_u64().unwrap();
    let report = check(&File::open(&vhd).unwrap()).unwrap();
    assert_eq!(
        report.findings,
        [Finding::CutByQemu {
            bytes: 64 * MIB - shown
        }]
    );
    assert_same(&open(&vhd), &raw);
}

#[test]
fn we_read_what_qemu_writes() {
    if !have_qemu() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let raw = sample(folder, 21 * MIB + 512 * 5);
    for (kind, options) in [
        (Kind::Dynamic, "subformat=dynamic,force_size=on"),
        (Kind::Fixed, "subformat=fixed,force_size=on"),
    ] {
        let vhd = folder.join("theirs.vhd");
        run(
            "qemu-img",
            &[
                "convert",
                "-f",
                "raw",
                "-O",
                "vpc",
                "-o",
                options,
                text(&raw),
                text(&vhd),
            ],
        );
        let disk = open(&vhd);
        assert_eq!(disk.footer().kind, kind);
        assert_eq!(disk.footer().creator, Creator::QEMU_EXACT);
        assert_same(&disk, &raw);
        let back = folder.join("back.raw");
        to_raw(&disk, &back);
        assert_same(&File::open(&back).unwrap(), &raw);
        let report = check(&File::open(&vhd).unwrap()).unwrap();
        assert!(report.severity() <= Some(Severity::Note), "{report:?}");
        if kind == Kind::Dynamic {
            let mut stream = VhdStream::open(File::open(&vhd).unwrap()).unwrap();
            stream.copy_to(&mut File::create(&back).unwrap()).unwrap();
            assert_same(&File::open(&back).unwrap(), &raw);
        }
    }
}

#[test]
fn qemu_reads_what_we_add_in_blocks() {
    if !have_qemu() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let raw = sample(folder, 21 * MIB);
    let vhd = folder.join("theirs.vhd");
    let options = "subformat=dynamic,force_size=on";
    run(
        "qemu-img",
        &[
            "convert",
            "-f",
            "raw",
            "-O",
            "vpc",
            "-o",
            options,
            text(&raw),
            text(&vhd),
        ],
    );
    let file = OpenOptions::new().read(true).write(true).open(&vhd).unwrap();
    let mut disk = Vhd::open(file).unwrap().allocating().unwrap();
    let mut image = OpenOptions::new().read(true).write(true).open(&raw).unwrap();
    let mut bytes = vec![0; MIB as usize];
    for (seed, offset, len) in [
        (10, 5 * MIB + 77, 3000),
        (11, 100, 5),
        (12, 15 * MIB, MIB),
        (13, 21 * MIB - 1, 1),
    ] {
        let part = &mut bytes[..len as usize];
        fill(seed, part);
        disk.write_all_at(offset, part).unwrap();
        image.write_all_at(offset, part).unwrap();
    }
    assert_same(&disk, &raw);
    drop(disk);
    assert_same(&open(&vhd), &raw);
    run(
        "qemu-img",
        &["compare", "-f", "vpc", "-F", "raw", text(&vhd), text(&raw)],
    );
    // qemu writes a bitmap that is all ones, so that nothing of ours can be missing for it.
    let report = check(&File::open(&vhd).unwrap()).unwrap();
    assert!(report.severity() <= Some(Severity::Note), "{report:?}");
}

const READ_CHAIN: &str = r"
import sys, pyvhdi
below = None
files = []
for path in sys.argv[2:]:
    file = pyvhdi.file()
    file.open(path)
    if below is not None:
        assert file.get_parent_identifier() == below.get_identifier()
        file.set_parent(below)
    files.append(file)
    below = file
out = open(sys.argv[1], 'wb')
left = below.get_media_size()
while left:
    piece = below.read_buffer(min(left, 1 << 20))
    out.write(piece)
    left -= len(piece)
print(files[-1].get_parent_filename())
";

/// Four layers, each with changes of its own, as raw images and as VHDs.
fn chain_in(folder: &Path, granularity: u64) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let mut raws = vec![sample(folder, 16 * MIB)];
    let mut vhds = vec![folder.join("0.vhd")];
    write(
        &Writer::dynamic(File::open(&raws[0]).unwrap()).plan().unwrap(),
        &vhds[0],
    );
    for layer in 1..4_u64 {
        let raw = folder.join(format!("{layer}.raw"));
        let below = raws.last().unwrap();
        fs::copy(below, &raw).unwrap();
        let mut image = OpenOptions::new().read(true).write(true).open(&raw).unwrap();
        let mut bytes = vec![0; 5000];
        for place in 0..4 {
            fill(layer * 10 + place, &mut bytes);
            image.write_all_at(layer * 700_001 + place * 4 * MIB, &bytes).unwrap();
        }
        image.write_all_at(9 * MIB, &[0; 64 << 10]).unwrap();

        let base = File::open(below).unwrap();
        let parent = open(vhds.last().unwrap());
        let name = vhds.last().unwrap().file_name().unwrap().to_str().unwrap();
        let changed = changed_ranges(&image, &base, granularity).unwrap();
        let plan = Writer::differencing(&image, Parent::vhd(parent.footer()).path(name), changed);
        let vhd = folder.join(format!("{layer}.vhd"));
        write(&plan.plan().unwrap(), &vhd);
        raws.push(raw);
        vhds.push(vhd);
    }
    (raws, vhds)
}

#[test]
fn chains_are_read_and_merged_and_applied() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let (raws, vhds) = chain_in(folder, 512);
    for (raw, vhd) in raws.iter().zip(&vhds) {
        let chain = Chain::open(vhd).unwrap();
        assert_same(&chain, raw);
        assert_eq!(check(&File::open(vhd).unwrap()).unwrap().severity(), None);
    }
    let top = Chain::open(&vhds[3]).unwrap();
    assert_eq!(top.files().len(), 4);

    let merged = folder.join("merged.vhd");
    write(&Writer::dynamic(&top).plan().unwrap(), &merged);
    assert_same(&open(&merged), &raws[3]);

    // Each difference brings the disk below to what the chain is there.
    let mut disk = fs::read(&raws[0]).unwrap();
    for (raw, vhd) in raws.iter().zip(&vhds).skip(1) {
        let delta = Vhd::open(File::open(vhd).unwrap()).unwrap();
        let mut streamed = disk.clone();
        let written = apply(&delta, &mut disk).unwrap();
        assert_eq!(disk, fs::read(raw).unwrap());
        let mut stream = VhdStream::open(File::open(vhd).unwrap()).unwrap();
        assert_eq!(stream.apply_to(&mut streamed).unwrap(), written);
        assert_eq!(disk, streamed);
    }

    if have_qemu() {
        run(
            "qemu-img",
            &["compare", "-f", "vpc", "-F", "raw", text(&merged), text(&raws[3])],
        );
    }
}

/// libvhdi 20210425 takes a sector for present where an earlier one in the same byte of the bitmap is, so the changes
/// must come in eight sectors at once.
#[test]
fn libvhdi_reads_our_chains() {
    if !have_libvhdi() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let (raws, vhds) = chain_in(folder, 4096);
    for depth in 1..=4 {
        let out = folder.join("libvhdi.raw");
        let mut args = vec!["-c", READ_CHAIN, text(&out)];
        args.extend(vhds[..depth].iter().map(|path| text(path)));
        let parent = run(PYTHON, &args);
        if depth > 1 {
            assert_eq!(parent.trim(), format!("{}.vhd", depth - 2));
        }
        let (found, expected) = (fs::read(&out).unwrap(), fs::read(&raws[depth - 1]).unwrap());
        assert!(found == expected, "{depth} layers");
    }
}

#[test]
fn libvhdi_reads_the_ids_and_the_last_sector() {
    if !have_libvhdi() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let raw = sample(folder, 21 * MIB + 512 * 5);
    let vhd = folder.join("ours.vhd");
    let id: Guid = "0F1E2D3C-4B5A-6978-8796-A5B4C3D2E1F0".parse().unwrap();
    write(&Writer::dynamic(File::open(&raw).unwrap()).id(id).plan().unwrap(), &vhd);
    let print =
        "import sys, pyvhdi; f = pyvhdi.file(); f.open(sys.argv[1]); print(f.get_identifier(), f.get_media_size())";
    let printed = run(PYTHON, &["-c", print, text(&vhd)]);
    assert_eq!(printed.trim().to_uppercase(), format!("{id} {}", 21 * MIB + 512 * 5));
    let out = folder.join("out.raw");
    run(PYTHON, &["-c", READ_CHAIN, text(&out), text(&vhd)]);
    assert!(fs::read(&out).unwrap() == fs::read(&raw).unwrap());
}
