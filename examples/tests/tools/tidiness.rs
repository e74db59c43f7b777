//! What is left behind: nothing, however a tool ends.

use std::process::Stdio;
use std::time::Duration;

use xenapi_sim::{Fault, VmSpec};

use crate::harness::{Pool, complained, dense_disk, said};

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pipe_is_no_failure() {
    let pool = Pool::new(4).await;
    for name in ["vm-list", "vm-mbr"] {
        let Some(mut tool) = pool.tool(name) else { return };
        if name == "vm-mbr" {
            tool.args(["--vm", "db-01"]);
        }
        let mut child = tool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(complained(&output), "");
        pool.assert_tidy().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_ends_the_session() {
    let pool = Pool::new(4).await;
    let Some(mut mbr) = pool.tool("vm-mbr") else { return };
    let output = mbr.args(["--vm", "nobody"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(complained(&output).contains("\"nobody\""), "{output:?}");
    assert_eq!(pool.simulator.counters().calls("session.logout"), 1);
    pool.assert_tidy().await;
}

/// Ctrl-c before the server has answered: the task is there, the stream not yet.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_before_the_stream_ends_the_task_and_the_session() {
    let pool = Pool::new(4).await;
    pool.simulator
        .fault(Fault::on("/export").delay(Duration::from_secs(60)));
    interrupted(&pool, "db-01", |counters| counters.requests.contains_key("/export")).await;
}

/// Ctrl-c while a big disk without a partition table is passed over.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_in_the_stream_ends_the_task_and_the_session() {
    let pool = Pool::new(0).await;
    let mut disk = dense_disk(1 << 10);
    disk.write(0, &[0; 512]);
    let spec = VmSpec::new("big").disk(disk).halted();
    pool.simulator.add_vm(spec).unwrap();
    interrupted(&pool, "big", |counters| counters.sent("/export") > 16 << 20).await;
    assert!(pool.simulator.counters().sent("/export") < 1 << 30);
}

#[cfg(unix)]
async fn interrupted(pool: &Pool, vm: &str, now: impl Fn(&xenapi_sim::Counters) -> bool) {
    let Some(mut mbr) = pool.tool("vm-mbr") else { return };
    mbr.args(["--vm", vm]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = mbr.spawn().unwrap();
    while !now(&pool.simulator.counters()) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let interrupt = format!("kill -INT {}", child.id().unwrap());
    std::process::Command::new("sh")
        .args(["-c", &interrupt])
        .status()
        .unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_gone_when_the_table_is_there() {
    let pool = Pool::new(4).await;
    let count = || (pool.simulator.refs("VM").len(), pool.simulator.refs("VDI").len());
    let before = count();
    let Some(mut mbr) = pool.tool("vm-mbr") else { return };
    let output = mbr.args(["--vm", "web-01"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let complaint = complained(&output);
    for part in ["\"web-01\" is running", "--snapshot", "\"before update\""] {
        assert!(complaint.contains(part), "{complaint}");
    }

    let output = mbr.arg("--snapshot").output().await.unwrap();
    assert!(said(&output).contains("MBR 0x"), "{output:?}");
    pool.simulator.fault(Fault::on("/export").truncate(100_000));
    let output = mbr.output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(pool.simulator.counters().calls("VM.snapshot"), 2);
    assert_eq!(count(), before);
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_cannot_steer_the_terminal() {
    let pool = Pool::new(0).await;
    let evil = "evil\u{1b}[2J\u{202e}";
    let spec = VmSpec::new(evil).disk(dense_disk(2)).halted();
    pool.simulator.add_vm(spec).unwrap();
    for (name, arguments) in [
        ("vm-list", &[][..]),
        ("vm-mbr", &["--vm", evil]),
        ("vm-mbr", &[]),
        ("vm-mbr", &["--vm", "\u{1b}\u{202e}"]),
        ("tour", &["--yes", "--iso", "Rocky-9.6-x86_64-minimal.iso"]),
    ] {
        let Some(mut tool) = pool.tool(name) else { return };
        let output = tool.args(arguments).output().await.unwrap();
        let all = said(&output) + &complained(&output);
        assert!(all.contains(r"\u{202e}"), "{name} {arguments:?}: {all}");
        assert!(!all.contains(['\u{1b}', '\u{202e}']), "{name} {arguments:?}: {all}");
    }
}
