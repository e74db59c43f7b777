//! Backups in a bucket, behind a server that checks who asks.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tempfile::tempdir;
use tokio::process::Command;
use xenapi::DiskFormat;
use xenapi_sim::{Fault, VmSpec};

use crate::backup::Lab;
use crate::harness::{Folder, Pool, complained, dense_disk, json, said};
use crate::object_server::{ObjectServer, SECRET};
use crate::web_server;

const TO: &str = "s3://bucket/pool-1";

/// The tool, with what it needs to reach the bucket.
fn tool(pool: &Pool, server: &ObjectServer, words: &[&str]) -> Option<Command> {
    let mut tool = pool.tool("backup")?;
    tool.args(words).args(["--to", TO]);
    server.tell(&mut tool, SECRET);
    Some(tool)
}

async fn ran(pool: &Pool, server: &ObjectServer, words: &[&str]) -> Output {
    tool(pool, server, words).unwrap().output().await.unwrap()
}

/// The files of the objects whose names end so.
fn objects(server: &ObjectServer, end: &str) -> Vec<PathBuf> {
    let pattern = format!("{}/**/*{end}", server.bucket().display());
    let mut found: Vec<_> = glob::glob(&pattern).unwrap().map(Result::unwrap).collect();
    found.retain(|path| path.is_file());
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_holds_backups_as_a_folder_does() {
    let Some(lab) = Lab::new().await else { return };
    let root = lab.folder.path("server");
    let server = ObjectServer::new(&root, true).await;
    if lab.pool.tool("backup").is_none() {
        return;
    }
    let ran = async |words: &[&str]| ran(&lab.pool, &server, words).await;
    let nothing = ran(&["ls"]).await;
    assert!(nothing.status.success() && said(&nothing).is_empty(), "{nothing:?}");
    for content in ["as it was", "as it is now"] {
        lab.change(content).await;
        let run = ran(&["run", "db"]).await;
        assert!(run.status.success(), "{run:?}");
        assert!(!complained(&run).contains("kept apart"), "{run:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let listed = json(&ran(&["ls", "--json"]).await);
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 2);
    assert!(listed[0]["disks"][0]["base"].is_null() && listed[1]["disks"][0]["base"] == listed[0]["id"]);
    assert_eq!((objects(&server, "lock").len(), server.uploads()), (0, 0));

    let read = ran(&["cat", "db", "/state"]).await;
    assert_eq!(said(&read), "as it is now", "{read:?}");
    let before = server.requests();
    let read = ran(&["cat", "db", "/state", "--id", listed[0]["id"].as_str().unwrap()]).await;
    assert_eq!(said(&read), "as it was", "{read:?}");
    let requests = server.requests() - before;
    assert!(requests < 60, "{requests} requests for one file");
    let files = ran(&["ls", "db", "/"]).await;
    assert!(said(&files).contains("  state\n"), "{files:?}");
    let good = ran(&["verify"]).await;
    assert!(complained(&good).contains("2 backups are whole"), "{good:?}");

    let restored = ran(&["restore", "db", "--as", "db-again"]).await;
    assert!(restored.status.success(), "{restored:?}");
    let client = lab.pool.client().await;
    let (vms, vbds, vdis) = tokio::try_join!(
        client.vms().all_records(),
        client.vbds().all_records(),
        client.vdis().all_records()
    )
    .unwrap();
    let vm = vms.values().find(|vm| vm.name_label == "db-again").unwrap();
    let vdi = vm.disks(&vbds, &vdis)[0].vbd.vdi;
    let export = client.vdi(vdi).export_raw(DiskFormat::Raw).await.unwrap();
    let pieces: Vec<_> = export.try_collect().await.unwrap();
    assert!(pieces.concat() == fs::read(lab.folder.path("disk")).unwrap());
    client.logout().await.unwrap();

    for path in [objects(&server, ".vhd"), objects(&server, "manifest.json")].concat() {
        let file = fs::File::options().read(true).write(true).open(&path).unwrap();
        let at = file.metadata().unwrap().len() / 2;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
        let bad = ran(&["verify"]).await;
        assert_eq!(bad.status.code(), Some(1), "{} is damaged", path.display());
        assert!(complained(&bad).contains("is damaged"), "{bad:?}");
        file.write_all_at(&byte, at).unwrap();
    }

    let full = ran(&["run", "db", "--full", "--keep", "1"]).await;
    assert!(said(&full).contains("2 older backups are gone"), "{full:?}");
    assert_eq!(
        (objects(&server, ".vhd").len(), objects(&server, "manifest.json").len()),
        (1, 1)
    );
    lab.pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_told_so_without_the_secret() {
    let folder = Folder(tempdir().unwrap());
    let server = ObjectServer::new(&folder.path("server"), true).await;
    let pool = Pool::new(1).await;
    let Some(mut wrong) = pool.tool("backup") else { return };
    wrong.args(["ls", "--to", TO]);
    server.tell(&mut wrong, "another-secret");
    let refused = wrong.output().await.unwrap();
    let complaint = complained(&refused);
    assert_eq!(refused.status.code(), Some(1), "{complaint}");
    assert!(
        complaint.contains("refuses the credentials") && complaint.contains("AWS_SECRET_ACCESS_KEY"),
        "{complaint}"
    );
    assert!(
        !complaint.contains("another-secret") && !complaint.contains(SECRET),
        "{complaint}"
    );

    let in_argv = "https://somebody:the-password@dav.example/backups";
    let refused = pool
        .tool("backup")
        .unwrap()
        .args(["ls", "--to", in_argv])
        .output()
        .await;
    let complaint = complained(&refused.unwrap());
    assert!(
        complaint.contains("holds a password") && !complaint.contains("the-password"),
        "{complaint}"
    );
    let unknown = pool
        .tool("backup")
        .unwrap()
        .args(["ls", "--to", "ftp://host/x"])
        .output()
        .await;
    assert!(complained(&unknown.unwrap()).contains("ftp:// is no object store"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_are_kept_apart_and_what_breaks_off_leaves_nothing() {
    let folder = Folder(tempdir().unwrap());
    let server = ObjectServer::new(&folder.path("server"), true).await;
    let pool = Pool::new(0).await;
    if pool.tool("backup").is_none() {
        return;
    }
    // Three parts, and a bit.
    pool.simulator
        .add_vm(VmSpec::new("db").halted().disk(dense_disk(26)))
        .unwrap();
    let ran = async |words: &[&str]| ran(&pool, &server, words).await;
    let snapshots = || pool.simulator.refs("VDI").len();
    let disks = snapshots();

    pool.simulator
        .fault(Fault::on("/export_raw_vdi").error_in_body(20 << 20).times(1));
    let failed = ran(&["run", "db"]).await;
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    assert_eq!(
        (objects(&server, "").len(), server.uploads(), snapshots()),
        (0, 0, disks),
        "{failed:?}"
    );
    pool.simulator.clear_faults();

    let stalled = async || {
        pool.simulator.fault(Fault::on("/export_raw_vdi").stall(20 << 20));
        let mut run = tool(&pool, &server, &["run", "db"]).unwrap();
        let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        while server.uploads() == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        run
    };
    let first = stalled().await;
    let second = ran(&["run", "db"]).await;
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    assert!(
        said(&second).contains("another run backs it up") && said(&second).contains("--unlock"),
        "{second:?}"
    );
    let pid = first.id().unwrap().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status().await;
    assert!(sent.unwrap().success());
    let interrupted = first.wait_with_output().await.unwrap();
    assert_eq!(interrupted.status.code(), Some(130), "{interrupted:?}");
    assert_eq!(
        (objects(&server, "").len(), server.uploads()),
        (0, 0),
        "{interrupted:?}"
    );
    pool.simulator.clear_faults();

    stalled().await.kill().await.unwrap();
    pool.simulator.clear_faults();
    let locked = ran(&["run", "db"]).await;
    assert_eq!(locked.status.code(), Some(1), "{locked:?}");
    let whole = ran(&["run", "db", "--unlock"]).await;
    assert!(whole.status.success(), "{whole:?}");
    let verified = ran(&["verify"]).await;
    assert!(complained(&verified).contains("1 backups are whole"), "{verified:?}");
    let sent = fs::metadata(&objects(&server, ".vhd")[0]).unwrap().len();
    assert!(sent > 24 << 20, "{sent} bytes are not several parts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_keeps_nobody_apart_is_told_of() {
    let folder = Folder(tempdir().unwrap());
    let server = ObjectServer::new(&folder.path("server"), false).await;
    let pool = Pool::new(0).await;
    if pool.tool("backup").is_none() {
        return;
    }
    for name in ["a", "b"] {
        pool.simulator
            .add_vm(VmSpec::new(name).halted().disk(dense_disk(1)))
            .unwrap();
    }
    let run = ran(&pool, &server, &["run", "*"]).await;
    assert!(run.status.success(), "{run:?}");
    assert_eq!(complained(&run).matches("are not kept apart").count(), 1, "{run:?}");
    assert!(objects(&server, "lock").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webdav_server_holds_backups_too() {
    let Some(lab) = Lab::new().await else { return };
    let (root, pool) = (lab.folder.path("web"), &lab.pool);
    let url = web_server::serve(&root).await;
    if pool.tool("backup").is_none() {
        return;
    }
    let with = async |password: &str, words: &[&str]| {
        let mut tool = pool.tool("backup").unwrap();
        tool.args(words).arg("--to").arg(format!("{url}/a/b"));
        tool.env("WEBDAV_ALLOW_HTTP", "true").env("WEBDAV_USER", "the-user");
        tool.env("WEBDAV_PASSWORD", password).output().await.unwrap()
    };
    let ran = async |words: &[&str]| with("the-password", words).await;
    let refused = with("no-password", &["ls"]).await;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(
        complained(&refused).contains("WEBDAV_") && !complained(&refused).contains("no-password"),
        "{refused:?}"
    );
    let nothing = ran(&["ls"]).await;
    assert!(nothing.status.success() && said(&nothing).is_empty(), "{nothing:?}");

    lab.change("as it was").await;
    pool.simulator
        .fault(Fault::on("/export_raw_vdi").error_in_body(4 << 20).times(1));
    let failed = ran(&["run", "db"]).await;
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    let left: Vec<_> = glob::glob(&format!("{}/**/*.*", root.display())).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    pool.simulator.clear_faults();

    let first = ran(&["run", "db"]).await;
    assert!(first.status.success(), "{first:?}");
    lab.change("as it is now").await;
    let again = ran(&["run", "db"]).await;
    assert!(
        again.status.success() && said(&again).contains("1 as differences"),
        "{again:?}"
    );
    assert!(complained(&again).contains("are not kept apart"), "{again:?}");
    let read = ran(&["cat", "db", "/state"]).await;
    assert_eq!(said(&read), "as it is now", "{read:?}");
    let good = ran(&["verify"]).await;
    assert!(complained(&good).contains("2 backups are whole"), "{good:?}");
    let full = ran(&["run", "db", "--full", "--keep", "1"]).await;
    assert!(said(&full).contains("2 older backups are gone"), "{full:?}");
    let next = ran(&["run", "db"]).await;
    assert!(!complained(&next).contains("interrupted"), "{next:?}");
    assert_eq!(json(&ran(&["ls", "--json"]).await).as_array().unwrap().len(), 2);
    pool.assert_tidy().await;
}
