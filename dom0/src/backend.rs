use std::fmt;

use crate::builtin::Builtin;
use crate::ends::Ends;
#[cfg(unix)]
use crate::program::Program;
use crate::stream::RemoteStream;
use crate::{Error, Target};

/// What carries a session.
pub(crate) enum Backend {
    Builtin(Box<Builtin>),
    #[cfg(unix)]
    Program(Program),
}

/// What came of the attempt to open a socket.
pub(crate) enum Opened {
    Stream(RemoteStream),
    /// It has to be done in another way. Of sockets that a server does not say of whether they are forbidden or absent, this
    /// is what it said.
    Forbidden(Option<String>),
}

impl Backend {
    pub(crate) fn host(&self) -> String {
        match self {
            Self::Builtin(builtin) => builtin.host().to_string(),
            #[cfg(unix)]
            Self::Program(program) => program.host(),
        }
    }

    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Self::Builtin(builtin) => builtin.is_lost(),
            #[cfg(unix)]
            Self::Program(program) => program.is_lost(),
        }
    }

    /// Whether a command that a signal has ended looks like one that returned 255.
    pub(crate) fn hides_signals(&self) -> bool {
        !matches!(self, Self::Builtin(_))
    }

    /// Runs a line whose output is collected at once.
    pub(crate) async fn control(&self, line: Vec<u8>) -> Result<Ends, Error> {
        match self {
            Self::Builtin(builtin) => builtin.control(line).await,
            #[cfg(unix)]
            Self::Program(program) => program.exec(line).await,
        }
    }

    /// Runs a line whose output is read at leisure.
    pub(crate) async fn exec(&self, line: Vec<u8>) -> Result<Ends, Error> {
        match self {
            Self::Builtin(builtin) => builtin.exec(line).await,
            #[cfg(unix)]
            Self::Program(program) => program.exec(line).await,
        }
    }

    pub(crate) async fn open(&self, target: &Target) -> Result<Opened, Error> {
        match self {
            Self::Builtin(builtin) => builtin.open(target).await,
            #[cfg(unix)]
            Self::Program(program) => program.open(target).await,
        }
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Builtin(_) => "built-in",
            #[cfg(unix)]
            Self::Program(_) => "ssh program",
        };
        write!(f, "{} over the {name}", self.host())
    }
}
