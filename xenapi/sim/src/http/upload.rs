//! The body of a request that is read while it arrives.

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use xenapi::transport::UploadStream;

/// What a client sends after the head of a `PUT`.
pub(crate) struct Upload {
    pieces: BoxStream<'static, Bytes>,
    /// What the head says the length is.
    length: Option<u64>,
    taken: u64,
    /// A piece that was looked at and not taken.
    next: Option<Bytes>,
    /// Whether bytes were taken that should have been left.
    too_many: bool,
}

impl Upload {
    /// No body at all.
    pub(crate) fn none() -> Self {
        Self::new(stream::empty().boxed(), None)
    }

    /// A body that comes over a socket; its end is the end of what the client sends at all.
    pub(crate) fn from_socket(pieces: mpsc::Receiver<Bytes>, length: Option<u64>) -> Self {
        let pieces = stream::unfold(pieces, async |mut pieces| Some((pieces.recv().await?, pieces)));
        Self::new(pieces.boxed(), length)
    }

    /// A body that is there as a whole, from a client that then waits for the answer.
    pub(crate) fn from_memory(body: Bytes) -> Self {
        let length = body.len() as u64;
        let first = stream::iter((!body.is_empty()).then_some(body));
        Self::new(first.chain(stream::pending()).boxed(), Some(length))
    }

    /// A body that is made while it is sent; an error of its maker closes the connection.
    pub(crate) fn from_stream(pieces: UploadStream, length: Option<u64>) -> Self {
        let pieces = pieces
            .chain(stream::pending())
            .scan((), |(), piece| std::future::ready(piece.ok()));
        Self::new(pieces.boxed(), length)
    }

    fn new(pieces: BoxStream<'static, Bytes>, length: Option<u64>) -> Self {
        Self {
            pieces,
            length,
            taken: 0,
            next: None,
            too_many: false,
        }
    }

    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// The next bytes, at most `most` of them; none where the client has stopped sending. It waits for ever for a
    /// client that neither sends nor goes away, whatever length it had announced.
    pub(super) async fn take(&mut self, most: u64) -> Option<Bytes> {
        let mut piece = match self.next.take() {
            Some(piece) => piece,
            None => self.pieces.next().await?,
        };
        let count = piece.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        let taken = piece.split_to(count);
        self.next = Some(piece).filter(|rest| !rest.is_empty());
        self.taken += taken.len() as u64;
        Some(taken)
    }

    /// Counts some of the bytes that were taken as left unread.
    pub(super) fn leave_rest(&mut self) {
        self.too_many = true;
    }

    /// Whether bytes of the body were left unread, as far as can be told without waiting.
    pub(super) fn has_more(&mut self) -> bool {
        self.too_many
            || self.next.is_some()
            || match self.length {
                Some(length) => self.taken < length,
                None => self.pieces.next().now_or_never().flatten().is_some(),
            }
    }
}
