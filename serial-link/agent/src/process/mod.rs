//! A command and its children, on each system.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use self::unix::{Group, Sink, Source, shell};
#[cfg(windows)]
pub(crate) use self::windows::{Group, Sink, Source, shell};

use serial_link_protocol::Signal;

/// The ends of a command's streams. What it says ends soon after [`Group::end`], whoever still has the other ends.
pub(crate) struct Streams {
    pub(crate) input: Option<Sink>,
    pub(crate) output: Option<Source>,
    pub(crate) errors: Option<Source>,
}

impl Group {
    /// Kills the command and what it has started, and ends the streams, whoever has them.
    pub(crate) fn end(&self) {
        self.signal(Signal::Kill);
        self.let_go();
    }
}
