use std::fs::File;
use std::io::{self, Read};
use std::os::windows::io::OwnedHandle;
use std::os::windows::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
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
    let_go: Arc<AtomicBool>,
}

impl Group {
    /// Starts a command.
    pub(crate) fn start(command: &mut Command) -> io::Result<(Self, Streams)> {
        let mut child = command.spawn()?;
        let let_go = Arc::default();
        let streams = Streams {
            input: child.stdin.take().map(|pipe| OwnedHandle::from(pipe).into()),
            output: child.stdout.take().map(|pipe| Source::new(pipe.into(), &let_go)),
            errors: child.stderr.take().map(|pipe| Source::new(pipe.into(), &let_go)),
        };
        Ok((
            Self {
                pid: child.id(),
                child: Mutex::new(child),
                let_go,
            },
            streams,
        ))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends the process and its children: there are no signals. Once the process has ended, nothing tells its children.
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

    /// Ends what the command says, though somebody else may hold on to the other end.
    pub(super) fn let_go(&self) {
        self.let_go.store(true, Ordering::Relaxed);
    }

    /// Waits for the end of the command itself.
    pub(crate) fn wait(&self) -> io::Result<()> {
        while self.status()?.is_none() {
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// How it ended.
    pub(crate) fn exit(&self) -> io::Result<Exit> {
        let status = self.child.lock().unwrap_or_else(PoisonError::into_inner).wait()?;
        Ok(Exit::Code(status.code().unwrap_or(-1)))
    }

    fn status(&self) -> io::Result<Option<ExitStatus>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait()
    }
}

/// What a command reads.
pub(crate) type Sink = File;

/// What it says. A pipe can only be waited for without end here, so a thread of its own does that; it stays behind where
/// somebody else holds on to the other end.
pub(crate) struct Source {
    pieces: Receiver<Vec<u8>>,
    rest: io::Cursor<Vec<u8>>,
    let_go: Arc<AtomicBool>,
}

const PIECE: usize = 16 << 10;

impl Source {
    fn new(pipe: OwnedHandle, let_go: &Arc<AtomicBool>) -> Self {
        let (sender, pieces) = mpsc::sync_channel(1);
        let mut pipe = File::from(pipe);
        thread::spawn(move || {
            let mut piece = vec![0; PIECE];
            while let Ok(length @ 1..) = pipe.read(&mut piece) {
                if sender.send(piece[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            pieces,
            rest: io::Cursor::default(),
            let_go: Arc::clone(let_go),
        }
    }
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.rest.read(into)? {
                0 => {}
                length => return Ok(length),
            }
            match self.pieces.recv_timeout(PAUSE) {
                Ok(piece) => self.rest = io::Cursor::new(piece),
                Err(RecvTimeoutError::Timeout) if !self.let_go.load(Ordering::Relaxed) => {}
                Err(_) => return Ok(0),
            }
        }
    }
}
