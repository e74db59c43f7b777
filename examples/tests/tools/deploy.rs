//! Environments made, interrupted, gone on with, taken back and destroyed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use tempfile::tempdir;
use xenapi::{Ref, Vm, VmRecord};
use xenapi_sim::Fault;

use crate::harness::{Folder, Pool, complained, json, said};

const TEAM: &str = r#"
name = "repro-7"

[[block]]
name = "db"
count = 6
template = "Debian Bookworm 12"
cpus = 2
memory = "2 GiB"
snapshot = "fresh"

[[block]]
name = "web"
count = 24
template = "Debian Bookworm 12"
after = ["db"]
boot = "ncd"
xenstore = { "vm-data/role" = "web" }
address = 20

[[block.disk]]
size = "1 GiB"

[[block.nic]]
network = "lab-42"
vlan = 42
"#;

/// What the pool has, beside what a deployment makes.
async fn inventory(pool: &Pool) -> (BTreeSet<String>, BTreeSet<String>) {
    let client = pool.client().await;
    let (vms, vdis) = tokio::try_join!(client.vms().all_records(), client.vdis().all_records()).unwrap();
    client.logout().await.unwrap();
    (
        vms.values().map(|vm| vm.uuid.clone()).collect(),
        vdis.values().map(|vdi| vdi.uuid.clone()).collect(),
    )
}

/// The machines by name; each is there once.
async fn machines(pool: &Pool) -> BTreeMap<String, VmRecord> {
    let client = pool.client().await;
    let vms = client.vms().all_records().await.unwrap();
    client.logout().await.unwrap();
    let mut machines = BTreeMap::new();
    for vm in vms.values().filter(|vm| !vm.is_a_snapshot) {
        let is_made = vm.other_config.iter().any(|(key, _)| key == "deploy-environment");
        assert!(!vm.name_label.starts_with("deploy "), "left over: {}", vm.name_label);
        if is_made {
            assert!(
                machines.insert(vm.name_label.clone(), vm.clone()).is_none(),
                "{} is there twice",
                vm.name_label
            );
        }
    }
    machines
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_machines_survive_that_the_tool_is_killed_again_and_again() {
    let pool = Pool::new(4).await;
    let folder = Folder(tempdir().unwrap());
    let file = folder.path("team.toml");
    fs::write(&file, TEAM).unwrap();
    let before = inventory(&pool).await;
    let Some(mut plan) = pool.tool("deploy") else { return };
    let planned = plan.arg("plan").arg(&file).output().await.unwrap();
    assert!(planned.status.success(), "{planned:?}");
    assert!(said(&planned).contains("network lab-42: VLAN 42") && said(&planned).contains("web-24: clone"));
    assert_eq!(inventory(&pool).await, before, "a plan changes nothing");

    for message in [
        "VM.clone",
        "VM.provision",
        "VDI.create",
        "VBD.create",
        "VM.start",
        "VM.snapshot",
    ] {
        pool.simulator
            .fault(Fault::on(message).delay(Duration::from_millis(30)));
    }
    for moment in [120, 200, 330, 470, 610, 280] {
        let mut up = pool.tool("deploy").unwrap();
        let mut up = up.arg("up").arg(&file).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(moment)).await;
        up.kill().await.unwrap();
    }
    let mut up = pool.tool("deploy").unwrap();
    let up = up.arg("up").arg(&file).output().await.unwrap();
    assert!(up.status.success(), "{up:?}");
    assert!(complained(&up).contains("30 of 30 machines are ready"), "{up:?}");
    let made = machines(&pool).await;
    assert_eq!(made.len(), 30);

    let client = pool.client().await;
    let (vdis, vbds, vifs) = tokio::try_join!(
        client.vdis().all_records(),
        client.vbds().all_records(),
        client.vifs().all_records()
    )
    .unwrap();
    for (name, vm) in &made {
        assert_eq!(vm.power_state.as_str(), "Running", "{name}");
        let disks = vm.disks(&vbds, &vdis);
        let sizes: Vec<_> = disks.iter().map(|disk| disk.vdi.virtual_size).collect();
        assert_eq!(sizes.contains(&(1 << 30)), name.starts_with("web"), "{name}: {sizes:?}");
        assert!(
            sizes.iter().filter(|size| **size == 1 << 30).count() <= 1,
            "{name}: {sizes:?}"
        );
        if name.starts_with("web") {
            assert_eq!(vm.hvm_boot_params.get("order").map(String::as_str), Some("ncd"));
            assert_eq!(vm.xenstore_data.get("vm-data/role").map(String::as_str), Some("web"));
            let of_vm: Vec<_> = vm.vifs.iter().map(|vif| vifs[vif].network).collect();
            assert_eq!(of_vm.len(), 1, "{name}");
            assert_eq!(client.network(of_vm[0]).name_label().await.unwrap(), "lab-42");
        } else {
            assert_eq!((vm.vcpus_max, vm.memory_static_max), (2, 2 << 30), "{name}");
            assert_eq!(vm.snapshots.len(), 1, "{name}");
        }
    }
    // Every disk that was made for it is somebody's.
    let is_made = |vdi: &&xenapi::VdiRecord| vdi.other_config.iter().any(|(key, _)| key == "deploy-environment");
    let lone: Vec<_> = vdis
        .values()
        .filter(is_made)
        .filter(|vdi| vdi.vbds.is_empty())
        .map(|vdi| &vdi.name_label)
        .collect();
    assert!(lone.is_empty(), "{lone:?}");
    client.logout().await.unwrap();

    let calls = pool.simulator.counters().calls("VM.clone");
    let mut again = pool.tool("deploy").unwrap();
    let again = again.arg("up").arg(&file).output().await.unwrap();
    assert!(
        again.status.success() && said(&again).lines().all(|line| line.ends_with("was ready")),
        "{again:?}"
    );
    assert_eq!(pool.simulator.counters().calls("VM.clone"), calls);
    let mut status = pool.tool("deploy").unwrap();
    let status = json(&status.arg("status").arg(&file).arg("--json").output().await.unwrap());
    assert_eq!(status.as_array().unwrap().len(), 30);
    assert!(
        status
            .as_array()
            .unwrap()
            .iter()
            .all(|machine| machine["ready"] == true),
        "{status}"
    );

    // Back to the snapshot: what was done since then is gone, and the machine is still known.
    let db: Ref<Vm> = pool.simulator.find("VM", "db-01").unwrap().parse().unwrap();
    let client = pool.client().await;
    client.vm(db).set_name_description("changed since").await.unwrap();
    client.logout().await.unwrap();
    let mut revert = pool.tool("deploy").unwrap();
    let reverted = revert.arg("revert").arg(&file).arg("--yes").output().await.unwrap();
    assert!(reverted.status.success(), "{reverted:?}");
    let made = machines(&pool).await;
    assert_eq!(made.len(), 30);
    assert_eq!(made["db-01"].name_description, "");
    assert_eq!(made["db-01"].power_state.as_str(), "Running");

    let mut dry = pool.tool("deploy").unwrap();
    let dry = dry.arg("destroy").arg(&file).arg("--dry-run").output().await.unwrap();
    assert!(dry.status.success());
    let mut unasked = pool.tool("deploy").unwrap();
    let unasked = unasked.arg("destroy").arg(&file).output().await.unwrap();
    assert_eq!(unasked.status.code(), Some(1), "nobody was there to ask");
    assert_eq!(machines(&pool).await.len(), 30);
    let mut destroy = pool.tool("deploy").unwrap();
    let destroyed = destroy.arg("destroy").arg(&file).arg("--yes").output().await.unwrap();
    assert!(destroyed.status.success(), "{destroyed:?}");
    assert_eq!(
        inventory(&pool).await,
        before,
        "all that was made is gone, and nothing else"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_fails_holds_up_only_those_that_wait_for_it() {
    let pool = Pool::new(4).await;
    let folder = Folder(tempdir().unwrap());
    let file = folder.path("team.toml");
    let team = TEAM
        .replace("count = 24", "count = 2")
        .replace("count = 6", "count = 3");
    let alone = "\n[[block]]\nname = \"alone\"\ntemplate = \"Debian Bookworm 12\"\n";
    fs::write(&file, format!("{team}{alone}")).unwrap();
    pool.simulator
        .fault(Fault::on("VM.start").error("INTERNAL_ERROR", ["out of luck"]).times(1));
    let Some(mut up) = pool.tool("deploy") else { return };
    let up = up
        .arg("up")
        .arg(&file)
        .args(["--parallel", "1"])
        .output()
        .await
        .unwrap();
    assert_eq!(up.status.code(), Some(1));
    let text = said(&up);
    let failed: Vec<_> = text
        .lines()
        .filter(|line| line.contains("failed at start") && line.contains("out of luck"))
        .collect();
    assert_eq!(failed.len(), 1, "{text}");
    if failed[0].starts_with("db-") {
        assert_eq!(text.matches("waits for db").count(), 2, "{text}");
        assert!(text.contains("alone: make, start"), "{text}");
    }
    let mut status = pool.tool("deploy").unwrap();
    assert_eq!(
        status.arg("status").arg(&file).output().await.unwrap().status.code(),
        Some(1)
    );
    let mut up = pool.tool("deploy").unwrap();
    let up = up.arg("up").arg(&file).output().await.unwrap();
    assert!(up.status.success(), "{up:?}");
    assert_eq!(machines(&pool).await.len(), 6);
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_file_is_refused_with_all_its_mistakes() {
    let pool = Pool::new(2).await;
    let folder = Folder(tempdir().unwrap());
    let file = folder.path("team.toml");
    let before = inventory(&pool).await;
    let refused = async |text: &str| {
        fs::write(&file, text).unwrap();
        let mut up = pool.tool("deploy")?;
        let up = up.arg("up").arg(&file).output().await.unwrap();
        assert_eq!(up.status.code(), Some(1), "{up:?}");
        Some(complained(&up))
    };
    let Some(said) = refused("name = \"x\"\n[[block]]\nname = \"a\"\ntemplate = \"t\"\nmemroy = \"1 GiB\"\n").await
    else {
        return;
    };
    assert!(said.contains("memroy"), "{said}");
    let text = "name = \"x\"\n[[block]]\nname = \"a\"\ntemplate = \"no such\"\niso = \"none.iso\"\n[[block.nic]]\nnetwork = \"nowhere\"\n";
    let said = refused(text).await.unwrap();
    for missing in ["no such", "none.iso", "nowhere"] {
        assert!(said.contains(missing), "{missing}: {said}");
    }
    assert_eq!(inventory(&pool).await, before);
    pool.assert_tidy().await;
}

/// Names of the networks that the pool has.
fn networks(pool: &Pool) -> BTreeSet<String> {
    let names = pool.simulator.refs("network");
    let names = names
        .iter()
        .map(|network| pool.simulator.get("network", network, "name_label").unwrap());
    names.map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_make_of_machines_is_theirs() {
    const SMALL: &str = "name = \"lab\"\n[[block]]\nname = \"web\"\ntemplate = \"Debian Bookworm 12\"\n";
    let pool = Pool::new(2).await;
    let folder = Folder(tempdir().unwrap());
    let file = folder.path("lab.toml");
    fs::write(&file, SMALL).unwrap();
    let deploy = async |args: &[&str]| {
        let mut deploy = pool.tool("deploy")?;
        Some(deploy.args(args).arg(&file).output().await.unwrap())
    };
    let Some(up) = deploy(&["up"]).await else { return };
    assert!(up.status.success(), "{up:?}");

    // A clone has the marks of what it was made of; a VM may be called anything.
    let client = pool.client().await;
    let web = machines(&pool).await["web"].clone();
    let web: Ref<Vm> = client.vms().by_uuid(&web.uuid).await.unwrap();
    client.vm(web).hard_shutdown().await.unwrap();
    let copy = client.vm(web).clone_as("my copy of web").await.unwrap();
    let notes = client.vm(web).clone_as("deploy lab notes").await.unwrap();
    for key in ["deploy-environment", "deploy-machine", "deploy-done", "deploy-self"] {
        client.vm(notes).remove_from_other_config(key).await.unwrap();
    }
    let before = inventory(&pool).await;
    let again = deploy(&["up"]).await.unwrap();
    assert!(
        again.status.success() && said(&again).contains("web: was ready"),
        "{again:?}"
    );
    assert_eq!(inventory(&pool).await, before);
    let destroyed = deploy(&["destroy", "--yes"]).await.unwrap();
    assert!(destroyed.status.success(), "{destroyed:?}");
    assert!(client.vm(web).uuid().await.is_err());
    for theirs in [copy, notes] {
        let disks = client.vm(theirs).record().await.unwrap().vbds;
        assert!(!disks.is_empty());
        client.vm(theirs).uuid().await.unwrap();
    }
    client.logout().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_made_of_a_machine_is_whole() {
    const LAB: &str = r#"
name = "NAME"
[[block]]
name = "BLOCK"
template = "TEMPLATE"
[[block.disk]]
size = "SIZE GiB"
[[block.nic]]
network = "lab-VLAN"
vlan = VLAN
"#;
    let pool = Pool::new(2).await;
    let folder = Folder(tempdir().unwrap());
    let before = networks(&pool);
    let deploy = async |job: &[&str], file: &str, lab: [&str; 5]| {
        let names = ["NAME", "BLOCK", "TEMPLATE", "SIZE", "VLAN"];
        let text = names
            .iter()
            .zip(lab)
            .fold(LAB.to_owned(), |text, (name, value)| text.replace(name, value));
        let file = folder.path(file);
        fs::write(&file, text).unwrap();
        let mut deploy = pool.tool("deploy")?;
        Some(deploy.args(job).arg(&file).output().await.unwrap())
    };
    let golden = ["base", "golden", "Debian Bookworm 12", "1", "42"];
    let Some(up) = deploy(&["up"], "base.toml", golden).await else {
        return;
    };
    assert!(up.status.success(), "{up:?}");
    let client = pool.client().await;
    let made = client.vms().by_name_label("golden").await.unwrap()[0];
    client.vm(made).hard_shutdown().await.unwrap();
    let second = ["lab2", "web", "golden", "2", "43"];
    let up = deploy(&["up"], "lab2.toml", second).await.unwrap();
    assert!(up.status.success(), "{up:?}");
    let web = client.vms().by_name_label("web").await.unwrap()[0];
    let vifs = client.vm(web).vifs().await.unwrap();
    assert_eq!(vifs.len(), 1);
    let network = client.vif(vifs[0]).network().await.unwrap();
    assert_eq!(client.network(network).name_label().await.unwrap(), "lab-43");
    let (vbds, vdis) = tokio::try_join!(client.vbds().all_records(), client.vdis().all_records()).unwrap();
    let record = client.vm(web).record().await.unwrap();
    let sizes: Vec<_> = record
        .disks(&vbds, &vdis)
        .iter()
        .map(|disk| disk.vdi.virtual_size >> 30)
        .collect();
    assert!(sizes.contains(&1) && sizes.contains(&2), "{sizes:?}");

    let text = LAB
        .replace("lab-VLAN", "lab-42")
        .replace("NAME", "lab3")
        .replace("BLOCK", "db")
        .replace("TEMPLATE", "golden")
        .replace("SIZE", "1")
        .replace("VLAN", "77");
    let wrong = folder.path("wrong.toml");
    fs::write(&wrong, text).unwrap();
    let refused = pool
        .tool("deploy")
        .unwrap()
        .arg("plan")
        .arg(&wrong)
        .output()
        .await
        .unwrap();
    assert!(
        complained(&refused).contains("\"lab-42\" is not VLAN 77"),
        "{refused:?}"
    );

    for (file, lab) in [("lab2.toml", second), ("base.toml", golden)] {
        let destroyed = deploy(&["destroy", "--yes"], file, lab).await.unwrap();
        assert!(destroyed.status.success(), "{destroyed:?}");
    }
    assert_eq!(networks(&pool), before);
    client.logout().await.unwrap();
    pool.assert_tidy().await;
}
