//! Disks in one format and another.

use std::path::{Path, PathBuf};
use std::process::Output;

use tempfile::TempDir;
use tokio::process::Command;

use crate::harness::{Pool, complained, dense_disk, json, said, tool};
use xenapi_sim::{DiskImage, VmSpec};

struct Folder(TempDir);

impl Folder {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

async fn run(name: &str, args: &[&str], paths: &[&Path]) -> Output {
    let mut command = tool(name).unwrap();
    command.args(args).args(paths).output().await.unwrap()
}

/// What qemu makes of an image: a raw copy. It must be there where tests run for everyone.
async fn by_qemu(image: &Path, format: &str, raw: &Path) -> Option<Vec<u8>> {
    let mut convert = Command::new("qemu-img");
    convert.args(["convert", "-f", format, "-O", "raw"]).args([image, raw]);
    match convert.output().await {
        Ok(output) => {
            assert!(output.status.success(), "{}", complained(&output));
            Some(std::fs::read(raw).unwrap())
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "qemu-img: {error}");
            eprintln!("skipped: qemu-img: {error}");
            None
        }
    }
}

/// 9 MiB and a bit, with data at its start, in its middle and at its end.
fn disk() -> Vec<u8> {
    let mut disk = vec![0; (9 << 20) + 4096];
    disk[..512].fill(1);
    disk[(5 << 20) - 3..(5 << 20) + 3].fill(5);
    let end = disk.len() - 700;
    disk[end..].fill(9);
    disk
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_becomes_every_other() {
    let folder = Folder(tempfile::tempdir().unwrap());
    if tool("disk-tool").is_none() {
        return;
    }
    let raw = disk();
    let mut last = folder.path("0.raw");
    std::fs::write(&last, &raw).unwrap();
    for (number, extension) in ["vhd", "qcow2", "raw", "qcow2", "vhd", "img"].into_iter().enumerate() {
        let next = folder.path(&format!("{}.{extension}", number + 1));
        let output = run("disk-tool", &["convert"], &[&last, &next]).await;
        assert!(output.status.success(), "{extension}: {}", complained(&output));
        let info = json(&run("disk-tool", &["info", "--json"], &[&next]).await);
        assert_eq!(info["virtual_size"], raw.len() as u64, "{info}");
        let format = match extension {
            "vhd" => "vpc",
            "img" => "raw",
            other => other,
        };
        if let Some(read) = by_qemu(&next, format, &folder.path("copy")).await {
            assert!(read == raw, "{extension}");
        }
        last = next;
    }
    assert!(std::fs::read(&last).unwrap() == raw);
    let again = run("disk-tool", &["convert"], &[&folder.path("0.raw"), &last]).await;
    assert!(
        complained(&again).contains("cannot create"),
        "nothing is overwritten: {again:?}"
    );
    assert!(std::fs::read(&last).unwrap() == raw);
    let unnamed = run("disk-tool", &["convert"], &[&last, &folder.path("new")]).await;
    assert!(complained(&unnamed).contains("--format"), "{unnamed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_vhd_is_a_failure() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let (raw, vhd) = (folder.path("disk.raw"), folder.path("disk.vhd"));
    std::fs::write(&raw, disk()).unwrap();
    if tool("disk-tool").is_none() {
        return;
    }
    run("disk-tool", &["convert"], &[&raw, &vhd]).await;
    let sound = run("disk-tool", &["check"], &[&vhd]).await;
    assert!(sound.status.success() && said(&sound).contains("sound"), "{sound:?}");
    let bytes = std::fs::read(&vhd).unwrap();
    std::fs::write(&vhd, &bytes[..bytes.len() - 4096]).unwrap();
    let damaged = run("disk-tool", &["check"], &[&vhd]).await;
    assert_eq!(damaged.status.code(), Some(1), "{damaged:?}");
    assert!(said(&damaged).contains("damaged"), "{damaged:?}");
    let other = run("disk-tool", &["check"], &[&raw]).await;
    assert!(complained(&other).contains("only VHDs are checked"), "{other:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn disks_leave_archives_in_any_format_and_come_back() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let pool = Pool::new(0).await;
    let mut sparse = DiskImage::new(20 << 20);
    sparse.write(7 << 20, b"seven");
    pool.simulator
        .add_vm(VmSpec::new("sample").halted().disk(dense_disk(3)).disk(sparse))
        .unwrap();
    let Some(mut export) = pool.tool("vm-export") else {
        return;
    };
    let archive = folder.path("sample.xva");
    assert!(
        export
            .args(["--vm", "sample"])
            .arg(&archive)
            .output()
            .await
            .unwrap()
            .status
            .success()
    );
    let packed = folder.path("sample.xva.zst");
    let squeezed = Command::new("zstd")
        .arg("-q")
        .args([&archive, Path::new("-o"), &packed])
        .output()
        .await;
    let mut expected = vec![0; 20 << 20];
    expected[7 << 20..(7 << 20) + 5].copy_from_slice(b"seven");
    for (name, source) in [("plain", &archive), ("zstd", &packed)] {
        if !source.exists() {
            assert!(std::env::var_os("CI").is_none(), "{squeezed:?}");
            eprintln!("skipped: zstd is missing");
            continue;
        }
        for extension in ["raw", "vhd", "qcow2"] {
            let image = folder.path(&format!("{name}.{extension}"));
            let output = run("xva-tool", &["convert", "--disk", "1"], &[source, &image]).await;
            assert!(output.status.success(), "{extension}: {}", complained(&output));
            let raw = folder.path(&format!("{name}-{extension}.img"));
            let output = run("disk-tool", &["convert"], &[&image, &raw]).await;
            assert!(output.status.success(), "{extension}: {}", complained(&output));
            assert!(std::fs::read(&raw).unwrap() == expected, "{name} {extension}");
        }
    }
    let (vhd, qcow2) = (folder.path("plain.vhd"), folder.path("plain.qcow2"));
    let new = folder.path("new.xva");
    let images = ["--disk", vhd.to_str().unwrap(), "--disk", qcow2.to_str().unwrap()];
    let output = run("xva-tool", &[&["pack", "--name", "new"][..], &images].concat(), &[&new]).await;
    assert!(output.status.success(), "{}", complained(&output));
    for disk in ["0", "1"] {
        let output = run("xva-tool", &["cat", "--disk", disk], &[&new]).await;
        assert!(output.stdout == expected, "{disk}");
    }
    let refused = run("disk-tool", &["info"], &[&new]).await;
    assert!(complained(&refused).contains("xva-tool"), "{refused:?}");
}

/// A disk with an MBR partition that holds a file system made by a program of the distribution; none where the program
/// is missing, which it must not be where tests run for everyone.
fn partitioned(folder: &Folder, make: impl FnOnce(&Path, &Path) -> std::process::Command) -> Option<Vec<u8>> {
    const START: usize = 1 << 20;
    const SIZE: usize = 48 << 20;
    let (tree, volume) = (folder.path("tree"), folder.path("volume"));
    std::fs::create_dir_all(tree.join("etc")).unwrap();
    std::fs::write(tree.join("etc/app.conf"), "debug=off\nport=1234\n".repeat(500)).unwrap();
    std::fs::File::create(&volume).unwrap().set_len(SIZE as u64).unwrap();
    let mut command = make(&tree, &volume);
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{command:?}: {error}");
            eprintln!("skipped: {command:?}: {error}");
            return None;
        }
    };
    assert!(output.status.success(), "{command:?}: {}", complained(&output));
    let mut disk = vec![0; START];
    disk[446 + 4] = 0x83;
    disk[446 + 8..446 + 12].copy_from_slice(&2048_u32.to_le_bytes());
    disk[446 + 12..446 + 16].copy_from_slice(&(SIZE as u32 / 512).to_le_bytes());
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk.extend(std::fs::read(&volume).unwrap());
    Some(disk)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_read_changed_in_place_and_changed_back() {
    let folder = Folder(tempfile::tempdir().unwrap());
    if tool("disk-tool").is_none() {
        return;
    }
    let mke2fs = |tree: &Path, volume: &Path| {
        let mut command = std::process::Command::new("mke2fs");
        command.args(["-q", "-F", "-t", "ext4", "-d"]).args([tree, volume]);
        command
    };
    let Some(disk) = partitioned(&folder, mke2fs) else {
        return;
    };
    let raw = folder.path("disk.raw");
    std::fs::write(&raw, &disk).unwrap();
    let vhd = folder.path("disk.vhd");
    run("disk-tool", &["convert"], &[&raw, &vhd]).await;
    for image in [&raw, &vhd] {
        let image_text = image.to_str().unwrap();
        let before = std::fs::read(image).unwrap();
        let cat = || async { said(&run("disk-tool", &["cat", image_text, "/etc/app.conf"], &[]).await) };
        assert_eq!(cat().await, "debug=off\nport=1234\n".repeat(500));
        let undo = folder.path("undo");
        let _ = std::fs::remove_file(&undo);
        let change = [
            "put",
            image_text,
            "/etc/app.conf",
            "--replace",
            "debug=off",
            "--with",
            "debug=on ",
        ];
        let dry = run("disk-tool", &[&change[..], &["--dry-run"]].concat(), &[]).await;
        assert!(said(&dry).contains("1000 bytes in 500 places"), "{dry:?}");
        assert!(std::fs::read(image).unwrap() == before);
        let real = run(
            "disk-tool",
            &[&change[..], &["--undo", undo.to_str().unwrap()]].concat(),
            &[],
        )
        .await;
        assert!(real.status.success(), "{}", complained(&real));
        assert_eq!(cat().await, "debug=on \nport=1234\n".repeat(500));
        let differing = std::fs::read(image).unwrap();
        let differing = differing.iter().zip(&before).filter(|(new, old)| new != old).count();
        assert_eq!(differing, 1000, "and nothing else");
        let back = run("disk-tool", &["undo", image_text, undo.to_str().unwrap()], &[]).await;
        assert!(back.status.success(), "{}", complained(&back));
        assert!(std::fs::read(image).unwrap() == before, "bit for bit");
        let longer = [
            "put",
            image_text,
            "/etc/app.conf",
            "--replace",
            "off",
            "--with",
            "trace",
            "--dry-run",
        ];
        let refused = run("disk-tool", &longer, &[]).await;
        assert!(complained(&refused).contains("not equally long"), "{refused:?}");
        let missing = run("disk-tool", &["cat", image_text, "/etc/none"], &[]).await;
        assert!(complained(&missing).contains("none"), "{missing:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_comes_out_of_a_vm_before_its_export_ends() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let pool = Pool::new(0).await;
    if pool.tool("vm-cat").is_none() {
        return;
    }
    let mke2fs = |tree: &Path, volume: &Path| {
        let mut command = std::process::Command::new("mke2fs");
        command.args(["-q", "-F", "-t", "ext4", "-d"]).args([tree, volume]);
        command
    };
    let Some(disk) = partitioned(&folder, mke2fs) else {
        return;
    };
    // Much more lies behind the partition.
    let mut image = dense_disk(160);
    image.write(0, &disk);
    for (name, spec) in [("off", VmSpec::new("off").halted()), ("on", VmSpec::new("on"))] {
        pool.simulator.add_vm(spec.disk(image.clone())).unwrap();
        let mut cat = pool.tool("vm-cat").unwrap();
        cat.args(["--vm", name, "/etc/app.conf"]);
        if name == "on" {
            cat.arg("--snapshot");
        }
        let output = cat.output().await.unwrap();
        assert!(output.status.success(), "{name}: {}", complained(&output));
        assert_eq!(said(&output), "debug=off\nport=1234\n".repeat(500));
        let read = complained(&output);
        let read = read
            .lines()
            .find_map(|line| line.strip_suffix(" MiB read"))
            .unwrap()
            .parse::<f64>();
        assert!(read.unwrap() < 60.0, "of 160 MiB: {output:?}");
    }
    pool.assert_tidy().await;

    let archive = folder.path("off.xva");
    let mut export = pool.tool("vm-export").unwrap();
    assert!(
        export
            .args(["--vm", "off"])
            .arg(&archive)
            .output()
            .await
            .unwrap()
            .status
            .success()
    );
    let new = folder.path("app.conf");
    let args = ["--xva", archive.to_str().unwrap(), "/etc/app.conf", "--output"];
    let output = run("vm-cat", &args, &[&new]).await;
    assert!(output.status.success(), "{}", complained(&output));
    assert_eq!(
        std::fs::read_to_string(&new).unwrap(),
        "debug=off\nport=1234\n".repeat(500)
    );
    let args = ["--xva", archive.to_str().unwrap(), "/etc/none", "--output"];
    let missing = run("vm-cat", &args, &[&folder.path("none")]).await;
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        complained(&missing).contains("none") && !folder.path("none").exists(),
        "{missing:?}"
    );
}
