//! Backups of a real file system, taken again and again, read, damaged, restored and thinned out.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use tempfile::tempdir;
use vhd_mbr::vhd::{Kind, Vhd};
use xenapi::vdi::VdiType;
use xenapi::{DiskFormat, Ref, Source, Vdi, Vm};
use xenapi_sim::{DiskImage, Fault, NbdPurpose, Simulator, VmSpec};

use crate::harness::{Folder, PASSWORD, Pool, complained, json, said};
use crate::sshd::find;

const SIZE: u64 = 16 << 20;

pub(crate) struct Lab {
    pub(crate) pool: Pool,
    pub(crate) folder: Folder,
    pub(crate) vdi: Ref<Vdi>,
}

impl Lab {
    pub(crate) async fn new() -> Option<Self> {
        Self::on(Pool::new(1).await).await
    }

    /// A halted VM with an ext4. None, with the reason printed, where that cannot be made.
    async fn on(pool: Pool) -> Option<Self> {
        if ["mkfs.ext4", "debugfs"].iter().any(|program| find(program).is_none()) {
            assert!(std::env::var_os("CI").is_none(), "e2fsprogs are not installed");
            eprintln!("skipped: e2fsprogs are not installed");
            return None;
        }
        let folder = Folder(tempdir().unwrap());
        let image = folder.path("disk");
        File::create(&image).unwrap().set_len(SIZE).unwrap();
        let mkfs = Command::new(find("mkfs.ext4").unwrap()).arg("-q").arg(&image).status();
        assert!(mkfs.unwrap().success());
        let disk = DiskImage::from_file(&image).unwrap();
        let vm = pool.simulator.add_vm(VmSpec::new("db").halted().disk(disk)).unwrap();
        let client = pool.client().await;
        let vbd = client.vm(vm.parse::<Ref<Vm>>().unwrap()).vbds().await.unwrap()[0];
        let vdi = client.vbd(vbd).vdi().await.unwrap();
        client.logout().await.unwrap();
        Some(Self { pool, folder, vdi })
    }

    /// Has the VM's disk have another file.
    pub(crate) async fn change(&self, content: &str) {
        let (image, file) = (self.folder.path("disk"), self.folder.path("state"));
        fs::write(&file, content).unwrap();
        for request in ["rm /state".to_owned(), format!("write {} /state", file.display())] {
            let debugfs = Command::new(find("debugfs").unwrap())
                .args(["-w", "-R", &request])
                .arg(&image)
                .stderr(Stdio::null())
                .stdout(Stdio::null())
                .status();
            assert!(debugfs.unwrap().success());
        }
        let bytes = Bytes::from(fs::read(&image).unwrap());
        let client = self.pool.client().await;
        let source = Source::bytes(bytes);
        client.vdi(self.vdi).import_raw(DiskFormat::Raw, source).await.unwrap();
        client.logout().await.unwrap();
    }

    fn tool(&self, words: &[&str]) -> Option<tokio::process::Command> {
        let mut tool = self.pool.tool("backup")?;
        tool.args(words).arg("--to").arg(self.folder.path("backups"));
        Some(tool)
    }

    async fn run(&self) -> String {
        let ran = self.tool(&["run", "db"]).unwrap().output().await.unwrap();
        assert!(ran.status.success(), "{ran:?}");
        // Backups are named after milliseconds.
        tokio::time::sleep(Duration::from_millis(2)).await;
        said(&ran) + &complained(&ran)
    }

    /// All of the disk, as it is in the newest backup, by way of a new VM.
    async fn restored(&self, name: &str) -> Vec<u8> {
        let restored = self.tool(&["restore", "db", "--as", name]).unwrap().output().await;
        let restored = restored.unwrap();
        assert!(restored.status.success(), "{restored:?}");
        let client = self.pool.client().await;
        let (vms, vbds, vdis) = tokio::try_join!(
            client.vms().all_records(),
            client.vbds().all_records(),
            client.vdis().all_records()
        )
        .unwrap();
        let vm = vms.values().find(|vm| vm.name_label == name).unwrap();
        let disks = vm.disks(&vbds, &vdis);
        assert_eq!((disks.len(), vm.vifs.len()), (1, 1));
        let export = client.vdi(disks[0].vbd.vdi).export_raw(DiskFormat::Raw).await.unwrap();
        let pieces: Vec<_> = export.try_collect().await.unwrap();
        client.logout().await.unwrap();
        pieces.concat()
    }

    async fn ls(&self) -> Vec<serde_json::Value> {
        let listed = self.tool(&["ls", "--json"]).unwrap().output().await.unwrap();
        json(&listed).as_array().unwrap().clone()
    }

    fn files(&self) -> Vec<PathBuf> {
        fn below(folder: &Path, files: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => below(&path, files),
                    false => files.push(path),
                }
            }
        }
        let mut files = Vec::new();
        below(&self.folder.path("backups"), &mut files);
        files.retain(|file| !file.ends_with("lock"));
        files
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_then_is_read_and_restored_and_damage_is_noticed() {
    let Some(lab) = Lab::new().await else { return };
    if lab.tool(&["run"]).is_none() {
        return;
    }
    for number in 0..=5 {
        lab.change(&format!("as it was at {number}\n").repeat(200)).await;
        lab.run().await;
    }
    let backups = lab.ls().await;
    assert_eq!(backups.len(), 6);
    assert!(backups[0]["disks"][0]["base"].is_null());
    let sizes: Vec<_> = backups
        .iter()
        .map(|backup| backup["disks"][0]["file_bytes"].as_u64().unwrap())
        .collect();
    assert!(
        backups[1..].iter().all(|backup| backup["disks"][0]["base"].is_string()),
        "{backups:?}"
    );
    assert!(sizes[1..].iter().all(|size| *size < SIZE), "{sizes:?}");
    // One snapshot is kept on the pool, for the next difference.
    let client = lab.pool.client().await;
    let vms = client.vms().all_records().await.unwrap();
    client.logout().await.unwrap();
    let kept = vms
        .values()
        .filter(|vm| vm.is_a_snapshot && vm.name_label.starts_with("backup "));
    assert_eq!(kept.count(), 1);
    for (at, number) in [(5, 5), (2, 2), (0, 0)] {
        let id = backups[at]["id"].as_str().unwrap();
        let mut cat = lab.tool(&["cat", "db", "/state", "--id", id]).unwrap();
        let read = cat.output().await.unwrap();
        assert_eq!(
            said(&read),
            format!("as it was at {number}\n").repeat(200),
            "{}",
            complained(&read)
        );
    }
    let of_root = async |more: &[&str]| {
        let id = backups[2]["id"].as_str().unwrap();
        let mut ls = lab.tool(&["ls", "db", "/", "--id", id]).unwrap();
        ls.args(more);
        ls.output().await.unwrap()
    };
    let (listed, root) = (of_root(&[]).await, json(&of_root(&["--json"]).await));
    let state = root.as_array().unwrap().iter().find(|entry| entry["name"] == "state");
    let size = "as it was at 2\n".len() * 200;
    assert_eq!(state.unwrap()["size_bytes"].as_u64(), Some(size as u64));
    let line = format!("-  {size:>14}  state");
    assert!(said(&listed).lines().any(|said| said == line), "{listed:?}");
    let missing = lab.tool(&["ls", "db", "/nowhere"]).unwrap().output().await.unwrap();
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        complained(&missing).contains("/nowhere is in none of the disks"),
        "{missing:?}"
    );
    let other = lab.tool(&["ls", "somebody-else"]).unwrap().output().await.unwrap();
    assert!(other.status.success() && said(&other).is_empty(), "{other:?}");
    let verify = async || lab.tool(&["verify"]).unwrap().output().await.unwrap();
    let good = verify().await;
    assert!(
        good.status.success() && complained(&good).contains("6 backups are whole"),
        "{good:?}"
    );
    for path in lab.files() {
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let size = file.metadata().unwrap().len();
        for at in [0, size / 2, size - 1] {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 1], at).unwrap();
            let bad = verify().await;
            assert_eq!(
                bad.status.code(),
                Some(1),
                "byte {at} of {} is not noticed",
                path.display()
            );
            file.write_all_at(&byte, at).unwrap();
        }
    }

    assert!(lab.restored("db-again").await == fs::read(lab.folder.path("disk")).unwrap());

    // All are needed by the newest; a whole one needs nothing.
    let kept = lab
        .tool(&["run", "db", "--keep", "20"])
        .unwrap()
        .output()
        .await
        .unwrap();
    assert!(kept.status.success() && lab.ls().await.len() == 7, "{kept:?}");
    let full = lab
        .tool(&["run", "db", "--full", "--keep", "1"])
        .unwrap()
        .output()
        .await
        .unwrap();
    assert!(
        full.status.success() && said(&full).contains("7 older backups are gone"),
        "{full:?}"
    );
    assert_eq!(lab.ls().await.len(), 1);
    assert!(verify().await.status.success());
    lab.pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_spoils_what_depends_on_it_and_nothing_else() {
    let Some(lab) = Lab::new().await else { return };
    if lab.tool(&["run"]).is_none() {
        return;
    }
    // Two chains: whole and a difference, whole and a difference.
    for (number, more) in [&[][..], &[], &["--full"], &[]].iter().enumerate() {
        lab.change(&format!("as it was at {number}\n").repeat(200)).await;
        let ran = lab.tool(&["run", "db"]).unwrap().args(*more).output().await.unwrap();
        assert!(ran.status.success(), "{ran:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let backups = lab.ls().await;
    let ids: Vec<_> = backups.iter().map(|backup| backup["id"].as_str().unwrap()).collect();
    let cat = async |at: usize, more: &[&str]| {
        let mut cat = lab.tool(&["cat", "db", "/state", "--id", ids[at]]).unwrap();
        cat.args(more).output().await.unwrap()
    };
    let of = |at: usize, file: &str| {
        let mut files = lab.files().into_iter();
        files
            .find(|path| path.ends_with(format!("{}/{file}", ids[at])))
            .unwrap()
    };
    let flip = |path: &Path, at: u64| {
        let file = File::options().read(true).write(true).open(path).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    };
    let verify = async || complained(&lab.tool(&["verify"]).unwrap().output().await.unwrap());

    // A bit of the first disk: both of its chain are lost, and those of the other are not.
    let first = of(0, "disk-0.vhd");
    flip(&first, 5000);
    assert!(
        verify().await.contains("2 backups are whole, 2 are not"),
        "{}",
        verify().await
    );
    for at in [0, 1] {
        let refused = cat(at, &[]).await;
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(
            said(&refused).is_empty() && complained(&refused).contains("is damaged"),
            "{refused:?}"
        );
        assert!(cat(at, &["--unchecked"]).await.status.success());
    }
    assert_eq!(said(&cat(3, &[]).await), "as it was at 3\n".repeat(200));
    flip(&first, 5000);

    // What says of the first backup what it is: the second needs it, the others go on, and so do new ones.
    flip(&of(0, "manifest.json"), 100);
    assert_eq!(cat(1, &[]).await.status.code(), Some(1));
    assert_eq!(said(&cat(3, &[]).await), "as it was at 3\n".repeat(200));
    let ran = lab.run().await;
    assert!(ran.contains("1 as differences") && ran.contains("is damaged"), "{ran}");

    // What a difference would be to is cut off: all of it comes.
    let newest = of(2, "disk-0.vhd");
    let length = newest.metadata().unwrap().len();
    File::options()
        .write(true)
        .open(&newest)
        .unwrap()
        .set_len(length - 512)
        .unwrap();
    let ran = lab.run().await;
    assert!(
        ran.contains("0 as differences") && ran.contains("all of it comes"),
        "{ran}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_leaves_no_snapshot() {
    let Some(lab) = Lab::new().await else { return };
    let snapshots = || lab.pool.simulator.refs("VM").len();
    let (before, disks) = (snapshots(), lab.pool.simulator.refs("VDI").len());
    let Some(mut run) = lab.tool(&["run", "db"]) else {
        return;
    };
    lab.pool.simulator.fault(Fault::on("/export_raw_vdi").stall(1000));
    let child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while lab.pool.simulator.counters().sent("/export_raw_vdi") == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(snapshots(), before + 1);
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert_eq!(
        (snapshots(), lab.pool.simulator.refs("VDI").len()),
        (before, disks),
        "{output:?}"
    );
    // An export that stalls never looks whether anybody listens, so that its task stays.
    lab.pool.simulator.clear_faults();
    lab.run().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_end_so_that_old_backups_can_go() {
    let Some(lab) = Lab::new().await else { return };
    let Some(_) = lab.tool(&["run"]) else { return };
    for number in 0..8 {
        lab.change(&format!("{number}\n").repeat(200)).await;
        let ran = lab.tool(&["run", "db", "--keep", "3"]).unwrap().output().await.unwrap();
        assert!(ran.status.success(), "{ran:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let backups = lab.ls().await;
    assert!((3..=5).contains(&backups.len()), "{backups:?}");
    let newest = backups.last().unwrap()["id"].as_str().unwrap();
    let read = lab
        .tool(&["cat", "db", "/state", "--id", newest])
        .unwrap()
        .output()
        .await
        .unwrap();
    assert_eq!(said(&read), "7\n".repeat(200), "{read:?}");
    let verified = lab.tool(&["verify"]).unwrap().output().await.unwrap();
    assert!(verified.status.success(), "{verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_or_is_killed_leaves_the_backups_before_it_as_they_are() {
    let Some(lab) = Lab::new().await else { return };
    lab.change("first").await;
    let Some(mut run) = lab.tool(&["run", "db"]) else {
        return;
    };
    assert!(run.output().await.unwrap().status.success());
    let snapshots = lab.pool.simulator.refs("VDI").len();

    lab.change("second").await;
    lab.pool
        .simulator
        .fault(Fault::on("/export_raw_vdi").error_in_body(2000).times(1));
    let failed = lab.tool(&["run", "db"]).unwrap().output().await.unwrap();
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    assert!(said(&failed).contains("db: failed"), "{failed:?}");
    assert_eq!(
        (lab.ls().await.len(), lab.pool.simulator.refs("VDI").len()),
        (1, snapshots)
    );

    lab.pool.simulator.clear_faults();
    lab.pool.simulator.fault(Fault::on("/export_raw_vdi").stall(2000));
    let mut killed = lab.tool(&["run", "db"]).unwrap().spawn().unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    killed.kill().await.unwrap();
    lab.pool.simulator.clear_faults();
    assert_eq!(lab.ls().await.len(), 1);
    let again = lab.tool(&["run", "db"]).unwrap().output().await.unwrap();
    assert!(again.status.success(), "{again:?}");
    assert!(
        complained(&again).contains("which was interrupted, is gone"),
        "{again:?}"
    );
    assert_eq!(lab.ls().await.len(), 2);
    let read = lab.tool(&["cat", "db", "/state"]).unwrap().output().await.unwrap();
    assert_eq!(said(&read), "second");
    assert!(lab.tool(&["verify"]).unwrap().output().await.unwrap().status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn tracked_blocks_alone_come_and_their_tracks_alone_stay() {
    let simulator = Simulator::builder().vms(0).password(PASSWORD).nbd(NbdPurpose::Nbd);
    let simulator = simulator.build().unwrap();
    let server = simulator.listen_tls("127.0.0.1:0").await.unwrap();
    let Some(lab) = Lab::on(Pool { simulator, server }).await else {
        return;
    };
    if lab.tool(&["run"]).is_none() {
        return;
    }
    let client = lab.pool.client().await;
    client.vdi(lab.vdi).enable_cbt().await.unwrap();
    let sent = || {
        let counters = lab.pool.simulator.counters();
        (counters.sent("/nbd"), counters.sent("/export_raw_vdi"))
    };
    let snapshots = async || {
        let vdis = client.vdis().all_records().await.unwrap();
        let snapshots: Vec<_> = vdis.into_values().filter(|vdi| vdi.snapshot_of == lab.vdi).collect();
        snapshots
    };
    lab.change("as it was at 0").await;
    lab.run().await;
    let whole = sent();
    assert_eq!((whole.0, snapshots().await.len()), (0, 1));
    assert_ne!(snapshots().await[0].kind, VdiType::CbtMetadata);
    for number in 1..=5 {
        let before = (sent().0, fs::read(lab.folder.path("disk")).unwrap());
        lab.change(&format!("as it was at {number}\n").repeat(200)).await;
        let after = fs::read(lab.folder.path("disk")).unwrap();
        let blocks = before.1.chunks(64 << 10).zip(after.chunks(64 << 10));
        let changed = blocks.filter(|(before, after)| before != after).count() as u64 * (64 << 10);
        let said = lab.run().await;
        assert!(said.contains("1 as differences by tracked blocks"), "{said}");
        assert_eq!((sent().0 - before.0, sent().1), (changed, whole.1), "{number}");
        let kept = snapshots().await;
        assert_eq!((kept.len(), kept[0].kind.clone()), (1, VdiType::CbtMetadata));
    }
    let vms = client.vms().all_records().await.unwrap();
    assert!(vms.values().all(|vm| !vm.is_a_snapshot), "the pool keeps no data");
    let read = lab.tool(&["cat", "db", "/state"]).unwrap().output().await.unwrap();
    assert_eq!(said(&read), "as it was at 5\n".repeat(200));
    assert!(lab.restored("db-again").await == fs::read(lab.folder.path("disk")).unwrap());
    // A chain that others follow, too: each names the one before by its id and its path.
    let newest = lab
        .files()
        .into_iter()
        .filter(|file| file.ends_with("disk-0.vhd"))
        .max();
    let (mut path, mut steps) = (newest.unwrap(), 0);
    let mut vhd = Vhd::open(File::open(&path).unwrap()).unwrap();
    while vhd.footer().kind == Kind::Differencing {
        let named = vhd.parent_paths().unwrap();
        path = path.parent().unwrap().join(&named[0]);
        let parent = Vhd::open(File::open(&path).unwrap()).unwrap();
        assert_eq!(vhd.parent_id(), parent.footer().id);
        (vhd, steps) = (parent, steps + 1);
    }
    assert_eq!(steps, 5);

    // What is tracked breaks off in the middle: all comes.
    lab.change(&"sixth\n".repeat(100_000)).await;
    lab.pool.simulator.fault(Fault::on("/nbd").truncate(100_000));
    let said_then = lab.run().await;
    assert!(
        said_then.contains("tracked blocks do not come") && said_then.contains("0 as differences"),
        "{said_then}"
    );
    lab.pool.simulator.clear_faults();
    // The snapshot of that has its data: a difference comes as a VHD, too.
    lab.change("seventh").await;
    let fault = Fault::on("VDI.list_changed_blocks").error("VDI_NO_CBT_METADATA", ["OpaqueRef:x"]);
    lab.pool.simulator.fault(fault.times(1));
    let said_then = lab.run().await;
    assert!(
        said_then.contains("tracked blocks do not come") && said_then.contains("1 as differences, "),
        "{said_then}"
    );
    lab.change("eighth").await;
    let said_then = lab.run().await;
    assert!(said_then.contains("by tracked blocks"), "{said_then}");
    assert_eq!(snapshots().await.len(), 1);
    let read = lab.tool(&["cat", "db", "/state"]).unwrap().output().await.unwrap();
    assert_eq!(said(&read), "eighth");
    assert!(lab.tool(&["verify"]).unwrap().output().await.unwrap().status.success());
    client.logout().await.unwrap();
    lab.pool.assert_tidy().await;
}
