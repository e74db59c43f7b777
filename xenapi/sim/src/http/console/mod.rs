//! `CONNECT /console`: the screen or the serial line of a VM.

mod door;
mod pixels;
mod screen;
mod terminal;

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use self::door::Protocol;
pub(crate) use self::door::{Console, open};
use super::message::{Body, Reply, Request};
use crate::state::Shared;

/// Whether a request asks for a console.
pub(crate) fn is_wanted(request: &Request) -> bool {
    request.method == "CONNECT" && request.path() == "/console"
}

/// What says that the connection is the console from now on.
pub(crate) fn accepted() -> Reply {
    let reply = Reply {
        body: Body::Stream(Box::pin(futures_util::stream::empty())),
        ..Reply::full(200, "")
    };
    reply
        .with("connection", "keep-alive")
        .with("cache-control", "no-cache, no-store")
}

/// Is the console until the client or the VM goes. What the client has sent already is in the buffer.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Arc<Shared>,
    console: Console,
    stream: &mut S,
    buffer: BytesMut,
) -> io::Result<()> {
    let talked = tokio::select! {
        talked = talk(&console, Line { stream, buffer }) => talked,
        () = console.is_gone(shared) => Ok(()),
    };
    console.close(shared);
    talked
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(console: &Console, line: Line<'_, S>) -> io::Result<()> {
    let talked = match console.protocol {
        Protocol::Screen => screen::show(&console.name, line).await,
        Protocol::Terminal => terminal::echo(&console.name, line).await,
    };
    match talked {
        // Clients of consoles just go.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
        other => other,
    }
}

/// The connection, and what was read from it too early.
struct Line<'a, S> {
    stream: &'a mut S,
    buffer: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<'_, S> {
    /// Reads so many bytes.
    async fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        let known = self.buffer.len().min(N);
        bytes[..known].copy_from_slice(&self.buffer.split_to(known));
        self.stream.read_exact(&mut bytes[known..]).await?;
        Ok(bytes)
    }

    /// Reads so many bytes that mean nothing here.
    async fn skip(&mut self, mut count: u64) -> io::Result<()> {
        while count > 0 {
            if self.buffer.is_empty() {
                self.fill().await?;
            }
            let known = (self.buffer.len() as u64).min(count);
            let _ = self.buffer.split_to(known as usize);
            count -= known;
        }
        Ok(())
    }

    /// Reads what has come, at least one byte.
    async fn some(&mut self) -> io::Result<BytesMut> {
        if self.buffer.is_empty() {
            self.fill().await?;
        }
        Ok(self.buffer.split())
    }

    async fn fill(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }
}
