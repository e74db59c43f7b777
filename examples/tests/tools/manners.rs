//! What all tools have in common: the file of pools, the completions, the manual pages.

use std::fs;

use tempfile::tempdir;
use tokio::process::Command;
use xenapi_sim::Fault;

use crate::harness::{Folder, PASSWORD, Pool, complained, json, said, tool};

/// A file of pools, and a tool that reads it and knows no password of its own.
fn knowing(folder: &Folder, pools: &str, name: &str) -> Option<Command> {
    let file = folder.path("pools.toml");
    fs::write(&file, pools).unwrap();
    let mut tool = tool(name)?;
    tool.env("XENAPI_CONFIG", file)
        .env("XDG_CONFIG_HOME", folder.0.path())
        .env_remove("XENAPI_PASSWORD")
        .env("LAB_PASSWORD", PASSWORD);
    Some(tool)
}

fn entry(name: &str, pool: &Pool, more: &str) -> String {
    format!(
        "[{name}]\nurl = \"{}\"\npin = \"{}\"\n{more}\n",
        pool.server.url(),
        pool.pin()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_all_that_is_typed() {
    let (pool, folder) = (Pool::new(2).await, Folder(tempdir().unwrap()));
    let pools = entry("lab", &pool, "user = \"root\"\npassword_env = \"LAB_PASSWORD\"");
    let Some(mut list) = knowing(&folder, &pools, "vm-list") else {
        return;
    };
    // The variables speak of another pool.
    list.env("XENAPI_URL", "https://192.0.2.1").env("XENAPI_PIN", "00");
    let listed = json(&list.args(["--pool", "lab", "--json"]).output().await.unwrap());
    assert_eq!(listed.as_array().unwrap().len(), 2);
    pool.assert_tidy().await;

    let Some(mut list) = knowing(&folder, &pools, "vm-list") else {
        return;
    };
    let output = list.args(["--pool", "prod"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        complained(&output).contains("no pool \"prod\"; it has: lab"),
        "{output:?}"
    );
    let output = list.args(["--url", "https://x"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_password_in_the_file_is_for_one_pair_of_eyes() {
    use std::os::unix::fs::PermissionsExt as _;

    let (pool, folder) = (Pool::new(1).await, Folder(tempdir().unwrap()));
    let pools = entry("lab", &pool, &format!("password = \"{PASSWORD}\""));
    let Some(mut list) = knowing(&folder, &pools, "vm-list") else {
        return;
    };
    list.args(["--pool", "lab"]);
    let mode = |mode| fs::set_permissions(folder.path("pools.toml"), fs::Permissions::from_mode(mode)).unwrap();
    mode(0o640);
    let output = list.output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(complained(&output).contains("chmod 600"), "{output:?}");
    assert_eq!(pool.simulator.counters().calls("session.login_with_password"), 0);
    mode(0o600);
    assert!(said(&list.output().await.unwrap()).contains("web-01"));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_command_says_the_password() {
    let (pool, folder) = (Pool::new(1).await, Folder(tempdir().unwrap()));
    let command = |words: &str| entry("lab", &pool, &format!("password_command = [{words}]"));
    let pools = command(&format!("\"printf\", \"{PASSWORD}\\\\nsecond line\""));
    let Some(mut list) = knowing(&folder, &pools, "vm-list") else {
        return;
    };
    assert!(said(&list.args(["--pool", "lab"]).output().await.unwrap()).contains("web-01"));
    let Some(mut list) = knowing(&folder, &command("\"false\""), "vm-list") else {
        return;
    };
    let output = list.args(["--pool", "lab"]).output().await.unwrap();
    assert!(
        complained(&output).contains("password_command: false ended with"),
        "{output:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_fails_holds_up_no_other() {
    let (first, second, folder) = (Pool::new(1).await, Pool::new(2).await, Folder(tempdir().unwrap()));
    let password = "password_env = \"LAB_PASSWORD\"";
    let pools = entry("first", &first, password) + &entry("second", &second, password);
    for (name, arguments) in [("vm-list", &[][..]), ("disks", &[]), ("iso", &["ls"])] {
        let Some(mut list) = knowing(&folder, &pools, name) else {
            return;
        };
        list.args(arguments).arg("--all-pools");
        let text = said(&list.output().await.unwrap());
        assert!(
            text.starts_with("== first ==\n") && text.contains("\n== second ==\n"),
            "{name}: {text}"
        );

        list.arg("--json");
        let listed = json(&list.output().await.unwrap());
        assert!(
            listed["first"].is_array() && listed["second"].is_array(),
            "{name}: {listed}"
        );

        first
            .simulator
            .fault(Fault::on("session.login_with_password").error("SESSION_AUTHENTICATION_FAILED", ["root"]));
        let output = list.output().await.unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(complained(&output).contains("error: first: "), "{name}: {output:?}");
        let listed: serde_json::Value = serde_json::from_str(&said(&output)).unwrap();
        assert!(
            listed.get("first").is_none() && listed["second"].is_array(),
            "{name}: {listed}"
        );
        first.simulator.clear_faults();
        json(&list.output().await.unwrap());
        first.assert_tidy().await;
        second.assert_tidy().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_first_is_remembered() {
    let (pool, folder) = (Pool::new(1).await, Folder(tempdir().unwrap()));
    let pools = format!(
        "[lab]\nurl = \"{}\"\npassword_env = \"LAB_PASSWORD\"",
        pool.server.url()
    );
    let Some(mut list) = knowing(&folder, &pools, "vm-list") else {
        return;
    };
    assert!(said(&list.args(["--pool", "lab"]).output().await.unwrap()).contains("web-01"));
    let remembered = fs::read_to_string(folder.path("xenapi/known_hosts")).unwrap();
    let plain = |text: &str| text.replace(':', "").to_lowercase();
    assert!(plain(&remembered).contains(&plain(&pool.pin())), "{remembered}");

    let Some(mut list) = pool.tool("vm-list") else { return };
    list.env("XDG_CONFIG_HOME", folder.0.path());
    let output = list.arg("--tofu").output().await.unwrap();
    assert_eq!(output.status.code(), Some(2), "a pin needs no memory: {output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn shells_and_manuals_know_the_tools() {
    for (name, flag) in [("iso", "sr-create"), ("vm-list", "--all-pools"), ("disks", "--unused")] {
        for wanted in ["bash", "zsh", "fish", "man"] {
            let Some(mut tool) = tool(name) else { return };
            let output = tool.args(["--generate", wanted]).output().await.unwrap();
            assert!(output.status.success(), "{output:?}");
            let text = said(&output).replace('\\', "");
            let flag = if wanted == "fish" {
                flag.trim_start_matches('-')
            } else {
                flag
            };
            assert!(text.contains(name) && text.contains(flag), "{name} {wanted}: {text}");
            assert!(wanted != "man" || text.contains("Exit codes: 0"), "{text}");
        }
        let Some(mut tool) = tool(name) else { return };
        let output = tool.args(["--generate", "cobol"]).output().await.unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(complained(&output).contains("bash"), "{output:?}");
    }
}
