//! A command and its children, on each system.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use self::unix::{Group, shell};
#[cfg(windows)]
pub(crate) use self::windows::{Group, shell};

use std::process::{ChildStderr, ChildStdin, ChildStdout};

/// The ends of a command's streams.
pub(crate) struct Streams {
    pub(crate) input: Option<ChildStdin>,
    pub(crate) output: Option<ChildStdout>,
    pub(crate) errors: Option<ChildStderr>,
}
