use std::io;

use tokio::sync::{oneshot, watch};

use crate::stream::{ByteStream, Stdin};
use crate::{Error, Exit};

/// The ends of a running command that a backend hands out.
pub(crate) struct Ends {
    pub(crate) stdin: Stdin,
    pub(crate) stdout: ByteStream,
    pub(crate) stderr: ByteStream,
    /// The process, when it is known; without a sender it never will be.
    pub(crate) process: watch::Receiver<Option<u32>>,
    pub(crate) exit: oneshot::Receiver<Result<Exit, Error>>,
}

/// How a reader learns that the connection is gone.
pub(crate) fn aborted(error: &Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, error.to_string())
}
