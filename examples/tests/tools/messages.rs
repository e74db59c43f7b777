//! The lists of the messages that each tool sends, which the documentation of the bindings shows, are right.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use xenapi::Client;

use crate::harness::{PASSWORD, Pool, complained};

/// What every client sends that logs in, learns the members and logs out.
async fn sent_by_any() -> BTreeSet<String> {
    let pool = Pool::new(0).await;
    let client = Client::connect(pool.server.url()).pin_sha256(&pool.pin());
    let client = client.login("root", PASSWORD).await.unwrap();
    // The members are learned beside what the tool does.
    while !sent(&pool).contains("host.get_all_records") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    client.logout().await.unwrap();
    sent(&pool)
}

/// The messages that were sent to a pool, with or without a task. Whether a task is asked for when it ends is a matter of
/// time.
fn sent(pool: &Pool) -> BTreeSet<String> {
    let calls = pool.simulator.counters().calls.into_keys();
    calls
        .map(|name| name.strip_prefix("Async.").unwrap_or(&name).to_owned())
        .filter(|name| name != "task.get_record")
        .collect()
}

async fn run(mut command: Command) {
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", complained(&output));
}

/// Follows a pool until a VM has changed.
async fn watch_a_change(pool: &Pool, mut command: Command) {
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut notes = BufReader::new(child.stderr.take().unwrap()).lines();
    notes.next_line().await.unwrap();
    let vm = pool.simulator.find("VM", "web-01").unwrap();
    pool.simulator.set("VM", &vm, "name_description", "moved");
    assert!(child.wait().await.unwrap().success());
}

/// What each tool sends while it does all that it can do. `None` where the tools were not built.
async fn sent_by_tools() -> Option<BTreeMap<&'static str, BTreeSet<String>>> {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let archive = path("db-01.xva");
    let pictures = path("pictures");
    std::fs::create_dir(&pictures).unwrap();
    let jobs: [(&str, &[&[&str]]); 11] = [
        ("vm-list", &[&[]]),
        ("pool-top", &[&["--once"]]),
        ("pool-watch", &[&["--count", "1"]]),
        ("vm-mbr", &[&["--vm", "db-01"], &["--vm", "web-01", "--snapshot"]]),
        (
            "vm-export",
            &[
                &["--vm", "db-01", &archive],
                &["--vm", "web-01", "--snapshot", "--overwrite", &archive],
            ],
        ),
        ("vm-import", &[&[&archive]]),
        ("screenshot", &[&["--all", "--dir", &pictures]]),
        (
            "iso",
            &[
                &["ls"],
                &["insert", "Rocky-9.6-x86_64-minimal.iso", "web-01", "--reboot-to-cd"],
                &["eject", "web-01"],
                &["sr-scan"],
                &["sr-create", "/isos", "--name", "more"],
            ],
        ),
        (
            "vm-power",
            &[
                &["start", "db-01"],
                &["pause", "db-01"],
                &["unpause", "db-01"],
                &["suspend", "db-01"],
                &["resume", "db-01"],
                &["reboot", "db-01"],
                &["reboot", "db-01", "--hard"],
                &["shutdown", "db-01"],
                &["rescue", "web-01", "--yes"],
            ],
        ),
        (
            "storage",
            &[
                &["ls"],
                &["types"],
                &["probe", "nfs://10.0.255.1"],
                &["create", "nfs://10.0.255.1/export/xen", "--name", "Lab"],
                &["attach", "nfs://10.0.255.1/export/archive", "--name", "Archive"],
                &["detach", "Archive"],
                &["attach", "Archive"],
                &["forget", "Archive", "--yes"],
                &["speed", "--mib", "1"],
            ],
        ),
        ("tour", &[&["--iso", "Rocky-9.6-x86_64-minimal.iso", "--yes"]]),
    ];
    let mut all = BTreeMap::new();
    let any = sent_by_any().await;
    for (tool, lines) in jobs {
        let pool = Pool::new(3).await;
        for line in lines {
            let mut command = pool.tool(tool)?;
            command.args(*line);
            if tool == "pool-watch" {
                watch_a_change(&pool, command).await;
            } else {
                run(command).await;
            }
        }
        all.insert(tool, sent(&pool).difference(&any).cloned().collect());
    }
    Some(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_names_the_tools_that_send_a_message() {
    let Some(sent) = sent_by_tools().await else { return };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xenapi/datamodel/docs/tools.md");
    let written = std::fs::read_to_string(&path).unwrap();
    let section = |(tool, messages): (&&str, &BTreeSet<String>)| {
        let list: String = messages.iter().map(|message| format!("- {message}\n")).collect();
        format!("# {tool}\n\n{list}")
    };
    let right = sent.iter().map(section).collect::<Vec<_>>().join("\n");
    assert!(written == right, "{} should be:\n{right}", path.display());
}
