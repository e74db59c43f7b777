use std::io;

use futures_util::future::BoxFuture;

use super::Port;
use super::port::Duplex;
use super::telnet::TelnetStream;

/// A way to a serial port that can be gone again, as often as needed.
pub trait Line: Send + Sync + 'static {
    /// Connects. Dropping the future gives it up.
    fn connect(&self) -> BoxFuture<'_, Result<Port, ConnectError>>;

    /// Where it leads, for messages.
    fn name(&self) -> String;
}

/// A serial port that is not reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The socket does not answer.
    #[error("{line} does not answer: {source}")]
    Socket {
        /// The line.
        line: String,
        /// Why.
        source: io::Error,
    },
    /// The control domain is not reached, or refuses.
    #[cfg(feature = "dom0")]
    #[error("{line} is not reached: {source}")]
    Host {
        /// The line.
        line: String,
        /// Why.
        source: dom0::Error,
    },
    /// xenstore names no terminal: the VM does not run, or its port is none.
    #[error("{line}: no terminal is at {path} in xenstore; the VM does not run, or `hvm_serial` is not `pty`")]
    NoTerminal {
        /// The line.
        line: String,
        /// Where it was looked for.
        path: String,
    },
    /// The bridge of another program does not give its input away. Trying again is no use.
    #[error("{line}: {reason}")]
    Refused {
        /// The line.
        line: String,
        /// Why, and who has it.
        reason: String,
    },
    /// Others read the terminal, and would lose bytes to this reader.
    #[error(
        "{line}: {tty} is open in the control domain already, in {readers} {}; of readers side by side each misses what \
         another gets",
        if *readers == 1 { "program" } else { "programs" }
    )]
    TerminalInUse {
        /// The line.
        line: String,
        /// The terminal.
        tty: String,
        /// How many.
        readers: usize,
    },
}

impl ConnectError {
    /// Whether it ends the bridge that has the line: somebody has to decide first.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

/// What is spoken on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// The port's bytes as they are: what a plain socket carries, and what debuggers need.
    #[default]
    Raw,
    /// Telnet: negotiation (RFC 854, also RFC 2217's) is answered and taken out. For text: QEMU's telnet does
    /// not escape bytes of 255 that the guest sends.
    Telnet,
}

impl Mode {
    pub(super) fn port(self, stream: impl Duplex) -> Port {
        match self {
            Self::Raw => Port::new(stream),
            Self::Telnet => Port::new(TelnetStream::new(stream)),
        }
    }
}
