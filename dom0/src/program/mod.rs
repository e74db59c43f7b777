//! The backend of the user's own `ssh`: one master process with the connection, and one process a channel.

mod channel;
mod complaint;
mod master;
mod ssh_program;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::process::Stdio;

use tokio::process::Command as Process;

use crate::backend::Opened;
use crate::ends::Ends;
use crate::{Error, Target};
use master::Master;
pub use ssh_program::SshProgram;

pub(crate) struct Program {
    master: Master,
}

impl Program {
    pub(crate) fn host(&self) -> String {
        self.master.destination().to_owned()
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.master.ended().is_some()
    }

    pub(crate) async fn exec(&self, line: Vec<u8>) -> Result<Ends, Error> {
        if self.is_lost() {
            return Err(self.master.lost().await);
        }
        let mut process = self.master.client();
        process
            .arg("--")
            .arg(self.master.destination())
            .arg(OsString::from_vec(line));
        process
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let child = process.spawn().map_err(|source| self.master.cannot_run(source))?;
        channel::start(child, self.master.clone()).map_err(|source| self.master.cannot_run(source))
    }

    /// A program in the control domain has to do it: `ssh` does not say whether the host refused.
    pub(crate) async fn open(&self, target: &Target) -> Result<Opened, Error> {
        Ok(Opened::Forbidden(match target {
            Target::Tcp { .. } => None,
            Target::Unix { .. } => Some("there is no such socket".into()),
        }))
    }
}

/// A process of the program with nothing inherited that could ask somebody.
fn process(program: &str) -> Process {
    let mut process = Process::new(program);
    process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    process
}
