//! Files on disks: listed, read, changed and changed back.

#[path = "../../../vhd-mbr/tests/registry/builder.rs"]
mod builder;

use std::path::Path;

use tokio::io::AsyncReadExt;
use vhd_mbr::vhd::{Parent, Vhd, Writer};
use xenapi_sim::{DiskImage, VmSpec};

use self::builder::Key;
use crate::harness::{Folder, Pool, complained, dense_disk, run, said, tool};

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

/// Zeros of a file are in no block of a VHD that qemu makes.
#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_a_vhd_does_not_have_yet_is_written_and_undone() {
    let folder = Folder(tempfile::tempdir().unwrap());
    if tool("vm-edit").is_none() {
        return;
    }
    let mke2fs = |tree: &Path, volume: &Path| {
        std::fs::write(tree.join("etc/zeros"), vec![b'Z'; 8 << 20]).unwrap();
        let mut command = std::process::Command::new("mke2fs");
        command.args(["-q", "-F", "-t", "ext4", "-d"]).args([tree, volume]);
        command
    };
    let Some(mut disk) = partitioned(&folder, mke2fs) else {
        return;
    };
    // In zeros the program would see a hole.
    for block in disk
        .chunks_mut(1024)
        .filter(|block| block.iter().all(|byte| *byte == b'Z'))
    {
        block.fill(0);
    }
    let (raw, vhd, undo) = (folder.path("disk.raw"), folder.path("disk.vhd"), folder.path("undo"));
    std::fs::write(&raw, &disk).unwrap();
    run("disk-tool", &["convert"], &[&raw, &vhd]).await;
    let image = ["--image", vhd.to_str().unwrap()];
    let new = folder.path("new");
    std::fs::write(&new, vec![b'n'; 8 << 20]).unwrap();
    let (new, kept) = (new.to_str().unwrap(), undo.to_str().unwrap());
    let put = ["put", "/etc/zeros", "--from", new, "--undo", kept];
    let changed = run("vm-edit", &[&image[..], &put].concat(), &[]).await;
    assert!(changed.status.success(), "{changed:?}");
    let undone = run(
        "vm-edit",
        &[&image[..], &["undo", undo.to_str().unwrap()]].concat(),
        &[],
    )
    .await;
    assert!(undone.status.success(), "{undone:?}");
    let again = folder.path("again.raw");
    run("disk-tool", &["convert"], &[&vhd, &again]).await;
    assert!(std::fs::read(&again).unwrap()[..disk.len()] == disk);
}

/// Windows that hangs at its start is switched off, and then repaired from outside.
#[tokio::test(flavor = "multi_thread")]
async fn an_unclean_volume_of_windows_is_changed_by_those_who_accept_it() {
    let folder = Folder(tempfile::tempdir().unwrap());
    if tool("vm-edit").is_none() {
        return;
    }
    let mkntfs = |tree: &Path, volume: &Path| {
        let mut command = std::process::Command::new("bash");
        let script = "set -e; mkntfs -Q -F \"$2\"; ntfscp -f \"$2\" \"$1/etc/app.conf\" app.conf; ntfsfix \"$2\"";
        command.args(["-c", script, "bash"]).args([tree, volume]);
        command
    };
    let Some(disk) = partitioned(&folder, mkntfs) else {
        return;
    };
    let (raw, undo) = (folder.path("disk.raw"), folder.path("undo"));
    std::fs::write(&raw, &disk).unwrap();
    let put = ["put", "/app.conf", "--replace", "debug=off", "--with", "debug=on "];
    let common = ["--image", raw.to_str().unwrap(), "--undo", undo.to_str().unwrap()];
    let refused = run("vm-edit", &[&put[..], &common].concat(), &[]).await;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let complaint = complained(&refused);
    assert!(
        complaint.contains("without shutting the volume down") && complaint.contains("--accept-unclean"),
        "{complaint}"
    );
    assert!(std::fs::read(&raw).unwrap() == disk);
    let accepted = run("vm-edit", &[&put[..], &common, &["--accept-unclean"]].concat(), &[]).await;
    assert!(accepted.status.success(), "{accepted:?}");
    let cat = run("vm-cat", &["--image", raw.to_str().unwrap(), "/app.conf"], &[]).await;
    assert_eq!(said(&cat), "debug=on \nport=1234\n".repeat(500));
}

/// The other leg would keep what it has.
#[tokio::test(flavor = "multi_thread")]
async fn one_leg_of_a_mirror_is_read_and_not_changed() {
    let folder = Folder(tempfile::tempdir().unwrap());
    if tool("vm-edit").is_none() {
        return;
    }
    let mke2fs = |tree: &Path, volume: &Path| {
        let mut command = std::process::Command::new("mke2fs");
        // The file system leaves room for the superblock of the RAID behind it.
        command
            .args(["-q", "-F", "-t", "ext4", "-d"])
            .args([tree, volume])
            .arg("40M");
        command
    };
    let Some(mut disk) = partitioned(&folder, mke2fs) else {
        return;
    };
    let size = disk.len() - (1 << 20);
    let superblock = (1 << 20) + (size / 512 - 16) / 8 * 8 * 512;
    disk[superblock..superblock + 4].copy_from_slice(&0xa92b_4efc_u32.to_le_bytes());
    let (raw, undo) = (folder.path("disk.raw"), folder.path("undo"));
    std::fs::write(&raw, &disk).unwrap();
    let cat = run("vm-cat", &["--image", raw.to_str().unwrap(), "/etc/app.conf"], &[]).await;
    assert_eq!(said(&cat), "debug=off\nport=1234\n".repeat(500));
    let put = ["put", "/etc/app.conf", "--replace", "debug=off", "--with", "debug=on "];
    let common = ["--image", raw.to_str().unwrap(), "--undo", undo.to_str().unwrap()];
    let refused = run("vm-edit", &[&put[..], &common].concat(), &[]).await;
    assert!(complained(&refused).contains("member of a Linux RAID"), "{refused:?}");
    assert!(std::fs::read(&raw).unwrap() == disk);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_another_is_built_on_is_not_changed() {
    let folder = Folder(tempfile::tempdir().unwrap());
    if tool("vm-edit").is_none() {
        return;
    }
    let mke2fs = |tree: &Path, volume: &Path| {
        let mut command = std::process::Command::new("mke2fs");
        command.args(["-q", "-F", "-t", "ext4", "-d"]).args([tree, volume]);
        command
    };
    let Some(mut disk) = partitioned(&folder, mke2fs) else {
        return;
    };
    let (base, child) = (folder.path("base.vhd"), folder.path("child.vhd"));
    let mut file = std::fs::File::create(&base).unwrap();
    Writer::dynamic(&disk).plan().unwrap().write_to(&mut file).unwrap();
    let opened = Vhd::open(std::fs::File::open(&base).unwrap()).unwrap();
    disk[1024..1536].fill(7);
    // As a pool exports differences: with an id that no file has, and no name.
    let parent = Parent::vhd(opened.footer());
    let plan = Writer::differencing(&disk, parent, std::iter::once(1024..1536))
        .plan()
        .unwrap();
    plan.write_to(&mut std::fs::File::create(&child).unwrap()).unwrap();
    let before = std::fs::read(&base).unwrap();
    let kept = folder.path("undo");
    let put = [
        "put",
        "/etc/app.conf",
        "--replace",
        "debug=off",
        "--with",
        "debug=on ",
        "--undo",
        kept.to_str().unwrap(),
        "--image",
    ];
    let changed = run("vm-edit", &put, &[&base]).await;
    assert!(complained(&changed).contains("child.vhd is built on"), "{changed:?}");
    assert!(std::fs::read(&base).unwrap() == before);

    let merged = folder.path("merged.raw");
    let alone = run("disk-tool", &["convert"], &[&child, &merged]).await;
    assert!(complained(&alone).contains("was not found"), "{alone:?}");
    let dry = run(
        "disk-tool",
        &["convert", "--dry-run", "--on"],
        &[&base, &child, &merged],
    )
    .await;
    assert!(dry.status.success() && !merged.exists(), "{dry:?}");
    let output = run("disk-tool", &["convert", "--on"], &[&base, &child, &merged]).await;
    assert!(output.status.success(), "{output:?}");
    assert!(std::fs::read(&merged).unwrap()[..disk.len()] == disk);

    std::fs::File::options()
        .write(true)
        .open(&base)
        .unwrap()
        .set_len(before.len() as u64 - 512)
        .unwrap();
    let dry = run("disk-tool", &["repair", "--dry-run"], &[&base]).await;
    assert!(dry.status.success() && complained(&dry).contains("footer"), "{dry:?}");
    assert_eq!(base.metadata().unwrap().len(), before.len() as u64 - 512);
    let repaired = run("disk-tool", &["repair"], &[&base]).await;
    assert!(repaired.status.success(), "{repaired:?}");
    assert!(std::fs::read(&base).unwrap() == before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_read_changed_in_place_and_changed_back() {
    let folder = Folder(tempfile::tempdir().unwrap());
    if tool("vm-edit").is_none() {
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
        let cat = || async { said(&run("vm-cat", &["--image", image_text, "/etc/app.conf"], &[]).await) };
        assert_eq!(cat().await, "debug=off\nport=1234\n".repeat(500));
        let undo = folder.path("undo");
        let _ = std::fs::remove_file(&undo);
        let change = [
            "--image",
            image_text,
            "put",
            "/etc/app.conf",
            "--replace",
            "debug=off",
            "--with",
            "debug=on ",
        ];
        let dry = run("vm-edit", &[&change[..], &["--dry-run"]].concat(), &[]).await;
        assert!(said(&dry).contains("1000 bytes in 500 places"), "{dry:?}");
        assert!(std::fs::read(image).unwrap() == before);
        let real = run(
            "vm-edit",
            &[&change[..], &["--undo", undo.to_str().unwrap()]].concat(),
            &[],
        )
        .await;
        assert!(real.status.success(), "{}", complained(&real));
        assert_eq!(cat().await, "debug=on \nport=1234\n".repeat(500));
        let differing = std::fs::read(image).unwrap();
        let differing = differing.iter().zip(&before).filter(|(new, old)| new != old).count();
        assert_eq!(differing, 1000, "and nothing else");
        let back = run("vm-edit", &["--image", image_text, "undo", undo.to_str().unwrap()], &[]).await;
        assert!(back.status.success(), "{}", complained(&back));
        assert!(std::fs::read(image).unwrap() == before, "bit for bit");
        let longer = [
            "--image",
            image_text,
            "put",
            "/etc/app.conf",
            "--replace",
            "off",
            "--with",
            "trace",
            "--dry-run",
        ];
        let refused = run("vm-edit", &longer, &[]).await;
        assert!(complained(&refused).contains("is longer than"), "{refused:?}");
        let missing = run("vm-cat", &["--image", image_text, "/etc/none"], &[]).await;
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

/// A halted VM's disk with an ext4 volume in its first partition, and much behind it.
pub(crate) fn vm_with_files(folder: &Folder) -> Option<(Vec<u8>, DiskImage)> {
    let mke2fs = |tree: &Path, volume: &Path| {
        let mut command = std::process::Command::new("mke2fs");
        command.args(["-q", "-F", "-t", "ext4", "-d"]).args([tree, volume]);
        command
    };
    let disk = partitioned(folder, mke2fs)?;
    let mut image = DiskImage::new(100 << 20);
    image.write(0, &disk);
    image.write((100 << 20) - 512, &[7; 512]);
    Some((disk, image))
}

/// All bytes of a VM's only disk, as the pool gives them.
pub(crate) async fn bytes_of(pool: &Pool, vm: &str) -> Vec<u8> {
    let client = pool.client().await;
    let vm: xenapi::Ref<xenapi::Vm> = vm.parse().unwrap();
    let vbd = client.vm(vm).vbds().await.unwrap()[0];
    let vdi = client.vbd(vbd).vdi().await.unwrap();
    let mut export = client.vdi(vdi).export_raw(xenapi::DiskFormat::Raw).await.unwrap();
    let mut bytes = Vec::new();
    export.read_to_end(&mut bytes).await.unwrap();
    client.logout().await.unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_a_halted_vm_is_changed_by_its_sectors_alone() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let pool = Pool::new(0).await;
    if pool.tool("vm-edit").is_none() {
        return;
    }
    let Some((_, image)) = vm_with_files(&folder) else {
        return;
    };
    let vm = pool.simulator.add_vm(VmSpec::new("web").halted().disk(image)).unwrap();
    let before = bytes_of(&pool, &vm).await;
    let undo = folder.path("undo");
    let change = ["put", "/etc/app.conf", "--replace", "port=1234", "--with", "port=22"];
    let edit = async |args: &[&str]| {
        let mut edit = pool.tool("vm-edit").unwrap();
        edit.args(["--vm", "web"]).args(args).output().await.unwrap()
    };
    let dry = edit(&[&change[..], &["--dry-run"]].concat()).await;
    assert!(
        dry.status.success() && said(&dry).contains("places"),
        "{}",
        complained(&dry)
    );
    assert!(bytes_of(&pool, &vm).await == before, "nothing is written");
    let unkept = edit(&change).await;
    assert!(complained(&unkept).contains("--undo FILE"), "{unkept:?}");

    for via in ["raw", "vhd", "xva"] {
        let _ = std::fs::remove_file(&undo);
        let kept = ["--undo", undo.to_str().unwrap(), "--via", via];
        let real = edit(&[&change[..], &kept].concat()).await;
        assert!(real.status.success(), "{via}: {}", complained(&real));
        let sent = complained(&real);
        let sent = sent
            .lines()
            .find_map(|line| line.strip_suffix(" KiB sent, and read back."));
        assert!(sent.unwrap().parse::<f64>().unwrap() < 64.0, "{via}: {real:?}");
        let after = bytes_of(&pool, &vm).await;
        let differing = after.iter().zip(&before).filter(|(new, old)| new != old).count();
        assert_eq!(
            differing, 1500,
            "{via}: of each port three characters, and nothing else"
        );
        let back = edit(&["undo", undo.to_str().unwrap()]).await;
        assert!(back.status.success(), "{via}: {}", complained(&back));
    }
    assert!(bytes_of(&pool, &vm).await == before, "bit for bit");
    pool.assert_tidy().await;

    // Where the change would not be safe.
    let kept = [&change[..], &["--undo", "never-written"]].concat();
    let client = pool.client().await;
    let reference: xenapi::Ref<xenapi::Vm> = vm.parse().unwrap();
    let snapshot = client.vm(reference).snapshot("before").await.unwrap();
    let refused = edit(&kept).await;
    assert!(complained(&refused).contains("1 snapshots"), "{refused:?}");
    let vbd = client.vm(snapshot).vbds().await.unwrap()[0];
    let disk = client.vbd(vbd).vdi().await.unwrap();
    client.vm(snapshot).destroy().await.unwrap();
    client.vdi(disk).destroy().await.unwrap();
    client.vm(reference).start(false, false).await.unwrap();
    let refused = edit(&kept).await;
    assert!(complained(&refused).contains("shut it down first"), "{refused:?}");
    client.vm(reference).hard_shutdown().await.unwrap();
    let (missing, none) = (
        edit(&[
            "--partition",
            "3",
            "put",
            "/etc/app.conf",
            "--replace",
            "a",
            "--with",
            "b",
            "--dry-run",
        ])
        .await,
        "no partition 3",
    );
    assert!(complained(&missing).contains(none), "{missing:?}");
    client.logout().await.unwrap();
    assert!(!Path::new("never-written").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_and_directories_are_listed() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let pool = Pool::new(0).await;
    if pool.tool("vm-ls").is_none() {
        return;
    }
    let Some((disk, image)) = vm_with_files(&folder) else {
        return;
    };
    pool.simulator.add_vm(VmSpec::new("web").halted().disk(image)).unwrap();
    let list = async |args: &[&str]| {
        let mut list = pool.tool("vm-ls").unwrap();
        list.args(["--vm", "web"]).args(args).output().await.unwrap()
    };
    let volumes = list(&[]).await;
    assert!(said(&volumes).starts_with("  1      48 MiB  ext4"), "{volumes:?}");
    for via in ["raw", "vhd", "xva"] {
        let root = list(&["/", "--via", via, "--json"]).await;
        assert!(root.status.success(), "{via}: {}", complained(&root));
        let names = said(&root);
        assert!(
            names.contains(r#""name":"etc""#) && names.contains(r#""kind":"directory""#),
            "{via}: {names}"
        );
        let etc = said(&list(&["/etc", "--via", via]).await);
        assert_eq!(etc.trim_end(), "-           10000  app.conf", "{via}");
    }
    pool.assert_tidy().await;
    let raw = folder.path("disk.raw");
    std::fs::write(&raw, &disk).unwrap();
    let image = run("vm-ls", &["/etc", "--image"], &[&raw]).await;
    assert!(said(&image).contains("app.conf"), "{image:?}");
    let missing = list(&["/nowhere"]).await;
    assert!(complained(&missing).contains("/nowhere"), "{missing:?}");
}

/// A disk with a FAT volume that has these files.
fn fat(folder: &Folder, files: &[(&str, Vec<u8>)]) -> Option<Vec<u8>> {
    partitioned(folder, |tree: &Path, volume: &Path| {
        for (path, bytes) in files {
            let file = tree.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, bytes).unwrap();
        }
        let mut command = std::process::Command::new("bash");
        let script = "set -e; mkfs.fat \"$2\" > /dev/null; mcopy -s -i \"$2\" \"$1\"/* ::";
        command.args(["-c", script, "bash"]).args([tree, volume]);
        command
    })
}

fn system_hive() -> Vec<u8> {
    let driver = Key::new("xenbus")
        .value("Start", 4, 0_u32.to_le_bytes())
        .value("Type", 4, 1_u32.to_le_bytes())
        .value("Group", 1, builder::text("Boot Bus Extender"));
    let set = Key::new("ControlSet001").key(Key::new("Services").key(driver));
    let select = Key::new("Select").value("Current", 4, 1_u32.to_le_bytes());
    builder::hive(&Key::new("ROOT").key(select).key(set), 5)
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_and_boot_loaders_are_changed_from_outside() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let pool = Pool::new(0).await;
    if pool.tool("vm-edit").is_none() {
        return;
    }
    let grub = "# a comment that gives its place to the console of the kernel\nlinux /vmlinuz root=/dev/xvda1 quiet\n";
    let files = [
        ("Windows/System32/config/SYSTEM", system_hive()),
        ("boot/grub/grub.cfg", grub.as_bytes().to_vec()),
    ];
    let Some(disk) = fat(&folder, &files) else { return };
    let raw = folder.path("disk.raw");
    std::fs::write(&raw, &disk).unwrap();
    let (raw_text, undo) = (raw.to_str().unwrap(), folder.path("undo"));
    let edit = async |args: &[&str]| {
        let _ = std::fs::remove_file(&undo);
        let args = [args, &["--undo", undo.to_str().unwrap()]].concat();
        let output = run("vm-edit", &args, &[]).await;
        assert!(output.status.success(), "{args:?}: {}", complained(&output));
    };
    let differing = |file: &Path, before: &[u8]| {
        let after = std::fs::read(file).unwrap();
        after.iter().zip(before).filter(|(new, old)| new != old).count()
    };
    let image = ["--image", raw_text];
    edit(&[&image[..], &["driver-off", "XENBUS"]].concat()).await;
    assert_eq!(differing(&raw, &disk), 1);
    let set = ["reg-set", r"SYSTEM\ControlSet001\Services\xenbus", "Start", "0x0"];
    edit(&[&image[..], &set].concat()).await;
    assert_eq!(differing(&raw, &disk), 0);
    edit(&[&image[..], &["grub-serial"]].concat()).await;
    let cat = run("vm-cat", &["--image", raw_text, "/boot/grub/grub.cfg"], &[]).await;
    let new = said(&cat);
    let line = "linux /vmlinuz root=/dev/xvda1 console=tty0 console=ttyS0,115200\n";
    assert!(new.len() == grub.len() && new.starts_with(line), "{new}");
    let back = run("vm-edit", &["--image", raw_text, "undo", undo.to_str().unwrap()], &[]).await;
    assert!(
        back.status.success() && differing(&raw, &disk) == 0,
        "{}",
        complained(&back)
    );
    for (args, reason) in [
        (&["driver-off", "nothing"][..], "no key \"nothing\""),
        (&["reg-set", r"SYSTEM\Select", "Current", "many"], "\"many\" is none"),
        (&["bcd-debug"], "the disk has none of /Boot/BCD"),
        (
            &["grub-serial", "--config", "/Windows/System32/config/SYSTEM"],
            "no line that starts a Linux",
        ),
    ] {
        let refused = run("vm-edit", &[&image[..], args, &["--dry-run"]].concat(), &[]).await;
        assert!(complained(&refused).contains(reason), "{args:?}: {refused:?}");
    }

    // In an archive, one byte and the checksum of its block change; on a pool, one sector goes up.
    let mut halted = DiskImage::new(100 << 20);
    halted.write(0, &disk);
    pool.simulator.add_vm(VmSpec::new("win").halted().disk(halted)).unwrap();
    let archive = folder.path("win.xva");
    let mut export = pool.tool("vm-export").unwrap();
    let exported = export.args(["--vm", "win"]).arg(&archive).output().await.unwrap();
    assert!(exported.status.success(), "{}", complained(&exported));
    let before = std::fs::read(&archive).unwrap();
    edit(&["--xva", archive.to_str().unwrap(), "driver-off", "xenbus"]).await;
    let changed = differing(&archive, &before);
    assert!((2..=17).contains(&changed), "{changed}");
    let verified = run("xva-tool", &["verify"], &[&archive]).await;
    assert!(verified.status.success(), "{}", complained(&verified));
    let mut off = pool.tool("vm-edit").unwrap();
    let _ = std::fs::remove_file(&undo);
    let off = off
        .args(["--vm", "win", "driver-off", "xenbus", "--undo"])
        .arg(&undo)
        .output()
        .await
        .unwrap();
    assert!(complained(&off).contains("4.0 KiB sent, and read back."), "{off:?}");
    pool.assert_tidy().await;
}
