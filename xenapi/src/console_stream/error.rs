//! Why a console does not open.

use crate::console::ConsoleProtocol;
use crate::vm::PowerState;
use crate::{Error, HttpError, Ref, Vm};

/// Why a console does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsoleError {
    /// The VM does not run, so it has no console: start, resume or unpause it first.
    #[error("the VM {vm} has no console while its power state is {state}")]
    NotRunning {
        /// The VM.
        vm: Ref<Vm>,
        /// What it does instead.
        state: PowerState,
    },
    /// The VM runs, but has no console of this kind.
    #[error("the VM {vm} has no {protocol} console")]
    Absent {
        /// The VM.
        vm: Ref<Vm>,
        /// What was asked for.
        protocol: ConsoleProtocol,
    },
    /// Somebody else uses the console, and the pool lets one in at a time
    /// ([`limit_console_sessions`](crate::PoolRecord::limit_console_sessions)). The message says who it is, where the
    /// host does.
    #[error("the console is in use, and the pool allows one user at a time: {0}")]
    Limited(HttpError),
    /// The host does not know the session, also after another login where that was possible.
    #[error("the session is not valid at the host: {0}")]
    Unauthorized(HttpError),
    /// The user's role does not allow it: a host's own console is for pool admins.
    #[error("the role does not allow this console: {0}")]
    Forbidden(HttpError),
    /// Each host that was asked said no, and the VM was on another one by then: it is being moved. Try again later.
    #[error("the VM {vm} was on another host each time that one was asked for its console")]
    WrongHost {
        /// The VM.
        vm: Ref<Vm>,
    },
    /// The host refused although the VM runs there; hosts seldom say why.
    #[error("{0}")]
    Refused(HttpError),
    /// What else can go wrong with a call or a transfer.
    #[error(transparent)]
    Other(#[from] Error),
}

impl ConsoleError {
    /// What an answer other than success means.
    pub(super) fn of(error: Error) -> Self {
        match error {
            Error::Http(error) => match error.status() {
                401 => Self::Unauthorized(*error),
                403 => Self::Forbidden(*error),
                503 => Self::Limited(*error),
                _ => Self::Refused(*error),
            },
            error => Self::Other(error),
        }
    }
}
