//! How big disks are, whose they are, and what could go.

use serde_json::Value;
use xenapi::vdi::VdiType;
use xenapi::{Ref, Vdi, VdiRecord, Vm};
use xenapi_sim::{DiskImage, VmSpec};

use crate::harness::{Pool, complained, json, said};

fn disk_called<'a>(storage: &'a Value, name: &str) -> Vec<&'a Value> {
    let storage = storage.as_array().unwrap().iter();
    let disks = storage.flat_map(|sr| sr["disks"].as_array().unwrap());
    disks.filter(|disk| disk["name"] == name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_disks_are_and_what_could_go() {
    let pool = Pool::new(0).await;
    if pool.tool("disks").is_none() {
        return;
    }
    let vm = pool
        .simulator
        .add_vm(VmSpec::new("db").halted().disk(DiskImage::new(8 << 30)))
        .unwrap();
    pool.simulator
        .add_vm(VmSpec::new("other").halted().disk(DiskImage::new(1 << 30)))
        .unwrap();
    let client = pool.client().await;
    let vbd = client.vm(vm.parse::<Ref<Vm>>().unwrap()).vbds().await.unwrap()[0];
    let disk = client.vbd(vbd).vdi().await.unwrap();
    let record = client.vdi(disk).record().await.unwrap();
    let make = async |name: &str| -> Ref<Vdi> {
        let mut vdi = VdiRecord::default();
        vdi.name_label = name.to_owned();
        vdi.sr = record.sr;
        vdi.virtual_size = 4 << 30;
        vdi.kind = VdiType::User;
        client.vdis().create(&vdi).await.unwrap()
    };
    let (spare, doomed) = (make("spare").await, make("doomed").await);
    let snapshot = client.vdi(disk).snapshot().await.unwrap();
    let leftover = client.vdi(doomed).snapshot().await.unwrap();
    client.vdi(leftover).set_name_label("leftover").await.unwrap();
    client.vdi(snapshot).set_name_label("yesterday").await.unwrap();
    // The disk and its snapshot share an image that is below both; the spare one has one of its own.
    let (shared, own) = (make("shared").await, make("own").await);
    for (parent, children, bytes) in [(shared, &[disk, snapshot][..], 3_i64 << 30), (own, &[spare], 2 << 30)] {
        let wire = parent.to_wire();
        pool.simulator.set("VDI", &wire, "managed", false);
        pool.simulator.set("VDI", &wire, "physical_utilisation", bytes);
        let uuid = client.vdi(parent).uuid().await.unwrap();
        for &child in children {
            client.vdi(child).add_to_sm_config("vhd-parent", &uuid).await.unwrap();
        }
    }
    for vdi in [spare, leftover] {
        pool.simulator
            .set("VDI", &vdi.to_wire(), "physical_utilisation", 1_i64 << 20);
    }
    client.vdi(doomed).destroy().await.unwrap();
    client.logout().await.unwrap();

    let disks = async |args: &[&str]| {
        let mut disks = pool.tool("disks").unwrap();
        disks.args(args).output().await.unwrap()
    };
    let all = json(&disks(&["--json"]).await);
    for (name, role) in [
        ("spare", "unused"),
        ("leftover", "leftover"),
        ("yesterday", "snapshot"),
        ("shared", "parent"),
    ] {
        let found = disk_called(&all, name);
        assert_eq!(found.len(), 1, "{name}: {all:#}");
        assert_eq!(found[0]["role"], role, "{name}");
    }
    let freed: u64 = all
        .as_array()
        .unwrap()
        .iter()
        .map(|sr| sr["could_be_freed"].as_u64().unwrap())
        .sum();
    assert_eq!(
        freed,
        (2 << 30) + (2 << 20),
        "with the parent of the spare disk, and without that of the used one"
    );

    let of_vm = json(&disks(&["--vm", "db", "--json"]).await);
    assert_eq!(disk_called(&of_vm, "yesterday").len(), 1);
    assert_eq!(disk_called(&of_vm, "shared").len(), 1);
    assert!(disk_called(&of_vm, "spare").is_empty());
    let table = said(&disks(&["--unused"]).await);
    assert!(
        table.contains("* ") && table.contains("spare") && table.contains("could be freed"),
        "{table}"
    );
    assert!(!table.contains("yesterday") && !table.contains("other"), "{table}");
    let missing = disks(&["--vm", "nobody"]).await;
    assert!(
        complained(&missing).contains("no VM called") && missing.status.code() == Some(1),
        "{missing:?}"
    );
    pool.assert_tidy().await;
}
