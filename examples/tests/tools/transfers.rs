//! VMs into archives and out of them again.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use xenapi::vbd::VbdType;
use xenapi::{Client, DiskFormat};
use xenapi_sim::{DiskImage, Fault, VmSpec};

use crate::harness::{PASSWORD, Pool, complained, dense_disk, said};

const NAME: &str = "two-disks";

/// A pool with one VM, halted, that has a full disk and a sparse one.
async fn pool() -> Pool {
    let pool = Pool::new(0).await;
    let mut sparse = DiskImage::new(40 << 20);
    sparse.write(17 << 20, b"far inside");
    let vm = VmSpec::new(NAME).halted().disk(dense_disk(3)).disk(sparse);
    pool.simulator.add_vm(vm).unwrap();
    pool
}

async fn export(pool: &Pool, file: &Path, more: &[&str]) -> Option<Output> {
    export_of(pool, NAME, file, more).await
}

async fn export_of(pool: &Pool, vm: &str, file: &Path, more: &[&str]) -> Option<Output> {
    let mut tool = pool.tool("vm-export")?;
    tool.args(["--vm", vm]).arg(file).args(more);
    Some(tool.output().await.unwrap())
}

async fn import(pool: &Pool, file: &Path, more: &[&str]) -> Option<Output> {
    let mut tool = pool.tool("vm-import")?;
    tool.arg(file).args(more);
    Some(tool.output().await.unwrap())
}

/// The content of a VM's disks, by position.
async fn disks(pool: &Pool, uuid: &str) -> Vec<Vec<u8>> {
    let connect = Client::connect(pool.server.url()).pin_sha256(&pool.pin());
    let client = connect.login("root", PASSWORD).await.unwrap();
    let vm = client.vms().by_uuid(uuid).await.unwrap();
    let mut disks = Vec::new();
    for vbd in client.vm(vm).vbds().await.unwrap() {
        let vbd = client.vbd(vbd).record().await.unwrap();
        if vbd.kind == VbdType::Disk {
            let mut content = Vec::new();
            let mut disk = client.vdi(vbd.vdi).export_raw(DiskFormat::Raw).await.unwrap();
            disk.read_to_end(&mut content).await.unwrap();
            disks.push((vbd.userdevice, content));
        }
    }
    client.logout().await.unwrap();
    disks.sort();
    disks.into_iter().map(|(_, content)| content).collect()
}

fn uuid_of(pool: &Pool, name: &str) -> String {
    let vm = pool.simulator.find("VM", name).unwrap();
    let uuid = pool.simulator.get("VM", &vm, "uuid").unwrap();
    uuid.as_str().unwrap().to_owned()
}

fn names_in(folder: &TempDir) -> Vec<String> {
    let names = std::fs::read_dir(folder.path()).unwrap();
    names
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_exported_comes_back_equal() {
    let pool = pool().await;
    let folder = TempDir::new().unwrap();
    let vm = uuid_of(&pool, NAME);
    let original = disks(&pool, &vm).await;
    assert_eq!(original.len(), 2);
    for compression in ["none", "gzip", "zstd"] {
        let file = folder.path().join(compression);
        let Some(exported) = export_of(&pool, &vm, &file, &["--compression", compression]).await else {
            return;
        };
        assert!(exported.status.success(), "{exported:?}");
        assert!(complained(&exported).contains("match their checksums"), "{exported:?}");

        let Some(imported) = import(&pool, &file, &[]).await else {
            return;
        };
        assert!(imported.status.success(), "{imported:?}");
        let line = said(&imported);
        let (name, uuid) = line.trim().split_once(char::is_whitespace).unwrap();
        assert_eq!(name, NAME);
        assert_eq!(disks(&pool, uuid.trim()).await, original);
    }
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_can_go_through_pipes() {
    let pool = pool().await;
    let Some(exported) = export(&pool, Path::new("-"), &[]).await else {
        return;
    };
    assert!(exported.status.success(), "{exported:?}");
    let Some(mut tool) = pool.tool("vm-import") else { return };
    let tool = tool.args(["-", "--sr", "Shared storage"]);
    let tool = tool.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = tool.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&exported.stdout).await.unwrap();
    drop(input);
    let imported = child.wait_with_output().await.unwrap();
    assert!(imported.status.success(), "{imported:?}");
    assert!(said(&imported).starts_with(NAME));
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_export_has_no_name() {
    let pool = pool().await;
    for (fault, keep) in [
        (Fault::on("/export").truncate(1_500_000), false),
        (Fault::on("/export").error_in_body(1_500_000), false),
        (Fault::on("/export").truncate(1_500_000), true),
    ] {
        let folder = TempDir::new().unwrap();
        pool.simulator.fault(fault);
        let keep_part = if keep { &["--keep-part"][..] } else { &[] };
        let Some(output) = export(&pool, &folder.path().join("vm.xva"), keep_part).await else {
            return;
        };
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(complained(&output).contains("cannot be resumed"), "{output:?}");
        assert_eq!(names_in(&folder), if keep { vec!["vm.xva.part"] } else { vec![] });
        pool.simulator.clear_faults();
        pool.assert_tidy().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_there_is_replaced_only_when_asked() {
    let pool = pool().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("vm.xva");
    std::fs::write(&file, "the backup of last week").unwrap();
    let Some(output) = export(&pool, &file, &[]).await else {
        return;
    };
    assert_eq!(output.status.code(), Some(1));
    assert!(complained(&output).contains("--overwrite"), "{output:?}");
    assert!(!pool.simulator.counters().requests.contains_key("/export"));

    let output = export(&pool, &file, &["--overwrite"]).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(std::fs::metadata(&file).unwrap().len() > 3 << 20);
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_vm_is_exported_by_a_snapshot_that_goes_away() {
    let pool = Pool::new(0).await;
    pool.simulator.add_vm(VmSpec::new(NAME).disk(dense_disk(2))).unwrap();
    let count = || (pool.simulator.refs("VM").len(), pool.simulator.refs("VDI").len());
    let before = count();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("vm.xva");
    let Some(refused) = export(&pool, &file, &[]).await else {
        return;
    };
    assert_eq!(refused.status.code(), Some(1));
    assert!(complained(&refused).contains("--snapshot"), "{refused:?}");
    assert_eq!(names_in(&folder), [""; 0]);

    let output = export(&pool, &file, &["--snapshot"]).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(names_in(&folder), ["vm.xva"]);
    assert_eq!(count(), before);
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_nobody_takes_is_a_failure() {
    let pool = pool().await;
    let Some(mut tool) = pool.tool("vm-export") else { return };
    let tool = tool
        .args(["--vm", NAME, "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = tool.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(complained(&output).contains("standard output"), "{output:?}");
    pool.assert_tidy().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_leaves_nothing_of_an_export() {
    let pool = pool().await;
    pool.simulator.fault(Fault::on("/export").stall(1_500_000));
    let folder = TempDir::new().unwrap();
    let Some(mut tool) = pool.tool("vm-export") else { return };
    tool.args(["--vm", NAME]).arg(folder.path().join("vm.xva"));
    let child = tool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while names_in(&folder).is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let interrupt = format!("kill -INT {}", child.id().unwrap());
    std::process::Command::new("sh")
        .args(["-c", &interrupt])
        .status()
        .unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert_eq!(names_in(&folder), [""; 0]);
    let counters = pool.simulator.counters();
    assert_eq!((counters.calls("task.cancel"), counters.calls("task.destroy")), (1, 1));
    assert_eq!(pool.simulator.refs("session"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_archive_makes_no_vm() {
    let pool = pool().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("vm.xva");
    let Some(exported) = export(&pool, &file, &[]).await else {
        return;
    };
    assert!(exported.status.success(), "{exported:?}");
    let whole = std::fs::read(&file).unwrap();
    let block = whole.windows(64).position(|bytes| bytes == [0xa5; 64]).unwrap();
    let mut flipped = whole.clone();
    flipped[block] ^= 1;
    let cut = whole[..whole.len() / 2].to_vec();
    let vms = pool.simulator.refs("VM").len();
    for (bytes, reason) in [(flipped, "checksum"), (cut, "cut off"), (b"no archive".to_vec(), "")] {
        std::fs::write(&file, bytes).unwrap();
        let output = import(&pool, &file, &[]).await.unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let complaint = complained(&output);
        assert!(
            complaint.contains("the import failed") && complaint.contains(reason),
            "{complaint}"
        );
        assert_eq!(pool.simulator.refs("VM").len(), vms);
        pool.assert_tidy().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_import_says_what_the_task_said() {
    let pool = pool().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("vm.xva");
    let Some(exported) = export(&pool, &file, &[]).await else {
        return;
    };
    assert!(exported.status.success(), "{exported:?}");
    pool.simulator
        .fault(Fault::on("/import").error("SR_FULL", ["1024", "512"]));
    let output = import(&pool, &file, &[]).await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(complained(&output).contains("SR_FULL"), "{output:?}");
    let output = import(&pool, &file, &["--sr", "no such storage"]).await.unwrap();
    assert!(complained(&output).contains("\"no such storage\""), "{output:?}");
    pool.assert_tidy().await;
}
