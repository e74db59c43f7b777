use std::io;
use std::os::windows::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serial_link_protocol::{Exit, Signal};

use crate::process::Streams;

/// Between two looks whether a command has ended.
const PAUSE: Duration = Duration::from_millis(20);

/// The command that runs a line.
pub(crate) fn shell(line: &str) -> Command {
    let mut command = Command::new("cmd");
    // `cmd` takes the line as it is, with its own rules for quotes.
    command.arg("/C").raw_arg(line);
    command
}

/// A process and what it starts.
pub(crate) struct Group {
    pid: u32,
    child: Mutex<Child>,
}

impl Group {
    /// Starts a command.
    pub(crate) fn start(command: &mut Command) -> io::Result<(Self, Streams)> {
        let mut child = command.spawn()?;
        let streams = Streams {
            input: child.stdin.take(),
            output: child.stdout.take(),
            errors: child.stderr.take(),
        };
        Ok((
            Self {
                pid: child.id(),
                child: Mutex::new(child),
            },
            streams,
        ))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends the process and its children: there are no signals.
    pub(crate) fn signal(&self, _: Signal) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(child.try_wait(), Ok(None)) {
            let tree = Command::new("taskkill")
                .args(["/T", "/F", "/PID", &self.pid.to_string()])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            if !tree.is_ok_and(|status| status.success()) {
                // It may have ended just now.
                let _ = child.kill();
            }
        }
    }

    /// Waits for the end of the command itself.
    pub(crate) fn wait(&self) -> io::Result<Exit> {
        loop {
            if let Some(status) = self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait()? {
                return Ok(Exit::Code(status.code().unwrap_or(-1)));
            }
            thread::sleep(PAUSE);
        }
    }
}
