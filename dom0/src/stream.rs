//! The ends of streams that callers hold: bounded queues of buffers, which a task of the backend fills and empties.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_core::Stream;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::mpsc;

/// How many buffers wait in one direction of one stream before the control domain has to stop sending.
pub(crate) const QUEUE: usize = 16;

/// How many bytes of input wait before the writer has to.
pub(crate) const INPUT_BUFFER: usize = 256 << 10;

/// Bytes out of the control domain: an [`AsyncRead`], and a stream of buffers as they came, which saves a copy.
///
/// Of what is not read, at most 1 MiB is held; then the sender waits. Where the connection dies, the last thing that
/// comes is an error of the kind [`ConnectionAborted`](io::ErrorKind::ConnectionAborted).
#[derive(Debug)]
pub struct ByteStream {
    queue: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl ByteStream {
    pub(crate) fn new() -> (mpsc::Sender<io::Result<Bytes>>, Self) {
        let (sender, queue) = mpsc::channel(QUEUE);
        (
            sender,
            Self {
                queue,
                current: Bytes::new(),
            },
        )
    }

    /// The next bytes, `None` at the end.
    pub async fn chunk(&mut self) -> Option<io::Result<Bytes>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if !self.current.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.current))));
        }
        self.queue.poll_recv(cx)
    }
}

impl Stream for ByteStream {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_chunk(cx)
    }
}

impl AsyncRead for ByteStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.current.is_empty() {
            match ready!(this.queue.poll_recv(cx)) {
                Some(chunk) => this.current = chunk?,
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = this.current.len().min(out.remaining());
        out.put_slice(&this.current[..length]);
        this.current.advance(length);
        Poll::Ready(Ok(()))
    }
}

/// Bytes into the control domain. Shutting it down, or dropping it, is the end of the input.
#[derive(Debug)]
pub struct Stdin(pub(crate) DuplexStream);

impl AsyncWrite for Stdin {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A connection to a socket in, or seen from, the control domain.
#[derive(Debug)]
pub struct RemoteStream {
    pub(crate) read: ByteStream,
    pub(crate) write: Stdin,
}

impl RemoteStream {
    /// Both directions, each on its own.
    pub fn into_split(self) -> (ByteStream, Stdin) {
        (self.read, self.write)
    }
}

impl AsyncRead for RemoteStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, out)
    }
}

impl AsyncWrite for RemoteStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_shutdown(cx)
    }
}
