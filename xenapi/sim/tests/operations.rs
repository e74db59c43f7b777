//! What operators do with networks, users, hosts and changed blocks.

mod common;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use common::{args, fetch, pool};
use xenapi::Value;
use xenapi_sim::{DiskImage, VmSpec};

const NULL: &str = "OpaqueRef:NULL";

#[tokio::test]
async fn a_vlan_comes_to_every_host_and_goes_again() {
    let (pool, caller) = pool(|builder| builder.hosts(2).vms(0)).await;
    let network = common::record(&[
        ("name_label", Value::String("vlan 7".to_owned())),
        ("other_config", common::empty()),
    ]);
    let network = caller.text("network.create", vec![network]).await;
    let before = pool.refs("PIF");
    let tagged = &before[0];
    let made = caller
        .ok("pool.create_VLAN_from_PIF", args![tagged, network, 7_i64])
        .await;
    assert_eq!(made.as_array().unwrap().len(), 2);
    for pif in made.as_array().unwrap() {
        assert_eq!(caller.ok("PIF.get_VLAN", args![pif]).await.as_int(), Some(7));
        assert_eq!(caller.text("PIF.get_network", args![pif]).await, network);
        let vlan = caller.text("PIF.get_VLAN_master_of", args![pif]).await;
        assert_eq!(caller.ok("VLAN.get_tag", args![vlan]).await.as_int(), Some(7));
    }
    let again = caller
        .call("VLAN.create", args![tagged, 8_i64, network])
        .await
        .unwrap_err();
    assert_eq!(again[0], "NETWORK_ALREADY_CONNECTED");
    let wrong = caller
        .call("VLAN.create", args![tagged, 4095_i64, network])
        .await
        .unwrap_err();
    assert_eq!(wrong, ["VLAN_TAG_INVALID", "4095"]);
    for pif in made.as_array().unwrap() {
        let vlan = caller.text("PIF.get_VLAN_master_of", args![pif]).await;
        caller.ok("VLAN.destroy", args![vlan]).await;
    }
    assert_eq!((pool.refs("VLAN").len(), pool.refs("PIF")), (0, before));
    caller.ok("network.destroy", args![network]).await;
}

#[tokio::test]
async fn subjects_get_roles_and_lose_them() {
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    let subject = common::record(&[
        ("subject_identifier", Value::String("S-1-5-21".to_owned())),
        ("other_config", common::empty()),
    ]);
    let subject = caller.text("subject.create", vec![subject]).await;
    let role = pool.find("role", "vm-operator").unwrap();
    caller.ok("subject.add_to_roles", args![subject, role]).await;
    let twice = caller.err("subject.add_to_roles", args![subject, role]).await;
    assert_eq!(twice, ["ROLE_ALREADY_EXISTS"]);
    caller.ok("subject.remove_from_roles", args![subject, role]).await;
    let gone = caller.err("subject.remove_from_roles", args![subject, role]).await;
    assert_eq!(gone, ["ROLE_NOT_FOUND"]);
}

#[tokio::test]
async fn a_host_restarts_only_when_it_is_disabled_and_empty() {
    let (pool, caller) = pool(|builder| builder.hosts(2).vms(6)).await;
    let member = pool.refs("host").into_iter().find(|host| {
        let coordinator = pool.get("pool", &pool.refs("pool")[0], "master");
        coordinator.as_ref().and_then(Value::as_str) != Some(host)
    });
    let member = member.unwrap();
    let enabled = caller.err("host.reboot", args![member]).await;
    assert_eq!(enabled, ["HOST_NOT_DISABLED"]);
    caller.ok("host.disable", args![member]).await;
    let used = caller.err("host.reboot", args![member]).await;
    assert_eq!((used[0].as_str(), used[2].as_str()), ("HOST_IN_USE", "VM"));
    caller.ok("host.evacuate", args![member]).await;
    caller.ok("host.reboot", args![member]).await;
    assert_eq!(caller.ok("host.get_enabled", args![member]).await, Value::Bool(true));
}

#[tokio::test]
async fn changed_blocks_are_told_also_when_the_old_content_is_gone() {
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    let mut disk = DiskImage::new(10 << 20);
    disk.write(0, b"start");
    let vm = pool.add_vm(VmSpec::new("one").halted().disk(disk)).unwrap();
    let mut disks = Vec::new();
    for vbd in caller.ok("VM.get_VBDs", args![vm]).await.as_array().unwrap() {
        disks.push(caller.text("VBD.get_VDI", args![vbd]).await);
    }
    let disk = disks.into_iter().find(|vdi| vdi != NULL).unwrap();
    let untracked = caller.err("VDI.list_changed_blocks", args![disk, disk]).await;
    assert_eq!(untracked, ["VDI_NO_CBT_METADATA".to_owned(), disk.clone()]);
    caller.ok("VDI.enable_cbt", args![disk]).await;
    let before = caller.text("VDI.snapshot", args![disk]).await;
    for offset in [0_u64, 700 << 10] {
        let frame = [&offset.to_le_bytes()[..], &512_u32.to_le_bytes(), &[9; 512], &[0; 12]].concat();
        let address = format!(
            "{}/import_raw_vdi?vdi={disk}&chunked&session_id={}",
            caller.url, caller.session
        );
        let request = http::Request::put(address).body(Bytes::from(frame).into()).unwrap();
        assert_eq!(fetch(&pool.transport(), request).await.unwrap().0, 200);
    }
    let after = caller.text("VDI.snapshot", args![disk]).await;
    caller.ok("VDI.data_destroy", args![before]).await;
    assert_eq!(caller.text("VDI.get_type", args![before]).await, "cbt_metadata");
    let nbd = caller.err("VDI.get_nbd_info", args![before]).await;
    assert_eq!(nbd[0], "VDI_INCOMPATIBLE_TYPE");
    let bits = caller.text("VDI.list_changed_blocks", args![before, after]).await;
    let mut expected = vec![0; 20];
    (expected[0], expected[1]) = (0x80, 0x20);
    assert_eq!(BASE64_STANDARD.decode(bits).unwrap(), expected);
}
