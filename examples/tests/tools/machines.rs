//! The tools that do one thing with many VMs.

use std::process::Output;

use tokio::process::Command;
use xenapi_sim::{Fault, VmSpec};

use crate::harness::{Pool, complained, json, said};

const ISO: &str = "Rocky-9.6-x86_64-minimal.iso";

async fn run(pool: &Pool, tool: &str, args: &[&str]) -> Option<Output> {
    let mut command: Command = pool.tool(tool)?;
    Some(command.args(args).output().await.unwrap())
}

/// What is in the drive of a VM: the name of the image.
fn loaded(pool: &Pool, vm: &str) -> Option<String> {
    let simulator = &pool.simulator;
    let vm = simulator.find("VM", vm).unwrap();
    let vbds = simulator.get("VM", &vm, "VBDs").unwrap();
    vbds.as_array().unwrap().iter().find_map(|vbd| {
        let field = |name| simulator.get("VBD", vbd.as_str().unwrap(), name).unwrap();
        let is_loaded = field("type").as_str() == Some("CD") && field("empty").as_bool() == Some(false);
        let vdi = field("VDI");
        let name = simulator.get("VDI", vdi.as_str()?, "name_label")?;
        is_loaded.then(|| name.as_str().unwrap().to_owned())
    })
}

fn state(pool: &Pool, vm: &str) -> String {
    let vm = pool.simulator.find("VM", vm).unwrap();
    let state = pool.simulator.get("VM", &vm, "power_state").unwrap();
    state.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn images_go_into_many_drives_and_one_failure_stops_no_other() {
    let pool = Pool::new(12).await;
    let Some(listed) = run(&pool, "iso", &["ls", "--json"]).await else {
        return;
    };
    assert!(
        json(&listed).as_array().unwrap().iter().any(|iso| iso["name"] == ISO),
        "{listed:?}"
    );

    let plan = run(&pool, "iso", &["insert", ISO, "web-*", "--dry-run"]).await.unwrap();
    assert!(said(&plan).contains(&format!("web-01: would insert {ISO}")), "{plan:?}");
    assert_eq!(loaded(&pool, "web-01"), None);

    let fault = Fault::on("VBD.insert")
        .times(1)
        .error("VBD_TRAY_LOCKED", ["OpaqueRef:x"]);
    pool.simulator.fault(fault);
    let output = run(&pool, "iso", &["insert", ISO, "web-*", "db-01", "--parallel", "1"])
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said(&output).contains("web-01: failed: "), "{output:?}");
    assert!(said(&output).contains(&format!("db-01: has {ISO}")), "{output:?}");
    assert_eq!(
        (loaded(&pool, "web-01"), loaded(&pool, "db-01")),
        (None, Some(ISO.to_owned()))
    );

    let again = run(&pool, "iso", &["insert", ISO, "--all", "--json"]).await.unwrap();
    let report = json(&again);
    assert_eq!(report.as_array().unwrap().len(), 12);
    assert!(
        report.as_array().unwrap().iter().all(|vm| vm["error"].is_null()),
        "{report}"
    );
    assert_eq!(loaded(&pool, "web-01").as_deref(), Some(ISO));

    let eject = run(&pool, "iso", &["eject", "web-01", "db-01"]).await.unwrap();
    assert!(complained(&eject).contains("2 of 2 done"), "{eject:?}");
    assert_eq!((loaded(&pool, "web-01"), loaded(&pool, "db-01")), (None, None));

    let unknown = run(&pool, "iso", &["insert", "rocky", "web-01"]).await.unwrap();
    assert!(
        complained(&unknown).contains(&format!("do you mean {ISO}")),
        "{unknown:?}"
    );
    let nobody = run(&pool, "iso", &["eject", "mail-*"]).await.unwrap();
    assert!(complained(&nobody).contains("no VM fits"), "{nobody:?}");
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_boots_once_from_its_drive() {
    let pool = Pool::new(0).await;
    pool.simulator.add_vm(VmSpec::new("new").halted()).unwrap();
    let vm = pool.simulator.find("VM", "new").unwrap();
    let order = |pool: &Pool| pool.simulator.get("VM", &vm, "HVM_boot_params").unwrap();
    let before = order(&pool);
    let Some(output) = run(&pool, "iso", &["insert", ISO, "new", "--reboot-to-cd"]).await else {
        return;
    };
    assert!(output.status.success(), "{output:?}");
    assert_eq!(state(&pool, "new"), "Running");
    assert_eq!(loaded(&pool, "new").as_deref(), Some(ISO));
    assert_eq!(order(&pool), before, "for this once only");
}

#[tokio::test(flavor = "multi_thread")]
async fn libraries_are_attached_and_their_passwords_stay_secret() {
    let pool = Pool::new(0).await;
    let Some(mut command) = pool.tool("iso") else { return };
    command.env("ISO_PASSWORD", "sesame").args([
        "sr-create",
        "smb://nas/isos/linux",
        "--name",
        "share",
        "--share-user",
        "LAB\\me",
    ]);
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let sr = pool.simulator.find("SR", "share").unwrap();
    assert_eq!(
        said(&output).trim(),
        pool.simulator.get("SR", &sr, "uuid").unwrap().as_str().unwrap()
    );
    let pbds = pool.simulator.get("SR", &sr, "PBDs").unwrap();
    let config = pool
        .simulator
        .get("PBD", pbds.as_array().unwrap()[0].as_str().unwrap(), "device_config")
        .unwrap();
    assert_eq!(config.get("location").unwrap().as_str(), Some("//nas/isos/linux"));
    assert!(!format!("{config:?}").contains("sesame"));
    let secrets = pool.simulator.refs("secret");
    let uuid = |secret: &String| pool.simulator.get("secret", secret, "uuid");
    let wanted = config.get("cifspassword_secret").cloned();
    assert!(wanted.is_some() && secrets.iter().any(|secret| uuid(secret) == wanted));

    let fault = Fault::on("SR.create").error("SR_BACKEND_FAILURE_222", ["", "Could not mount the directory", ""]);
    pool.simulator.fault(fault);
    let mut command = pool.tool("iso").unwrap();
    command
        .env("ISO_PASSWORD", "sesame")
        .args(["sr-create", "smb://nas/gone", "--name", "gone", "--share-user", "me"]);
    let output = command.output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let complaint = complained(&output);
    assert!(
        complaint.contains("Could not mount") && !complaint.contains("sesame"),
        "{complaint}"
    );
    assert_eq!(
        pool.simulator.refs("secret").len(),
        secrets.len(),
        "what nobody uses is taken away"
    );
    let dry = run(
        &pool,
        "iso",
        &["sr-create", "nfs://10.0.0.9/export/isos", "--name", "n", "--dry-run"],
    )
    .await
    .unwrap();
    assert!(
        said(&dry).contains("device_config:location=10.0.0.9:/export/isos"),
        "{dry:?}"
    );
    let wrong = run(&pool, "iso", &["sr-create", "isos", "--name", "n"]).await.unwrap();
    assert!(complained(&wrong).contains("nfs://HOST/PATH"), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn power_of_many_vms() {
    let pool = Pool::new(6).await;
    let Some(output) = run(&pool, "vm-power", &["shutdown", "--all"]).await else {
        return;
    };
    assert!(output.status.success(), "{output:?}");
    assert!(
        ["web-01", "db-01", "win-01"]
            .iter()
            .all(|vm| state(&pool, vm) == "Halted")
    );
    for (verb, after) in [
        (&["start-paused", "web-01"][..], "Paused"),
        (&["unpause", "web-01"], "Running"),
        (&["pause", "web-01"], "Paused"),
        (&["unpause", "web-01"], "Running"),
        (&["suspend", "web-01"], "Suspended"),
        (&["resume", "web-01"], "Running"),
        (&["reboot", "web-01"], "Running"),
        (&["reboot", "web-01", "--hard"], "Running"),
        (&["shutdown", "web-01", "--hard"], "Halted"),
        (&["start", "web-01", "db-01", "--in-order"], "Running"),
        (&["start", "web-01"], "Running"),
    ] {
        let output = run(&pool, "vm-power", verb).await.unwrap();
        assert!(output.status.success(), "{verb:?}: {output:?}");
        assert_eq!(state(&pool, "web-01"), after, "{verb:?}");
    }
    let fault = Fault::on("VM.start")
        .object("win-01")
        .error("HOST_NOT_ENOUGH_FREE_MEMORY", ["1", "0"]);
    pool.simulator.fault(fault);
    let output = run(&pool, "vm-power", &["start", "--all"]).await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("win-01: failed: "), "{output:?}");
    assert!(said(&output).contains("web-01: was running already"), "{output:?}");
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_hangs_is_freed() {
    let pool = Pool::new(3).await;
    let Some(look) = run(&pool, "vm-power", &["rescue", "web-01", "--dry-run"]).await else {
        return;
    };
    assert!(said(&look).contains("web-01 is running on"), "{look:?}");
    assert!(said(&look).contains("would pull the plug"), "{look:?}");
    let nobody = run(&pool, "vm-power", &["rescue", "web-01"]).await.unwrap();
    assert_eq!(nobody.status.code(), Some(1), "nobody agreed: {nobody:?}");
    assert_eq!(state(&pool, "web-01"), "Running");

    let fault = Fault::on("VM.hard_shutdown").error("VM_SHUTDOWN_TIMEOUT", ["vm", "OpaqueRef:x", "1200."]);
    pool.simulator.fault(fault);
    let output = run(&pool, "vm-power", &["rescue", "web-01", "--yes"]).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(said(&output).contains("that did not help: "), "{output:?}");
    assert!(
        said(&output).contains("nothing holds it"),
        "the state was reset: {output:?}"
    );
    assert_eq!(state(&pool, "web-01"), "Halted");
    pool.assert_tidy().await;
}

/// Starts a tool and presses ctrl-c when something has happened on the pool.
#[cfg(unix)]
async fn interrupted(pool: &Pool, tool: &str, args: &[&str], now: impl Fn() -> bool) -> Option<Output> {
    let mut command = pool.tool(tool)?;
    command.args(args);
    let child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while !now() {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let interrupt = std::process::Command::new("kill")
        .args(["-INT", &child.id().unwrap().to_string()])
        .status();
    assert!(interrupt.unwrap().success());
    Some(child.wait_with_output().await.unwrap())
}

fn boot_order(pool: &Pool, vm: &str) -> Option<String> {
    let vm = pool.simulator.find("VM", vm).unwrap();
    let params = pool.simulator.get("VM", &vm, "HVM_boot_params").unwrap();
    params.get("order").and_then(|order| order.as_str()).map(str::to_owned)
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_cancels_what_was_begun() {
    let pool = Pool::new(6).await;
    pool.simulator.set_pace(100, std::time::Duration::from_millis(50));
    let running = || pool.simulator.refs("task").len() >= 2;
    let Some(output) = interrupted(&pool, "vm-power", &["suspend", "--all"], running).await else {
        return;
    };
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(pool.simulator.counters().calls("task.cancel") >= 2);
    pool.assert_tidy().await;
    assert_eq!(state(&pool, "web-01"), "Running");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_boot_order_for_once_does_not_stay() {
    let pool = Pool::new(3).await;
    let before = boot_order(&pool, "web-01");
    let vm = pool.simulator.find("VM", "web-01").unwrap();
    let args = ["insert", ISO, "web-01", "--reboot-to-cd"];
    pool.simulator.set("VM", &vm, "power_state", "Suspended");
    let Some(refused) = run(&pool, "iso", &args).await else {
        return;
    };
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(said(&refused).contains("throw its memory away"), "{refused:?}");
    assert_eq!(
        (boot_order(&pool, "web-01"), loaded(&pool, "web-01")),
        (before.clone(), None)
    );

    pool.simulator.set("VM", &vm, "power_state", "Running");
    pool.simulator.set_pace(100, std::time::Duration::from_millis(50));
    let rebooting = || pool.simulator.counters().calls("Async.VM.hard_reboot") > 0;
    let output = interrupted(&pool, "iso", &args, rebooting).await.unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert_eq!(boot_order(&pool, "web-01"), before);
    pool.assert_tidy().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_was_only_held_keeps_running() {
    let pool = Pool::new(3).await;
    pool.simulator.set_pace(1000, std::time::Duration::from_millis(50));
    let client = pool.client().await;
    let vm: xenapi::Ref<xenapi::Vm> = pool.simulator.find("VM", "web-01").unwrap().parse().unwrap();
    let held = client.vm(vm).snapshot("stuck").start().await.unwrap();
    let Some(output) = run(&pool, "vm-power", &["rescue", "web-01", "--yes"]).await else {
        return;
    };
    assert!(output.status.success(), "{output:?}");
    assert!(said(&output).contains("nothing holds it"), "{output:?}");
    assert_eq!(state(&pool, "web-01"), "Running");
    assert_eq!(pool.simulator.counters().calls("Async.VM.hard_shutdown"), 0);
    assert!(held.wait().await.is_err());
    client.logout().await.unwrap();
    pool.assert_tidy().await;
}
