//! Who is talked to.

use crate::harness::{Pool, complained, json, said, tool};

#[tokio::test(flavor = "multi_thread")]
async fn the_right_pin_opens_the_pool() {
    let pool = Pool::new(4).await;
    let Some(mut list) = pool.tool("vm-list") else { return };
    let listed = json(&list.arg("--json").output().await.unwrap());
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|vm| &vm["name"]).collect();
    assert_eq!(names, ["app-01", "db-01", "web-01", "win-01"]);
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_pin_keeps_the_password_and_names_the_right_one() {
    let pool = Pool::new(1).await;
    let Some(mut list) = tool("vm-list") else { return };
    let wrong = "00".repeat(32);
    let output = list
        .args(["--url", pool.server.url(), "--pin", &wrong])
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let right = pool.pin().to_lowercase();
    assert!(complained(&output).to_lowercase().contains(&right), "{output:?}");
    assert_eq!(pool.simulator.counters().calls("session.login_with_password"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_never_gets_in_the_way_of_the_pool_in_the_process() {
    let Some(mut list) = tool("vm-list") else { return };
    let output = list
        .args(["--simulated-vms", "1"])
        .env("XENAPI_PIN", "00")
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(said(&output).contains("web-01"));
}

#[tokio::test(flavor = "multi_thread")]
async fn trust_in_nobody_is_refused() {
    for flag in ["--pin=00", "--ca=x", "--known-hosts=x", "--insecure"] {
        let Some(mut list) = tool("vm-list") else { return };
        let output = list.arg(flag).output().await.unwrap();
        assert_eq!(output.status.code(), Some(1), "{flag}");
        assert!(complained(&output).contains("--url"), "{output:?}");
        let Some(mut mbr) = tool("vm-mbr") else { return };
        let output = mbr.args(["--xva", "x", flag]).output().await.unwrap();
        assert_eq!(output.status.code(), Some(2), "{flag}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn help_begins_with_what_the_tool_does() {
    for (name, start) in [
        ("vm-list", "Lists the pool's virtual machines"),
        ("vm-mbr", "Shows a VM's partition table"),
        ("tour", "Lists VMs, puts an ISO"),
        ("pool-watch", "Tells what changes"),
        ("pool-top", "Shows hosts, VMs"),
        ("vm-export", "Exports a VM"),
        ("vm-import", "Makes VMs out of"),
        ("forward", "Local ports that lead to guests"),
        ("screenshot", "Saves what VMs show"),
        ("check-recordings", "Checks recordings of a real pool"),
    ] {
        let Some(mut tool) = tool(name) else { return };
        let help = said(&tool.arg("--help").output().await.unwrap());
        assert!(help.starts_with(start), "{help}");
    }
}
