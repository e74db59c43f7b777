//! Receiving while what has come is still being worked on.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;
use tokio::sync::mpsc;

use crate::Background;
use crate::transport::{BodyStream, TransportError};

/// How many pieces wait for the reader. A reader that stops early has the server send that much in vain.
const PIECES: usize = 2;

/// A body that is received in a task of its own: who verifies or decompresses does so on another processor.
///
/// Dropping it closes the connection.
pub(super) struct ReadAhead {
    pieces: mpsc::Receiver<Result<Bytes, TransportError>>,
    _work: Background,
}

impl ReadAhead {
    pub(super) fn new(mut body: BodyStream) -> Self {
        let (sender, pieces) = mpsc::channel(PIECES);
        let work = async move {
            // Waiting for room first means that no piece is held beside those in the queue.
            while let Ok(room) = sender.reserve().await {
                match body.next().await {
                    Some(piece) => room.send(piece),
                    None => break,
                }
            }
        };
        Self {
            pieces,
            _work: Background::spawn(work),
        }
    }
}

impl Stream for ReadAhead {
    type Item = Result<Bytes, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.pieces.poll_recv(context)
    }
}
