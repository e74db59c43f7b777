//! Images of other machines that become VMs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tempfile::tempdir;
use xenapi::{DiskFormat, VmRecord};
use xenapi_sim::Fault;

use crate::harness::{Folder, Pool, complained};
use crate::sshd::find;

/// A disk with a partition table, something at its end, and nothing in between.
fn image(path: &Path) -> Vec<u8> {
    let mut bytes = vec![0; 8 << 20];
    bytes[440..444].copy_from_slice(&0x1234_abcd_u32.to_le_bytes());
    bytes[446] = 0x80;
    bytes[450] = 0x83;
    bytes[454..458].copy_from_slice(&2048_u32.to_le_bytes());
    bytes[458..462].copy_from_slice(&8192_u32.to_le_bytes());
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    bytes[7 << 20..][..5000].fill(0x5a);
    let file = File::create(path).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    file.write_all_at(&bytes[..4096], 0).unwrap();
    file.write_all_at(&bytes[7 << 20..][..8192], 7 << 20).unwrap();
    bytes
}

async fn vms(pool: &Pool) -> BTreeMap<String, VmRecord> {
    let client = pool.client().await;
    let vms = client.vms().all_records().await.unwrap();
    client.logout().await.unwrap();
    vms.into_iter().map(|(_, vm)| (vm.uuid.clone(), vm)).collect()
}

/// The disks of a VM, from the first to the last byte.
async fn contents(pool: &Pool, vm: &VmRecord) -> Vec<Vec<u8>> {
    let client = pool.client().await;
    let (vbds, vdis) = tokio::try_join!(client.vbds().all_records(), client.vdis().all_records()).unwrap();
    let mut contents = Vec::new();
    for disk in vm.disks(&vbds, &vdis) {
        let export = client.vdi(disk.vbd.vdi).export_raw(DiskFormat::Raw).await.unwrap();
        let pieces: Vec<_> = export.try_collect().await.unwrap();
        contents.push(pieces.concat());
    }
    client.logout().await.unwrap();
    contents
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_becomes_a_vm_and_a_failure_leaves_nothing() {
    let pool = Pool::new(2).await;
    let folder = Folder(tempdir().unwrap());
    let original = image(&folder.path("old.img"));
    fs::copy(folder.path("old.img"), folder.path("data.raw")).unwrap();
    let before: Vec<_> = vms(&pool).await.into_keys().collect();
    let disks = pool.simulator.refs("VDI").len();
    let migrate = |more: &[&str]| {
        let mut tool = pool.tool("migrate-in")?;
        tool.arg(folder.path("old.img")).arg(folder.path("data.raw"));
        tool.args(["--name", "old-server", "--memory-mib", "512", "--cpus", "3"])
            .args(more);
        Some(tool)
    };
    let Some(mut dry) = migrate(&["--dry-run"]) else { return };
    let dry = dry.output().await.unwrap();
    assert!(
        dry.status.success() && complained(&dry).contains("with 2 disks"),
        "{dry:?}"
    );
    for message in ["/import_raw_vdi", "VBD.create"] {
        pool.simulator
            .fault(Fault::on(message).error("INTERNAL_ERROR", ["out of luck"]).times(1));
        let failed = migrate(&["--start"]).unwrap().output().await.unwrap();
        assert_eq!(failed.status.code(), Some(1), "{failed:?}");
        let said = complained(&failed);
        assert!(
            said.contains("nothing of it is left") && said.contains("out of luck"),
            "{said}"
        );
        let after: Vec<_> = vms(&pool).await.into_keys().collect();
        assert!(
            after == before && pool.simulator.refs("VDI").len() == disks,
            "{message}"
        );
    }
    // What ctrl-c leaves is told: nothing, or a VM that was as good as made.
    pool.simulator.set_pace(5, Duration::from_millis(20));
    let client = pool.client().await;
    for message in ["Async.VDI.create", "Async.VM.clone", "VBD.create"] {
        let begun = pool.simulator.counters().calls(message);
        let mut child = migrate(&["--start"]).unwrap();
        let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        while pool.simulator.counters().calls(message) == begun {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let id = child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let output = child.wait_with_output().await.unwrap();
        assert_eq!(output.status.code(), Some(130), "{message}: {output:?}");
        if complained(&output).contains("The VM old-server is made") {
            let vm = client.vms().by_name_label("old-server").await.unwrap()[0];
            let disks: Vec<_> = client.vm(vm).vbds().await.unwrap();
            for vbd in disks {
                let vdi = client.vbd(vbd).vdi().await.unwrap();
                client.vdi(vdi).destroy().await.unwrap();
            }
            client.vm(vm).destroy().await.unwrap();
        }
        let after: Vec<_> = vms(&pool).await.into_keys().collect();
        assert!(
            after == before && pool.simulator.refs("VDI").len() == disks,
            "{message}: {output:?}"
        );
    }
    client.logout().await.unwrap();
    pool.simulator.set_pace(1, Duration::ZERO);

    let fault = Fault::on("VM.start").error("HOST_NOT_ENOUGH_FREE_MEMORY", ["1", "0"]);
    pool.simulator.fault(fault.times(1));
    let made = migrate(&["--start"]).unwrap().output().await.unwrap();
    assert!(complained(&made).contains("made, but not started"), "{made:?}");
    let client = pool.client().await;
    let vm = client.vms().by_name_label("old-server").await.unwrap()[0];
    client.vm(vm).start(false, false).await.unwrap();
    client.logout().await.unwrap();
    let said = complained(&made);
    assert!(
        said.contains("boots by BIOS") && said.contains("12 KiB were sent"),
        "{said}"
    );
    let after = vms(&pool).await;
    let vm = after.values().find(|vm| vm.name_label == "old-server").unwrap();
    assert_eq!(
        (vm.vcpus_max, vm.memory_static_max, vm.power_state.as_str()),
        (3, 512 << 20, "Running")
    );
    assert!(!vm.is_a_template);
    assert_eq!(vm.hvm_boot_params.get("firmware").map(String::as_str), Some("bios"));
    assert_eq!(contents(&pool, vm).await, [original.clone(), original]);
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_qcow2_that_boots_by_uefi() {
    if ["qemu-img", "sgdisk"].iter().any(|program| find(program).is_none()) {
        assert!(
            std::env::var_os("CI").is_none(),
            "qemu-img and sgdisk are not installed"
        );
        eprintln!("skipped: qemu-img and sgdisk are not installed");
        return;
    }
    let pool = Pool::new(1).await;
    let folder = Folder(tempdir().unwrap());
    let (raw, packed) = (folder.path("web.raw"), folder.path("web.qcow2"));
    File::create(&raw).unwrap().set_len(64 << 20).unwrap();
    let sgdisk = Command::new(find("sgdisk").unwrap())
        .args(["-n", "1:0:+8M", "-t", "1:ef00", "-n", "2:0:0"])
        .arg(&raw)
        .output();
    assert!(sgdisk.unwrap().status.success());
    let convert = Command::new("qemu-img")
        .args(["convert", "-O", "qcow2"])
        .arg(&raw)
        .arg(&packed)
        .status();
    assert!(convert.unwrap().success());
    let Some(mut migrate) = pool.tool("migrate-in") else {
        return;
    };
    let made = migrate.arg(&packed).args(["--name", "web"]).output().await.unwrap();
    assert!(made.status.success(), "{made:?}");
    let all = vms(&pool).await;
    let vm = all.values().find(|vm| vm.name_label == "web").unwrap();
    assert_eq!(vm.hvm_boot_params.get("firmware").map(String::as_str), Some("uefi"));
    assert_eq!(contents(&pool, vm).await, [fs::read(&raw).unwrap()]);
    pool.assert_tidy().await;
}
