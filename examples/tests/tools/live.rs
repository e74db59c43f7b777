//! The tools that show a pool as it is.

use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use xenapi_sim::VmSpec;

use crate::harness::{Pool, complained, said, tool};

/// How every JPEG picture begins.
const JPEG: [u8; 3] = [0xff, 0xd8, 0xff];

#[tokio::test(flavor = "multi_thread")]
async fn a_change_becomes_a_line_of_json() {
    let pool = Pool::new(2).await;
    let Some(mut watch) = pool.tool("pool-watch") else {
        return;
    };
    let watch = watch.args(["--json", "--class", "vm", "--count", "2"]);
    let mut child = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut notes = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = notes.next_line().await.unwrap().unwrap();
    assert!(first.starts_with("Watching "), "{first}");
    let vm = pool.simulator.find("VM", "web-01").unwrap();
    pool.simulator
        .set("VM", &vm, "name_description", "moved \"up\"\u{1b}\n");
    pool.simulator.remove("VM", &vm);
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = said(&output);
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["class"], &last["ref"], &last["name"]),
        (&"VM".into(), &vm.into(), &"web-01".into())
    );
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_and_new_values_are_told() {
    let pool = Pool::new(2).await;
    for json in [true, false] {
        let Some(mut watch) = pool.tool("pool-watch") else {
            return;
        };
        watch
            .args(["--class", "VM", "--count", "1"])
            .args(json.then_some("--json"));
        let mut child = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut notes = BufReader::new(child.stderr.take().unwrap()).lines();
        notes.next_line().await.unwrap();
        let vm = pool.simulator.find("VM", "web-01").unwrap();
        pool.simulator
            .set("VM", &vm, "name_description", format!("\"{json}\"\u{1b}\n"));
        let output = child.wait_with_output().await.unwrap();
        if json {
            let line: serde_json::Value = serde_json::from_str(&said(&output)).unwrap();
            assert_eq!(line["kind"], "changed");
            assert_eq!(line["changed"]["name_description"]["new"], "\"true\"\u{1b}\n");
        } else {
            let line = said(&output);
            assert!(line.contains("web-01"), "{line}");
            assert!(
                line.contains(r#"name_description: "true"\u{1b}\n -> "false"\u{1b}\n"#),
                "{line}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_outlives_its_session_and_says_so() {
    let pool = Pool::new(1).await;
    let Some(mut watch) = pool.tool("pool-watch") else {
        return;
    };
    watch.args(["--class", "VM", "--count", "1"]);
    let mut child = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut notes = BufReader::new(child.stderr.take().unwrap()).lines();
    notes.next_line().await.unwrap();
    pool.simulator.expire_sessions();
    let anew = notes.next_line().await.unwrap().unwrap();
    assert!(anew.contains("listed anew"), "{anew}");
    let vm = pool.simulator.find("VM", "web-01").unwrap();
    pool.simulator.set("VM", &vm, "name_label", "renamed");
    let output = child.wait_with_output().await.unwrap();
    assert!(said(&output).contains("name_label: web-01 -> renamed"), "{output:?}");
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn something_happens_on_the_pool_in_the_process() {
    let Some(mut watch) = tool("pool-watch") else { return };
    let output = watch.args(["--class", "VM", "--count", "1"]).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(said(&output).contains("power_state: Halted -> Running"), "{output:?}");
    let Some(mut watch) = tool("pool-watch") else { return };
    let output = watch.args(["--class", "no such class"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_frame_shows_the_vms_in_order() {
    let pool = Pool::new(3).await;
    let vm = VmSpec::new("big\u{1b}[2J").memory(64 << 30);
    pool.simulator.add_vm(vm).unwrap();
    let Some(mut top) = pool.tool("pool-top") else { return };
    let output = top.args(["--once", "--sort", "memory"]).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let frame = said(&output);
    assert!(!frame.contains('\u{1b}'), "{frame}");
    let place = |text| frame.find(text).unwrap_or_else(|| panic!("{text}: {frame}"));
    assert!(place("STORAGE") > place("web-01") && place("web-01") > place("db-01"));
    assert!(place("db-01") > place(r"big\u{1b}[2J") && frame.contains("64 GiB"));
    // Measurements come from the hosts, not from the records.
    assert!(
        ["CPU ", "NETWORK", "DISK", "KiB/s"]
            .iter()
            .all(|text| frame.contains(text)),
        "{frame}"
    );
    let Some(mut top) = pool.tool("pool-top") else { return };
    let output = top.output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(complained(&output).contains("--once"), "{output:?}");
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn screens_become_pictures() {
    let pool = Pool::new(4).await;
    for _ in 0..2 {
        pool.simulator.add_vm(VmSpec::new("../twin")).unwrap();
    }
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("one.jpg");
    let Some(mut shot) = pool.tool("screenshot") else {
        return;
    };
    let output = shot.args(["--vm", "web-01"]).arg(&file).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(std::fs::read(&file).unwrap().starts_with(&JPEG));

    let Some(mut shots) = pool.tool("screenshot") else {
        return;
    };
    let all = folder.path().join("all");
    let output = shots.args(["--all", "--dir"]).arg(&all).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let pictures: Vec<_> = std::fs::read_dir(&all)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert_eq!(pictures.len(), said(&output).lines().count());
    assert!(pictures.len() > 3, "{pictures:?}");
    for picture in pictures {
        assert!(std::fs::read(&picture).unwrap().starts_with(&JPEG));
    }

    let Some(mut shot) = pool.tool("screenshot") else {
        return;
    };
    let output = shot.args(["--vm", "db-01"]).arg(&file).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1), "a halted VM has no screen: {output:?}");
    assert_eq!(pool.simulator.refs("session"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_to_read_to_the_end() {
    let pool = Pool::new(3).await;
    for (name, arguments) in [("pool-top", &["--once"][..]), ("pool-watch", &["--class", "VM"])] {
        let Some(mut tool) = pool.tool(name) else { return };
        let tool = tool.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = tool.spawn().unwrap();
        drop(child.stdout.take());
        let mut notes = BufReader::new(child.stderr.take().unwrap());
        if name == "pool-watch" {
            notes.read_line(&mut String::new()).await.unwrap();
            let vm = pool.simulator.find("VM", "web-01").unwrap();
            pool.simulator.set("VM", &vm, "name_description", "read by nobody");
        }
        let mut complaint = String::new();
        notes.read_to_string(&mut complaint).await.unwrap();
        assert!(child.wait().await.unwrap().success(), "{name}: {complaint}");
        assert_eq!(complaint, "", "{name}");
        pool.assert_tidy().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_steers_a_terminal_or_leaves_a_folder() {
    let pool = Pool::new(0).await;
    let evil = "../evil\u{202e}";
    pool.simulator.add_vm(VmSpec::new(evil)).unwrap();
    let folder = TempDir::new().unwrap();
    let archive = folder.path().join("vm.xva");
    let (file, dir) = (archive.to_str().unwrap(), folder.path().to_str().unwrap());
    for (name, arguments) in [
        ("pool-top", &["--once"][..]),
        ("screenshot", &[]),
        ("screenshot", &["--vm", evil, "--dir", dir]),
        ("vm-export", &["--vm", evil, file]),
        ("vm-export", &["--vm", evil, file, "--snapshot"]),
        ("vm-import", &[file]),
        ("vm-import", &[file, "--sr", evil]),
    ] {
        let Some(mut tool) = pool.tool(name) else { return };
        let output = tool.args(arguments).output().await.unwrap();
        let all = said(&output) + &complained(&output);
        assert!(!all.contains('\u{202e}'), "{name} {arguments:?}: {all}");
    }
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    files.sort();
    assert_eq!(files, ["_._evil_u{202e}.jpg", "vm.xva"]);
}
