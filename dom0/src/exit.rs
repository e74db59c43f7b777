use std::fmt;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// It returned this.
    Code(u32),
    /// A signal ended it, for example `KILL`.
    ///
    /// The backend of the `ssh` program knows only the signals that were sent through [`Running`](crate::Running); where
    /// somebody else ended the command, it reports `Code(255)`.
    Signal(String),
}

impl Exit {
    /// Whether it returned 0.
    pub fn success(&self) -> bool {
        *self == Self::Code(0)
    }

    /// What it returned, if it did.
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Code(code) => Some(*code),
            Self::Signal(_) => None,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(name) => write!(f, "signal {name}"),
        }
    }
}

/// A signal to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Signal {
    /// The terminal is gone; daemons read their configuration again.
    Hup,
    /// Ctrl-C: `tcpdump` prints its counters and ends.
    Int,
    /// Please end.
    Term,
    /// End, unasked.
    Kill,
    /// The first signal for the program's own use.
    Usr1,
    /// The second signal for the program's own use.
    Usr2,
}

impl Signal {
    /// The name, as `kill -s` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hup => "HUP",
            Self::Int => "INT",
            Self::Term => "TERM",
            Self::Kill => "KILL",
            Self::Usr1 => "USR1",
            Self::Usr2 => "USR2",
        }
    }
}
