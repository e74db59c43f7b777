//! The process that holds the connection, and the socket over which others share it.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command as Process};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::complaint;
use crate::{Error, ParseHostError};

#[derive(Clone)]
pub(super) struct Master(Arc<Shared>);

struct Shared {
    program: String,
    destination: String,
    arguments: Vec<OsString>,
    folder: TempDir,
    /// What it said last, once it has ended.
    ended: watch::Receiver<Option<String>>,
    keeper: AbortHandle,
}

/// A card may have to be touched, but not for ever.
const LIMIT: Duration = Duration::from_secs(120);

impl Master {
    pub(super) async fn start(program: String, destination: String, arguments: Vec<OsString>) -> Result<Self, Error> {
        if destination.is_empty() || destination.starts_with('-') {
            return Err(ParseHostError::new(
                &destination,
                "a destination is not empty and does not begin with a minus",
            )
            .into());
        }
        let cannot_run = |source| Error::Program {
            program: program.clone(),
            source,
        };
        let folder = tempfile::Builder::new().prefix("dom0-").tempdir().map_err(cannot_run)?;
        let mut process = super::process(&program);
        process
            .args(FIXED)
            .args(&arguments)
            .arg("-S")
            .arg(socket(&folder))
            .args(["-M", "-N", "-T", "--", &destination]);
        let child = process
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(cannot_run)?;
        let (sender, mut ended) = watch::channel(None);
        let keeper = tokio::spawn(keep(child, sender)).abort_handle();
        let socket = socket(&folder);
        let master = Self(Arc::new(Shared {
            program,
            destination,
            arguments,
            folder,
            ended: ended.clone(),
            keeper,
        }));
        tokio::select! {
            said = ended.wait_for(Option::is_some) => {
                let said = said.ok().and_then(|said| said.clone()).unwrap_or_default();
                Err(complaint::error(&master.0.destination, &said))
            }
            () = appears(&socket) => Ok(master),
            () = tokio::time::sleep(LIMIT) => {
                Err(Error::Timeout { host: master.0.destination.clone(), limit: LIMIT, doing: "connecting" })
            }
        }
    }

    pub(super) fn destination(&self) -> &str {
        &self.0.destination
    }

    pub(super) fn cannot_run(&self, source: io::Error) -> Error {
        Error::Program {
            program: self.0.program.clone(),
            source,
        }
    }

    pub(super) fn ended(&self) -> Option<String> {
        self.0.ended.borrow().clone()
    }

    /// A process that shares the connection. It makes none of its own, should that be gone.
    pub(super) fn client(&self) -> Process {
        let mut process = super::process(&self.0.program);
        process
            .args(FIXED)
            .args(["-o", "ProxyCommand=exit 1", "-o", "ControlMaster=no"]);
        process
            .args(&self.0.arguments)
            .arg("-S")
            .arg(socket(&self.0.folder))
            .arg("-T");
        process
    }

    /// Whether the connection is alive, which takes a question to the master.
    pub(super) async fn is_alive(&self) -> bool {
        let mut process = self.client();
        process.args(["-O", "check", "--", self.destination()]);
        matches!(process.status().await, Ok(status) if status.success())
    }

    /// The error of a connection that is gone, with the reason when that comes soon.
    pub(super) async fn lost(&self) -> Error {
        let mut ended = self.0.ended.clone();
        let said = tokio::time::timeout(Duration::from_secs(1), ended.wait_for(Option::is_some)).await;
        let said = said.ok().and_then(|said| said.ok()?.clone());
        let reason = said
            .filter(|said| !said.is_empty())
            .unwrap_or_else(|| "the host hung up".into());
        Error::Lost {
            host: self.0.destination.clone(),
            reason,
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// What the user's configuration must not change.
const FIXED: &[&str] = &[
    "-o",
    "BatchMode=yes",
    "-o",
    "LogLevel=ERROR",
    "-o",
    "ControlPersist=no",
    "-o",
    "ClearAllForwardings=yes",
    "-o",
    "PermitLocalCommand=no",
    "-o",
    "RemoteCommand=none",
    "-o",
    "RequestTTY=no",
];

fn socket(folder: &TempDir) -> PathBuf {
    folder.path().join("master")
}

/// `ssh` makes the socket when it is logged in.
async fn appears(socket: &Path) {
    while !socket.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn keep(mut child: Child, ended: watch::Sender<Option<String>>) {
    let said = match child.stderr.take() {
        Some(stderr) => read_some(stderr).await,
        None => String::new(),
    };
    let _ = child.wait().await;
    ended.send_replace(Some(said));
}

/// Reads to the end, and keeps the last words.
async fn read_some(mut stderr: impl AsyncRead + Unpin) -> String {
    const MOST: usize = 16 << 10;
    let mut kept = Vec::new();
    while let Ok(1..) = stderr.read_buf(&mut kept).await {
        if kept.len() > 2 * MOST {
            kept.drain(..kept.len() - MOST);
        }
    }
    String::from_utf8_lossy(&kept).trim().to_owned()
}
