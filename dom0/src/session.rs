use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OnceCell;

use crate::backend::{Backend, Opened};
use crate::builtin::Connect;
use crate::command::Command;
use crate::forward::Forward;
#[cfg(unix)]
use crate::program::SshProgram;
use crate::relay::{self, Relay};
use crate::running::{Output, Running};
use crate::stream::RemoteStream;
use crate::{Error, Exit, Target};

/// A session to a control domain; cheap to clone. It ends with the last clone, and with what runs in it.
#[derive(Clone)]
pub struct Dom0(Arc<Shared>);

struct Shared {
    backend: Backend,
    relay: OnceCell<Option<Relay>>,
}

impl Dom0 {
    /// Connects with the built-in SSH: `[user@]host[:port]`, `root` and 22 where they are left out.
    pub fn connect(host: impl AsRef<str>) -> Connect {
        Connect::new(host.as_ref().parse())
    }

    /// Connects with the user's own `ssh` program: his `~/.ssh/config` with its names, jump hosts and proxies, his agent,
    /// his smart cards.
    #[cfg(unix)]
    pub fn with_ssh_program(destination: impl Into<String>) -> SshProgram {
        SshProgram::new(destination.into())
    }

    pub(crate) fn new(backend: Backend) -> Self {
        Self(Arc::new(Shared {
            backend,
            relay: OnceCell::new(),
        }))
    }

    /// The host, as messages name it.
    pub fn host(&self) -> String {
        self.0.backend.host()
    }

    /// Whether the connection is known to be gone. A new session has to be made then.
    pub fn is_lost(&self) -> bool {
        self.0.backend.is_lost()
    }

    /// Starts a command whose input and output are streams.
    ///
    /// Each has its flow of its own: one that is not read waits, and holds up no other.
    pub async fn exec(&self, command: &Command) -> Result<Running, Error> {
        let ends = self.0.backend.exec(command.wire()?).await?;
        Ok(Running::new(self.clone(), command, ends))
    }

    /// Runs a command to its end, and collects what it says up to its [`limit`](Command::limit).
    pub async fn output(&self, command: &Command) -> Result<Output, Error> {
        let ends = self.0.backend.control(command.wire()?).await?;
        Running::new(self.clone(), command, ends).collect(command).await
    }

    /// Runs a command that has to succeed, for what it writes to standard output.
    pub async fn run(&self, command: &Command) -> Result<Bytes, Error> {
        let output = self.output(command).await?;
        match output.exit {
            Exit::Code(0) => Ok(output.stdout),
            exit => Err(self.failed(command, exit, &output.stderr)),
        }
    }

    /// Connects to a socket, as the control domain sees it.
    ///
    /// Where its SSH server forbids forwarding, `socat`, `nc` or `python3` does it there; a socket that does not answer is
    /// then told by the first read.
    pub async fn open(&self, target: &Target) -> Result<RemoteStream, Error> {
        let said = match self.0.backend.open(target).await? {
            Opened::Stream(stream) => return Ok(stream),
            Opened::Forbidden(said) => said,
        };
        if let (Some(reason), Target::Unix { path }) = (said, target) {
            let there = Command::raw(r#"test -S "$1""#).arg(path);
            if !self.output(&there).await?.exit.success() {
                return Err(Error::Unreachable {
                    host: self.host(),
                    target: target.clone(),
                    reason,
                });
            }
        }
        let relay = self.0.relay.get_or_try_init(|| Relay::probe(self)).await?;
        let relay = relay.ok_or_else(|| Error::NoRelay {
            host: self.host(),
            target: target.clone(),
        })?;
        let command = relay.command(target);
        Ok(relay::stream(self.exec(&command).await?, target.clone()))
    }

    /// Listens on a free port of the loopback address, and connects whoever comes to a socket, as the control domain sees
    /// it.
    pub async fn listen(&self, target: Target) -> Result<Forward, Error> {
        Forward::start(self.clone(), target).await
    }

    pub(crate) fn failed(&self, command: &Command, exit: Exit, stderr: &[u8]) -> Error {
        // 127 is what shells return for a program that is not there; scripts may return it for what they miss.
        if let (Exit::Code(127), Some(program)) = (&exit, command.program()) {
            return Error::CommandNotFound {
                host: self.host(),
                program,
            };
        }
        let errors = crate::running::last_words(stderr);
        Error::Failed {
            host: self.host(),
            command: command.to_string(),
            exit,
            errors,
        }
    }

    pub(crate) fn lost(&self, reason: &str) -> Error {
        Error::Lost {
            host: self.host(),
            reason: reason.into(),
        }
    }

    pub(crate) fn hides_signals(&self) -> bool {
        self.0.backend.hides_signals()
    }
}

impl fmt::Debug for Dom0 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dom0({:?})", self.0.backend)
    }
}
