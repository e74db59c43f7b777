//! Requests that wait for their replies.

use super::error::{Errno, Error};
use super::protocol::Command;

/// One request to a server that has given its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) command: Command,
    pub(super) flags: u16,
    pub(super) offset: u64,
    pub(super) length: u32,
}

impl Request {
    pub(super) fn new(command: Command, offset: u64, length: u32) -> Self {
        Self {
            command,
            flags: 0,
            offset,
            length,
        }
    }

    pub(super) fn refused(&self, error: Errno, words: &str) -> Error {
        error.of(self.command, self.offset, self.length.into(), words)
    }
}

/// Where the data of a reply goes.
pub(super) trait Place {
    fn bytes(&mut self) -> &mut [u8];
}

impl Place for &mut [u8] {
    fn bytes(&mut self) -> &mut [u8] {
        self
    }
}

impl Place for Vec<u8> {
    fn bytes(&mut self) -> &mut [u8] {
        self
    }
}

/// For commands without data in their replies.
impl Place for () {
    fn bytes(&mut self) -> &mut [u8] {
        &mut []
    }
}

/// A stretch of a disk that is of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) length: u32,
    pub(super) is_zero: bool,
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct Waiting<P> {
    pub(super) cookie: u64,
    pub(super) request: Request,
    pub(super) place: P,
    /// How many bytes of data have arrived.
    pub(super) received: u32,
    pub(super) extents: Option<Vec<Extent>>,
    pub(super) refusal: Option<Error>,
}

/// All requests on their way over one connection.
#[derive(Debug)]
pub(super) struct Flight<P>(Vec<Waiting<P>>);

impl<P> Flight<P> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, cookie: u64, request: Request, place: P) {
        self.0.push(Waiting {
            cookie,
            request,
            place,
            received: 0,
            extents: None,
            refusal: None,
        });
    }

    pub(super) fn find(&self, cookie: u64) -> Option<usize> {
        self.0.iter().position(|waiting| waiting.cookie == cookie)
    }

    pub(super) fn at(&mut self, place: usize) -> &mut Waiting<P> {
        &mut self.0[place]
    }

    pub(super) fn take(&mut self, place: usize) -> Waiting<P> {
        self.0.swap_remove(place)
    }

    /// What has not arrived, to be asked for again.
    pub(super) fn rest(self) -> impl Iterator<Item = (u64, P)> {
        self.0
            .into_iter()
            .map(|waiting| (waiting.request.offset, waiting.place))
    }
}
