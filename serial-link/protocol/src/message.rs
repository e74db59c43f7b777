//! What is said in channels. The host opens a channel with a [`Request`]; the agent answers with [`Reply`]s.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The streams of a channel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Port {
    /// To the agent: a command's standard input, or the content of a file.
    Input,
    /// From the agent: a command's standard output, or the content of a file.
    Output,
    /// From the agent: a command's standard error.
    Errors,
}

/// A SHA-256.
pub type Digest = [u8; 32];

/// From the host to the agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Request {
    /// Run a command: [`Reply::Started`], the streams, then [`Reply::Exited`].
    Exec(Command),
    /// Send a signal to the command of this channel.
    Signal(Signal),
    /// Read a file: [`Reply::Reading`], [`Port::Output`], then [`Reply::Read`].
    Get {
        /// Its absolute path.
        path: String,
        /// Where to start: how much of it the host has.
        offset: u64,
    },
    /// Write a file: [`Reply::Writing`]; then the host sends [`Port::Input`] from the offset that it names, ends it,
    /// and says [`Commit`](Self::Commit), to which [`Reply::Written`] answers.
    Put(Put),
    /// The file of this channel is complete, and has this checksum.
    Commit {
        /// The SHA-256 of the whole file.
        sha256: Digest,
    },
    /// Stop what this channel does: kills the command, and lets go of the file, but keeps what there is of it.
    Cancel,
    /// Tell about the system: [`Reply::Report`].
    Report,
    /// Answer with [`Reply::Pong`].
    Ping {
        /// Comes back in the answer.
        token: u64,
    },
}

/// A command to run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Command {
    /// What to run.
    pub program: Program,
    /// Variables of the environment, beside the agent's own.
    pub environment: Vec<(String, String)>,
    /// Whether to leave the agent's own environment out.
    pub clean_environment: bool,
    /// The folder to run in; the agent's own if absent.
    pub folder: Option<String>,
    /// After so long the command and its children are killed.
    pub timeout: Option<Duration>,
    /// Whether [`Port::Input`] feeds its standard input, which is empty otherwise.
    pub input: bool,
}

impl Command {
    /// Runs a program with arguments; no shell looks at them.
    pub fn new<I: Into<String>>(argv: impl IntoIterator<Item = I>) -> Self {
        Self::of(Program::Argv(argv.into_iter().map(Into::into).collect()))
    }

    /// Hands a line to the system's shell: `/bin/sh -c`, or `cmd /C` on Windows.
    pub fn shell(line: impl Into<String>) -> Self {
        Self::of(Program::Shell(line.into()))
    }

    fn of(program: Program) -> Self {
        Self {
            program,
            environment: Vec::new(),
            clean_environment: false,
            folder: None,
            timeout: None,
            input: false,
        }
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Runs in this folder.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<String>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Kills the command, and its children, after so long.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Feeds its standard input from [`Port::Input`].
    #[must_use]
    pub fn with_input(mut self) -> Self {
        self.input = true;
        self
    }
}

/// What a command is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Program {
    /// A program and its arguments.
    Argv(Vec<String>),
    /// A line for the system's shell.
    Shell(String),
}

/// What to send to a command and its children. On Windows each of them ends it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Signal {
    /// SIGHUP.
    Hangup,
    /// SIGINT, as Ctrl-C sends.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// A file to write.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Put {
    /// Its absolute path. It is written beside under the name `.NAME.serial-part` and renamed when it is complete.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its Unix permissions; 0o600 if absent, and unused on Windows.
    pub mode: Option<u32>,
    /// Whether to go on with what an earlier attempt has left.
    pub resume: bool,
}

/// From the agent to the host. Each but the last of a channel leaves the channel open.
///
/// A reply may overtake what the streams of its channel still carry: a command is over when it has
/// [`Exited`](Self::Exited) *and* its streams have ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Reply {
    /// The command runs.
    Started {
        /// The number of its process.
        pid: u32,
    },
    /// The command is over. Last.
    Exited(Exit),
    /// The file is there and follows.
    Reading(FileFacts),
    /// The file was read to its end. Last.
    Read {
        /// The SHA-256 of the whole file, what the host had before included.
        sha256: Digest,
    },
    /// Content is welcome.
    Writing {
        /// From this position on.
        offset: u64,
    },
    /// The file is on disk under its own name. Last.
    Written {
        /// Its length in bytes.
        size: u64,
    },
    /// About the system. Last.
    Report(Box<Report>),
    /// The answer to a ping. Last.
    Pong {
        /// The ping's.
        token: u64,
    },
    /// It did not work. Last.
    Failed(Failure),
}

impl Reply {
    /// Whether no other reply follows in its channel.
    #[must_use]
    pub fn is_last(&self) -> bool {
        !matches!(self, Self::Started { .. } | Self::Reading(_) | Self::Writing { .. })
    }
}

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// It ran longer than its timeout and was killed.
    TimedOut,
}

/// About a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileFacts {
    /// Its length in bytes.
    pub size: u64,
    /// Its Unix permissions; absent on Windows.
    pub mode: Option<u32>,
    /// When it was changed, in seconds since 1970.
    pub modified: Option<i64>,
}

/// What did not work.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Its kind.
    pub kind: FailureKind,
    /// What was tried, on what, and what the system said.
    pub message: String,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

/// Kinds of failures.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FailureKind {
    /// There is no such file, folder or program.
    NotFound,
    /// The agent's user may not.
    Denied,
    /// The disk, or the user's share of it, is full.
    NoSpace,
    /// What arrived is not what was sent.
    Checksum,
    /// As much is going on as the agent allows.
    Busy,
    /// The agent knows no such request.
    Unsupported,
    /// The host asked to stop.
    Cancelled,
    /// The request does not make sense where it came.
    Invalid,
    /// Anything else that the system said.
    System,
}

/// About the system that the agent runs in. What it could not find out is absent or empty.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// The agent's version.
    pub agent: String,
    /// The operating system, as it calls itself: `Debian GNU/Linux 12 (bookworm)`.
    pub system: String,
    /// The version of its kernel.
    pub kernel: String,
    /// The processor's architecture: `x86_64`.
    pub architecture: String,
    /// The name of the machine.
    pub hostname: String,
    /// Who is logged in.
    pub users: Vec<String>,
    /// The addresses of its interfaces.
    pub addresses: Vec<Address>,
    /// How long it has been running.
    pub uptime: Option<Duration>,
}

/// An address of an interface.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Address {
    /// The interface's name.
    pub interface: String,
    /// The address.
    pub address: std::net::IpAddr,
}
