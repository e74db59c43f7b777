use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
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
    /// The end of a pipe: when it is closed, nobody waits for the command's streams any more.
    hold: Mutex<Option<OwnedFd>>,
}

impl Group {
    /// Starts a command in a group of its own.
    pub(crate) fn start(command: &mut Command) -> io::Result<(Self, Streams)> {
        let (let_go, hold) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let let_go = Arc::new(let_go);
        let mut child = command.process_group(0).spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("the process has no number"))?;
        let streams = Streams {
            input: child
                .stdin
                .take()
                .map(|pipe| Pipe::new(pipe.into(), &let_go))
                .transpose()?,
            output: child
                .stdout
                .take()
                .map(|pipe| Pipe::new(pipe.into(), &let_go))
                .transpose()?,
            errors: child
                .stderr
                .take()
                .map(|pipe| Pipe::new(pipe.into(), &let_go))
                .transpose()?,
        };
        Ok((
            Self {
                pid,
                child: Mutex::new(Some(child)),
                hold: Mutex::new(Some(hold)),
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

    /// Ends the streams, though somebody outside of the group may hold on to their other ends.
    pub(super) fn let_go(&self) {
        drop(self.hold.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Waits for the end of the command itself. Its number stays its own, so that what it has started can be signalled.
    pub(crate) fn wait(&self) -> io::Result<()> {
        loop {
            match waitid(WaitId::Pid(self.pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => return Ok(()),
            }
        }
    }

    /// How it ended. Nobody can signal it any more.
    pub(crate) fn exit(&self) -> io::Result<Exit> {
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

/// One of a command's streams.
pub(crate) struct Pipe {
    pipe: File,
    let_go: Arc<OwnedFd>,
    /// What is still read of it after everybody has let go: as much as a pipe holds that nobody fills any more.
    left: usize,
}

/// What a command reads.
pub(crate) type Sink = Pipe;
/// What it says.
pub(crate) type Source = Pipe;

const CAPACITY: usize = 64 << 10;

impl Pipe {
    fn new(pipe: OwnedFd, let_go: &Arc<OwnedFd>) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok(Self {
            pipe: pipe.into(),
            let_go: Arc::clone(let_go),
            left: CAPACITY,
        })
    }

    /// Waits until the pipe is ready, or everybody has let go of it.
    fn wait(&self, flags: PollFlags) -> io::Result<Ready> {
        loop {
            let mut both = [
                PollFd::new(&self.pipe, flags),
                // That its other end is closed is told unasked.
                PollFd::new(&*self.let_go, PollFlags::empty()),
            ];
            match poll(&mut both, None) {
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => {
                    return Ok(Ready {
                        pipe: !both[0].revents().is_empty(),
                        let_go: !both[1].revents().is_empty(),
                    });
                }
            }
        }
    }
}

struct Ready {
    pipe: bool,
    let_go: bool,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            if self.wait(PollFlags::OUT)?.let_go {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            match self.pipe.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let Ready { pipe, let_go } = self.wait(PollFlags::IN)?;
            if let_go && (!pipe || self.left == 0) {
                return Ok(0);
            }
            match self.pipe.read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(length) => {
                    if let_go {
                        self.left = self.left.saturating_sub(length);
                    }
                    return Ok(length);
                }
                Err(error) => return Err(error),
            }
        }
    }
}
