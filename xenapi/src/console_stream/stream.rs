//! A console that is open.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::transport::Duplex;

/// A console that is open: what is read from it is the VM's screen (RFB, the protocol of VNC) or its text, what is
/// written to it are keys and the like.
///
/// It ends when the VM does, when the pool's idle limit for consoles passes, and, though the connection would live on,
/// when the VM moves to another host. Dropping it closes the connection.
pub struct ConsoleStream {
    stream: Box<dyn Duplex>,
}

impl ConsoleStream {
    pub(super) fn new(stream: Box<dyn Duplex>) -> Self {
        Self { stream }
    }
}

impl AsyncRead for ConsoleStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for ConsoleStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl fmt::Debug for ConsoleStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleStream").finish_non_exhaustive()
    }
}
