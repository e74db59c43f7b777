//! A pool on ports, and the programs that talk to it.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;
use xenapi::Client;
use xenapi_sim::{DiskImage, Server, Simulator};

pub(crate) const PASSWORD: &str = "the password";

/// The pool that a test runs tools against.
pub(crate) struct Pool {
    pub(crate) simulator: Simulator,
    pub(crate) server: Server,
}

impl Pool {
    pub(crate) async fn new(vms: usize) -> Self {
        let simulator = Simulator::builder().vms(vms).password(PASSWORD).build().unwrap();
        let server = simulator.listen_tls("127.0.0.1:0").await.unwrap();
        Self { simulator, server }
    }

    /// A client of the same pool, in this process.
    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.server.url())
            .pin_sha256(&self.pin())
            .login("root", PASSWORD)
            .await
            .unwrap()
    }

    pub(crate) fn pin(&self) -> String {
        self.server.fingerprint_sha256().unwrap().to_owned()
    }

    /// A tool that knows the pool. `None` where the tool was not built.
    pub(crate) fn tool(&self, name: &str) -> Option<Command> {
        let mut command = tool(name)?;
        command.args(["--url", self.server.url(), "--pin", &self.pin()]);
        Some(command)
    }

    /// Nothing of a tool is left on the pool: no session, and soon no task. The one of an export that was cancelled goes
    /// when the pool next writes and notices that nobody listens any more.
    pub(crate) async fn assert_tidy(&self) {
        assert_eq!(self.simulator.refs("session"), [""; 0]);
        let gone = async {
            while !self.simulator.refs("task").is_empty() || self.simulator.counters().exports > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let gone = tokio::time::timeout(Duration::from_secs(10), gone).await;
        let left: Vec<_> = self
            .simulator
            .refs("task")
            .iter()
            .map(|task| {
                format!(
                    "{:?} {:?} {:?}",
                    self.simulator.get("task", task, "name_label"),
                    self.simulator.get("task", task, "status"),
                    self.simulator.get("task", task, "progress")
                )
            })
            .collect();
        assert!(gone.is_ok(), "left: {left:?}");
    }
}

/// A tool, without the variables that would tell it of another pool. `None`, with the reason printed, where it was not
/// built: `cargo test` does so unless it is told to build one test only.
pub(crate) fn tool(name: &str) -> Option<Command> {
    let tests = std::env::current_exe().unwrap();
    let profile = tests.parent().and_then(|deps| deps.parent()).unwrap();
    let path: PathBuf = [profile.as_os_str(), "examples".as_ref(), name.as_ref()]
        .iter()
        .collect();
    let path = path.with_extension(std::env::consts::EXE_EXTENSION);
    if !path.exists() {
        assert!(std::env::var_os("CI").is_none(), "{} was not built", path.display());
        eprintln!("skipped: {} was not built", path.display());
        return None;
    }
    let mut command = Command::new(path);
    for variable in ["XENAPI_URL", "XENAPI_PIN", "XENAPI_USER", "XENAPI_CONFIG"] {
        command.env_remove(variable);
    }
    command
        .env("XENAPI_PASSWORD", PASSWORD)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    Some(command)
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn complained(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// What a tool said as JSON, after it ended well.
pub(crate) fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", complained(output));
    serde_json::from_str(&said(output)).unwrap()
}

/// A disk without a zero block, so that all of it would be sent, with one partition.
pub(crate) fn dense_disk(mebibytes: u64) -> DiskImage {
    let mut disk = DiskImage::new(mebibytes << 20);
    for at in 0..mebibytes {
        disk.write(at << 20, &[0xa5; 64 << 10]);
    }
    disk.write(0, &[0; 440]);
    disk.write(440, &mbr());
    disk
}

/// The end of a first sector: a signature and one active partition of type 0x83 from sector 2048 on.
fn mbr() -> [u8; 72] {
    let mut end = [0; 72];
    end[..4].copy_from_slice(&0x1234_abcd_u32.to_le_bytes());
    end[6] = 0x80;
    end[10] = 0x83;
    end[14..18].copy_from_slice(&2048_u32.to_le_bytes());
    end[18..22].copy_from_slice(&2048_u32.to_le_bytes());
    end[70..].copy_from_slice(&[0x55, 0xaa]);
    end
}

/// A folder for as long as a test takes.
pub(crate) struct Folder(pub(crate) TempDir);

impl Folder {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Runs a tool that needs no pool.
pub(crate) async fn run(name: &str, args: &[&str], paths: &[&Path]) -> Output {
    let mut command = tool(name).unwrap();
    command.args(args).args(paths).output().await.unwrap()
}
