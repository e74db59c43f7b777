use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::command::CommandError;
use crate::exit::Exit;
use crate::host::ParseHostError;
use crate::target::Target;

/// What can go wrong: what was tried, on which host, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The host is not written as one.
    #[error(transparent)]
    Host(#[from] ParseHostError),

    /// The command cannot be sent.
    #[error(transparent)]
    Command(#[from] CommandError),

    /// Nothing answered there.
    #[error(
        "no SSH server answers at {host}: {reason}; SSH may be switched off on the host \
         (host.ssh_enabled, host-enable-ssh) or blocked by a firewall"
    )]
    Connect {
        /// `user@host:port`.
        host: String,
        /// What the network said.
        reason: String,
    },

    /// An answer took too long.
    #[error("{host} did not answer within {limit:?} while {doing}")]
    Timeout {
        /// `user@host:port`.
        host: String,
        /// The limit.
        limit: Duration,
        /// What was being done.
        doing: &'static str,
    },

    /// Something answered, but no session came of it.
    #[error("{host} answered, but SSH could not be agreed on: {reason}")]
    Handshake {
        /// `user@host:port`.
        host: String,
        /// What went wrong.
        reason: String,
    },

    /// The host's key is not among the known ones, and nobody accepted it.
    #[error(
        "the key of {host} is not known{}; compare it with `ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub` on the \
         host, then accept it",
        fingerprint.as_ref().map(|print| format!(": {print}")).unwrap_or_default()
    )]
    UnknownHostKey {
        /// `user@host:port`.
        host: String,
        /// `SHA256:…`; the `ssh` program does not always tell.
        fingerprint: Option<String>,
    },

    /// The host shows another key than the known one: it was installed anew, or somebody is in between.
    #[error(
        "THE KEY OF {host} HAS CHANGED to {}: the host was installed anew, or somebody is listening in; if you know \
         why, remove line {line} of {}",
        fingerprint.as_deref().unwrap_or("another one"),
        file.display()
    )]
    ChangedHostKey {
        /// `user@host:port`.
        host: String,
        /// What it shows now, `SHA256:…`; the `ssh` program does not always tell.
        fingerprint: Option<String>,
        /// Where the known one stands.
        file: PathBuf,
        /// In which line, from 1.
        line: usize,
    },

    /// The host's key is marked `@revoked`.
    #[error("the key of {host}, {fingerprint}, is revoked by line {line} of {}", file.display())]
    RevokedHostKey {
        /// `user@host:port`.
        host: String,
        /// `SHA256:…`.
        fingerprint: String,
        /// Where that stands.
        file: PathBuf,
        /// In which line, from 1.
        line: usize,
    },

    /// The host's key has not the fingerprint that was asked for, or is not the one it had a while ago.
    #[error("{host} shows a key with the fingerprint {found}, not {expected}: another host, or somebody is in between")]
    WrongHostKey {
        /// `user@host:port`.
        host: String,
        /// What was asked for.
        expected: String,
        /// What it shows.
        found: String,
    },

    /// The known keys cannot be read or added to.
    #[error("the known hosts {} cannot be {doing}: {source}", file.display())]
    KnownHosts {
        /// The file.
        file: PathBuf,
        /// `read` or `written`.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },

    /// The host let nobody in.
    #[error(
        "{host} refused the login; tried: {}; it accepts: {}",
        if tried.is_empty() { "nothing".into() } else { tried.join(", ") },
        if accepts.is_empty() { "(not said)".into() } else { accepts.join(", ") }
    )]
    Denied {
        /// `user@host:port`.
        host: String,
        /// What was tried, and what came of it.
        tried: Vec<String>,
        /// The methods that the host offers.
        accepts: Vec<String>,
    },

    /// The connection ended.
    #[error("the connection to {host} was lost: {reason}")]
    Lost {
        /// `user@host:port`.
        host: String,
        /// How.
        reason: String,
    },

    /// The host refuses a channel or a command.
    #[error("{host} refused {what}: {reason}")]
    Refused {
        /// `user@host:port`.
        host: String,
        /// What was asked for.
        what: String,
        /// What it said.
        reason: String,
    },

    /// The socket could not be reached from the control domain.
    #[error("{target} cannot be reached from {host}: {reason}")]
    Unreachable {
        /// `user@host:port`.
        host: String,
        /// The socket.
        target: Target,
        /// What the host said.
        reason: String,
    },

    /// Forwarding is forbidden, and the control domain has no program to do it with.
    #[error(
        "{host} forbids to forward to {target} (AllowTcpForwarding, AllowStreamLocalForwarding), and has none of socat, \
         nc and python3 to do it"
    )]
    NoRelay {
        /// `user@host:port`.
        host: String,
        /// The socket.
        target: Target,
    },

    /// The control domain has no such program.
    #[error("{host} has no command {program}")]
    CommandNotFound {
        /// `user@host:port`.
        host: String,
        /// The program.
        program: String,
    },

    /// The command ended otherwise than by success.
    #[error("on {host}, `{command}` ended with {exit}: {errors}")]
    Failed {
        /// `user@host:port`.
        host: String,
        /// The command line.
        command: String,
        /// How it ended.
        exit: Exit,
        /// The end of what it wrote to standard error.
        errors: String,
    },

    /// The command said more than it may.
    #[error("on {host}, `{command}` wrote more than {limit} bytes")]
    TooMuchOutput {
        /// `user@host:port`.
        host: String,
        /// The command line.
        command: String,
        /// The limit, see [`Command::limit`](crate::Command::limit).
        limit: usize,
    },

    /// The command did not tell its process, so no signal can reach it.
    #[error("on {host}, the command did not tell its process id, so it cannot be sent a signal")]
    NoProcess {
        /// `user@host:port`.
        host: String,
    },

    /// The `ssh` program cannot be run.
    #[error("the program {program} cannot be run: {source}")]
    Program {
        /// What was to be run.
        program: String,
        /// Why not.
        source: io::Error,
    },

    /// A loopback address cannot be listened on.
    #[error("cannot listen on the loopback address: {0}")]
    Listen(#[source] io::Error),

    /// The output of a command is not as expected.
    #[error("on {host}, {source}")]
    Xen {
        /// `user@host:port`.
        host: String,
        /// What is wrong with it.
        source: crate::xen::XenError,
    },
}

impl Error {
    /// Whether the connection is gone, so that a new one has to be made.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// Whether the host is there and a person is needed: to give another key or password, or to decide about the host's
    /// key. The same login fails again until then.
    pub fn is_login_refused(&self) -> bool {
        matches!(
            self,
            Self::Denied { .. }
                | Self::UnknownHostKey { .. }
                | Self::ChangedHostKey { .. }
                | Self::RevokedHostKey { .. }
                | Self::WrongHostKey { .. }
                | Self::KnownHosts { .. }
        )
    }
}
