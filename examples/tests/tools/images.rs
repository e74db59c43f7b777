//! Disks in one format and another.

use std::path::Path;

use tokio::process::Command;

use crate::harness::{Folder, Pool, complained, dense_disk, json, run, said, tool};
use xenapi_sim::{DiskImage, VmSpec};

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

#[tokio::test(flavor = "multi_thread")]
async fn what_a_guest_wrote_does_not_open_other_files() {
    let folder = Folder(tempfile::tempdir().unwrap());
    if tool("disk-tool").is_none() {
        return;
    }
    let secret = folder.path("secret");
    std::fs::write(&secret, vec![0x5a; 1 << 20]).unwrap();
    // A disk that starts as a qcow2 does that is built on the secret.
    let mut evil = vec![0; 2 << 20];
    let words: [(usize, &[u8]); 8] = [
        (0, b"QFI\xfb\0\0\0\x03"),
        (8, &512_u64.to_be_bytes()),
        (16, &(secret.to_str().unwrap().len() as u32).to_be_bytes()),
        (20, &16_u32.to_be_bytes()),
        (24, &(1_u64 << 20).to_be_bytes()),
        (36, &1_u32.to_be_bytes()),
        (40, &65_536_u64.to_be_bytes()),
        (100, &104_u32.to_be_bytes()),
    ];
    for (at, bytes) in words {
        evil[at..at + bytes.len()].copy_from_slice(bytes);
    }
    evil[512..512 + secret.to_str().unwrap().len()].copy_from_slice(secret.to_str().unwrap().as_bytes());
    let (raw, unnamed) = (folder.path("evil.raw"), folder.path("evil"));
    std::fs::write(&raw, &evil).unwrap();
    std::fs::write(&unnamed, &evil).unwrap();
    let new = folder.path("new.raw");
    let named = run("disk-tool", &["convert"], &[&raw, &new]).await;
    assert!(named.status.success(), "{}", complained(&named));
    assert!(std::fs::read(&new).unwrap() == evil, "its name says that it is raw");
    std::fs::remove_file(&new).unwrap();
    for (job, paths) in [("convert", &[&*unnamed, &*new][..]), ("info", &[&*unnamed])] {
        let refused = run("disk-tool", &[job], paths).await;
        assert!(complained(&refused).contains("--image-format"), "{refused:?}");
    }
    let archive = folder.path("new.xva");
    let packed = run(
        "xva-tool",
        &["pack", "--name", "x", "--disk", unnamed.to_str().unwrap()],
        &[&archive],
    )
    .await;
    assert!(
        complained(&packed).contains("--image-format") && !archive.exists(),
        "{packed:?}"
    );
    let compressed = folder.path("archive");
    std::fs::write(&compressed, [&[0x28, 0xb5, 0x2f, 0xfd][..], &[0; 4096]].concat()).unwrap();
    let refused = run("disk-tool", &["info"], &[&compressed]).await;
    assert!(complained(&refused).contains("is compressed"), "{refused:?}");
}
