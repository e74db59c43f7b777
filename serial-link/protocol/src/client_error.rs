use std::time::Duration;

use crate::error::LinkError;
use crate::message::Failure;
use crate::packet::Refusal;

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The link did not take it, or its session ended: the agent was started anew.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The agent could not do it.
    #[error("the agent says: {0}")]
    Failed(#[from] Failure),
    /// No agent answered.
    #[error(
        "no serial-agent answered within {limit:?}: it may not be running in the VM, may use another port, or the line \
         is not connected"
    )]
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// An agent is there and does not talk with this end.
    #[error("{}", refused(*.0))]
    Refused(Refusal),
    /// The line is this client's no more.
    #[error("the way to the serial port is closed: {reason}")]
    Line {
        /// Why.
        reason: String,
    },
    /// A stream is longer than what is kept in memory.
    #[error("more than {limit} bytes came, which are not kept in memory: read them piece by piece")]
    TooMuch {
        /// How many bytes are kept.
        limit: usize,
    },
    /// Reading or writing a file at this end failed.
    #[error("cannot read or write the file at this end: {0}")]
    File(#[from] std::io::Error),
    /// The file that arrived is not the one that was sent: it changed meanwhile, or what an earlier attempt left was
    /// of another one.
    #[error(
        "the copy of {path} differs from the original; it may have changed meanwhile: copy it again from its start"
    )]
    Checksum {
        /// The file in the VM.
        path: String,
    },
    /// The agent answered something else.
    #[error("the agent answered something that does not belong to the request: {answer}")]
    Unexpected {
        /// Its answer.
        answer: String,
    },
}

fn refused(refusal: Refusal) -> String {
    match refusal {
        Refusal::WrongSecret => {
            "the agent in the VM has another secret: compare the file given to it with the one used here".into()
        }
        Refusal::Version(version) => format!("the agent in the VM speaks version {version} of the protocol only"),
    }
}
