//! `storage`: SRs that are looked for, made, attached, detached and forgotten.

use std::process::Output;

use serde_json::Value;
use xenapi_sim::Fault;

use crate::harness::{Pool, complained, json, said};

const LUN: &str = "iscsi://10.0.255.2/iqn.2003-01.org.example:lab/36001405a1b2c3d4e5f60718293a4b5c6";
const ARCHIVE: &str = "nfs://10.0.255.1/export/archive";

async fn storage(pool: &Pool, args: &[&str]) -> Option<Output> {
    let mut command = pool.tool("storage")?;
    Some(
        command
            .args(args)
            .env("STORAGE_PASSWORD", "sesame")
            .output()
            .await
            .unwrap(),
    )
}

async fn listed(pool: &Pool, name: &str) -> Option<Value> {
    let all = json(&storage(pool, &["ls", "--json"]).await?);
    all.as_array().unwrap().iter().find(|sr| sr["name"] == name).cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_is_found_step_by_step_and_becomes_an_sr() {
    let pool = Pool::new(2).await;
    let Some(exports) = storage(&pool, &["probe", "nfs://10.0.255.1", "--json"]).await else {
        return;
    };
    assert_eq!(json(&exports)["exports"][0]["path"], "/export/archive");
    let targets = storage(&pool, &["probe", "iscsi://10.0.255.2"]).await.unwrap();
    assert!(
        said(&targets).starts_with("iqn.2003-01.org.example:lab "),
        "{targets:?}"
    );
    assert!(complained(&targets).contains("next to say is targetIQN"), "{targets:?}");
    let (iqn, _) = LUN.rsplit_once('/').unwrap();
    let luns = storage(&pool, &["probe", iqn, "--json"]).await.unwrap();
    assert_eq!(json(&luns)["luns"][1]["size"], 500_u64 << 30);

    let early = storage(&pool, &["create", iqn, "--name", "LUN", "--yes"])
        .await
        .unwrap();
    assert!(
        complained(&early).contains("SCSIid is missing; there are:\n  36001405a"),
        "{early:?}"
    );
    let unasked = storage(&pool, &["create", LUN, "--name", "LUN"]).await.unwrap();
    assert!(complained(&unasked).contains("no terminal to ask on"), "{unasked:?}");
    let user = ["--storage-user", "chap"];
    let plan = [&["create", LUN, "--name", "LUN", "--dry-run"], &user[..]].concat();
    let plan = said(&storage(&pool, &plan).await.unwrap());
    assert!(
        plan.contains("device_config:chapuser=chap") && !plan.contains("sesame"),
        "{plan}"
    );
    assert_eq!(pool.simulator.find("SR", "LUN"), None);

    let secrets = pool.simulator.refs("secret").len();
    let fault = Fault::on("SR.create").error("SR_BACKEND_FAILURE_68", ["", "ISCSI login failed", ""]);
    pool.simulator.fault(fault.times(1));
    let create = [&["create", LUN, "--name", "LUN", "--yes"], &user[..]].concat();
    let failed = storage(&pool, &create).await.unwrap();
    assert_eq!(failed.status.code(), Some(1));
    assert!(complained(&failed).contains("ISCSI login failed"), "{failed:?}");
    assert_eq!(
        pool.simulator.refs("secret").len(),
        secrets,
        "what nobody uses is taken away"
    );
    let made = storage(&pool, &create).await.unwrap();
    assert!(made.status.success(), "{made:?}");
    let sr = listed(&pool, "LUN").await.unwrap();
    assert_eq!(
        (sr["type"].as_str(), sr["attached"].as_i64()),
        (Some("lvmoiscsi"), Some(1))
    );
    assert_eq!(said(&made).trim(), sr["uuid"].as_str().unwrap());
    let sr = pool.simulator.find("SR", "LUN").unwrap();
    let pbds = pool.simulator.get("SR", &sr, "PBDs").unwrap();
    let config = pool
        .simulator
        .get("PBD", pbds.as_array().unwrap()[0].as_str().unwrap(), "device_config");
    let config = config.unwrap();
    assert!(config.get("chappassword_secret").is_some() && !format!("{config:?}").contains("sesame"));

    // Somebody's data is there by now.
    let again = storage(&pool, &["create", LUN, "--name", "again", "--yes"])
        .await
        .unwrap();
    assert!(complained(&again).contains("attach it, or say --erase"), "{again:?}");
    let old = ["create", "/dev/sdc", "--name", "Old", "--yes"];
    let kept = storage(&pool, &old).await.unwrap();
    assert!(complained(&kept).contains("c2a9d0f4"), "{kept:?}");
    let erased = storage(&pool, &[&old[..], &["--erase"]].concat()).await.unwrap();
    assert!(erased.status.success(), "{erased:?}");
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sr_goes_and_comes_back_with_its_disks() {
    let pool = Pool::new(0).await;
    let attach = ["attach", ARCHIVE, "--name", "Archive"];
    let Some(plan) = storage(&pool, &[&attach[..], &["--dry-run"]].concat()).await else {
        return;
    };
    assert!(said(&plan).contains("would attach 5f4a1c2e"), "{plan:?}");
    let fault = Fault::on("PBD.plug").error("SR_BACKEND_FAILURE_73", ["", "NFS mount error", ""]);
    pool.simulator.fault(fault);
    let failed = storage(&pool, &attach).await.unwrap();
    assert!(complained(&failed).contains("has forgotten it again"), "{failed:?}");
    assert!(listed(&pool, "Archive").await.is_none());
    pool.simulator.clear_faults();
    let attached = storage(&pool, &attach).await.unwrap();
    assert!(complained(&attached).contains("is attached, 2 disks"), "{attached:?}");
    let twice = storage(&pool, &attach).await.unwrap();
    assert!(complained(&twice).contains("knows it by now, as Archive"), "{twice:?}");

    let detached = storage(&pool, &["detach", "Archive"]).await.unwrap();
    assert_eq!(said(&detached).lines().count(), 1, "{detached:?}");
    assert_eq!(listed(&pool, "Archive").await.unwrap()["attached"], 0);
    let back = storage(&pool, &["attach", "Archive"]).await.unwrap();
    assert!(complained(&back).contains("attached to all its hosts"), "{back:?}");

    let unasked = storage(&pool, &["forget", "Archive"]).await.unwrap();
    assert!(complained(&unasked).contains("no terminal to ask on"), "{unasked:?}");
    let forgotten = storage(&pool, &["forget", "Archive", "--yes"]).await.unwrap();
    assert!(complained(&forgotten).contains("its data is where it was: 10.0.255.1:/export/archive"));
    assert!(listed(&pool, "Archive").await.is_none());
    assert!(storage(&pool, &attach).await.unwrap().status.success());
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_said_before_a_host_is_asked() {
    let pool = Pool::new(4).await;
    let Some(types) = storage(&pool, &["types", "lvmoiscsi"]).await else {
        return;
    };
    assert!(said(&types).contains("erases what is there"), "{types:?}");
    for (args, complaint) in [
        (
            &["create", ARCHIVE, "--name", "x", "--set", "serverPath=3"][..],
            "no key \"serverPath\"",
        ),
        (&["create", "nas", "--name", "x"], "is no place"),
        (&["create", "/tank", "--name", "x"], "say --type zfs"),
        (
            &["create", "--name", "x", "--type", "tape"],
            "no driver for SRs of the type \"tape\"",
        ),
        (&["probe", LUN, "--set", "chappassword=sesame"], "everybody could read"),
        (&["probe", "/tank", "--type", "file"], "cannot be looked for"),
        (
            &["create", "/dev/sdb", "--name", "x", "--storage-user", "me"],
            "nobody logs in",
        ),
    ] {
        let output = storage(&pool, args).await.unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(complained(&output).contains(complaint), "{args:?}: {output:?}");
        assert!(!complained(&output).contains("sesame"), "{output:?}");
    }
    assert_eq!(pool.simulator.counters().calls("SR.probe"), 0);
    let used = storage(&pool, &["detach", "Shared storage"]).await.unwrap();
    assert!(complained(&used).contains("is in use by"), "{used:?}");
    let speed = json(&storage(&pool, &["speed", "--mib", "4", "--json"]).await.unwrap());
    let speed = speed.as_array().unwrap();
    assert!(
        !speed.is_empty() && speed.iter().all(|sr| sr["bytes_per_second"].as_u64() > Some(0)),
        "{speed:?}"
    );
    pool.assert_tidy().await;
}
