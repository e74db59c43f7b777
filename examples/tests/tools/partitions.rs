//! Partition tables out of exports.

use xenapi::Client;
use xenapi_sim::{DiskImage, VmSpec};

use crate::harness::{PASSWORD, Pool, complained, dense_disk, json, said, tool};

const MEBIBYTES: u64 = 64;

#[tokio::test(flavor = "multi_thread")]
async fn a_big_disk_is_hardly_read() {
    let pool = Pool::new(0).await;
    let spec = VmSpec::new("big").disk(dense_disk(MEBIBYTES)).halted();
    pool.simulator.add_vm(spec).unwrap();
    let Some(mut mbr) = pool.tool("vm-mbr") else { return };
    let answer = json(&mbr.args(["--vm", "big", "--json"]).output().await.unwrap());
    assert_eq!(answer["partitions"][0]["start"], 1 << 20);
    let read = answer["bytes_read"].as_u64().unwrap();
    assert!(read < 3 << 20, "{read} bytes read");
    pool.assert_tidy().await;
    let counters = pool.simulator.counters();
    // What the simulator has sent beyond that lies in the buffers of two sockets, which the kernel sizes.
    let sent = counters.sent("/export");
    assert!(sent < 5 << 20, "{sent} bytes sent");
    assert_eq!(counters.calls("task.cancel"), 1);
}

/// Disks without a table come before and behind the one that has one, however the archive sorts them.
#[tokio::test(flavor = "multi_thread")]
async fn disks_without_a_table_are_an_answer_or_passed_over() {
    let pool = Pool::new(0).await;
    let blank = || DiskImage::new(3 << 20);
    for (name, table) in [("blank", None), ("mixed", Some(dense_disk(2)))] {
        let spec = VmSpec::new(name).disk(blank()).halted();
        let spec = table.into_iter().fold(spec, VmSpec::disk).disk(blank());
        pool.simulator.add_vm(spec).unwrap();
    }
    let look = async |arguments: &[&str]| {
        let mut mbr = pool.tool("vm-mbr")?;
        Some(json(&mbr.arg("--json").args(arguments).output().await.unwrap()))
    };
    let Some(mixed) = look(&["--vm", "mixed"]).await else {
        return;
    };
    assert_eq!(mixed["disk"]["position"], "1");
    assert_eq!(mixed["scheme"], "mbr");
    let seen = mixed["passed"].as_array().unwrap().len() + mixed["not_looked_at"].as_array().unwrap().len();
    assert_eq!(seen, 2);

    for arguments in [&["--vm", "blank"][..], &["--vm", "mixed", "--disk", "0"]] {
        let blank = look(arguments).await.unwrap();
        assert_eq!(blank["disk"]["position"], "0");
        assert_eq!(blank["scheme"], serde_json::Value::Null);
        assert!(blank["reason"].as_str().unwrap().starts_with("no partition table"));
        assert!(blank["bytes_read"].as_u64().unwrap() > 0);
    }
    pool.assert_tidy().await;

    let archive = archive_of(&pool, "mixed").await;
    let Some(mut mbr) = tool("vm-mbr") else { return };
    let file = mbr
        .arg("--xva")
        .arg(archive.path())
        .env("XENAPI_URL", pool.server.url());
    assert!(said(&file.output().await.unwrap()).contains("MBR 0x1234abcd"));
}

async fn archive_of(pool: &Pool, name: &str) -> tempfile::NamedTempFile {
    let connect = Client::connect(pool.server.url()).pin_sha256(&pool.pin());
    let client = connect.login("root", PASSWORD).await.unwrap();
    let vm = client.vms().by_name_label(name).await.unwrap()[0];
    let mut export = client.vm(vm).export().await.unwrap();
    let archive = tempfile::NamedTempFile::new().unwrap();
    let mut file = tokio::fs::File::create(archive.path()).await.unwrap();
    tokio::io::copy(&mut export, &mut file).await.unwrap();
    file.sync_all().await.unwrap();
    client.logout().await.unwrap();
    archive
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_missing_or_not_alone_is_asked_for() {
    let pool = Pool::new(2).await;
    for _ in 0..2 {
        pool.simulator.add_vm(VmSpec::new("twin")).unwrap();
    }
    let Some(mut mbr) = pool.tool("vm-mbr") else { return };
    let output = mbr.output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    for name in ["db-01", "twin", "web-01"] {
        assert!(complained(&output).contains(name), "{output:?}");
    }
    let complaint = complained(&mbr.args(["--vm", "twin"]).output().await.unwrap());
    for twin in pool.simulator.refs("VM") {
        let text = |field| {
            pool.simulator
                .get("VM", &twin, field)
                .unwrap()
                .as_str()
                .unwrap()
                .to_owned()
        };
        if text("name_label") == "twin" {
            assert!(complaint.contains(&text("uuid")), "{complaint}");
        }
    }
}
