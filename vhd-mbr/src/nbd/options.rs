//! How a disk is to be opened.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::disk::Nbd;
use super::{Error, Target};

/// How a disk is to be opened, made by [`Nbd::options`].
#[derive(Clone, Debug)]
pub struct Options {
    pub(super) connections: Option<NonZeroUsize>,
    pub(super) patience: Duration,
    pub(super) request: u32,
    pub(super) writable: bool,
    pub(super) durable_writes: bool,
    pub(super) holes: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: None,
            patience: Duration::from_secs(30),
            request: 256 << 10,
            writable: false,
            durable_writes: false,
            holes: true,
        }
    }
}

impl Options {
    /// How many connections are made at most. They are made when they are of use.
    ///
    /// Without this, four where the server says that several are fine, otherwise one. xapi-nbd does not say it; several
    /// are what makes it fast, but all clients of a host share 16.
    #[must_use]
    pub fn connections(mut self, most: NonZeroUsize) -> Self {
        self.connections = Some(most);
        self
    }

    /// How long the server may be silent, at first and between two pieces of a reply: 30 seconds otherwise, at least a
    /// millisecond.
    #[must_use]
    pub fn timeout(mut self, silence: Duration) -> Self {
        self.patience = silence.max(Duration::from_millis(1));
        self
    }

    /// How many bytes one request is for at most, as far as the server takes it: 256 KiB otherwise.
    #[must_use]
    pub fn request_size(mut self, bytes: u32) -> Self {
        self.request = bytes;
        self
    }

    /// Whether to allow writing, where the server allows it. Without this, nothing is ever written.
    #[must_use]
    pub fn writable(mut self, writable: bool) -> Self {
        self.writable = writable;
        self
    }

    /// Whether each write is to return only once a crash does not lose it.
    #[must_use]
    pub fn durable_writes(mut self, durable: bool) -> Self {
        self.durable_writes = durable;
        self
    }

    /// Whether to ask the server where the disk has data, if it can tell. Otherwise everything counts as data.
    #[must_use]
    pub fn holes(mut self, ask: bool) -> Self {
        self.holes = ask;
        self
    }

    /// Connects to the server and opens the disk.
    ///
    /// # Errors
    /// Where the server cannot be reached, is not the right one or does not give the disk.
    pub fn connect(&self, target: &Target) -> Result<Nbd, Error> {
        Nbd::open(target, self)
    }
}
