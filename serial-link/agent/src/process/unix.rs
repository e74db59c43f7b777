use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, WaitId, WaitIdOptions, kill_process_group, waitid};
use serial_link_protocol::{Exit, Signal};

use crate::process::Streams;

/// The command that runs a line.
pub(crate) fn shell(line: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(line);
    command
}

/// A process and what it starts, as far as that does not leave its group.
pub(crate) struct Group {
    pid: Pid,
    /// Until it was waited for: afterwards its number may mean another process.
    child: Mutex<Option<Child>>,
}

impl Group {
    /// Starts a command in a group of its own.
    pub(crate) fn start(command: &mut Command) -> io::Result<(Self, Streams)> {
        let mut child = command.process_group(0).spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("the process has no number"))?;
        let streams = Streams {
            input: child.stdin.take(),
            output: child.stdout.take(),
            errors: child.stderr.take(),
        };
        Ok((
            Self {
                pid,
                child: Mutex::new(Some(child)),
            },
            streams,
        ))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let signal = match signal {
            Signal::Hangup => rustix::process::Signal::HUP,
            Signal::Interrupt => rustix::process::Signal::INT,
            Signal::Terminate => rustix::process::Signal::TERM,
            _ => rustix::process::Signal::KILL,
        };
        let child = self.child();
        if child.is_some() {
            // It may have ended just now.
            let _ = kill_process_group(self.pid, signal);
        }
    }

    /// Waits for the end of the command itself.
    pub(crate) fn wait(&self) -> io::Result<Exit> {
        loop {
            // Leaves the process as it is, so that its number stays its own until nobody can signal it any more.
            match waitid(WaitId::Pid(self.pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => break,
            }
        }
        let mut child = self.child();
        let Some(mut ended) = child.take() else {
            return Err(io::Error::other("the command was waited for already"));
        };
        let status = ended.wait()?;
        Ok(match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, signal) => Exit::Signal(signal.unwrap_or(0)),
        })
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
