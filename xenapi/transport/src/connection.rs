//! Connections of our own, for what a common HTTP client does too slowly: downloads without a length, gigabytes long.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::socket::connect;
use super::{BodyStream, Duplex, TransportError};

/// How much is handed on at once.
const PIECE: usize = 256 << 10;
/// The longest head of a response.
const LONGEST_HEAD: usize = 64 << 10;
const MOST_HEADERS: usize = 100;

/// Sends a GET on a new connection, in HTTP/1.0, where a body has a length or ends with the connection.
pub(super) async fn get(
    head: &http::request::Parts,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
    limit: Duration,
) -> Result<http::Response<BodyStream>, TransportError> {
    let connected = tokio::time::timeout(limit, connect(&head.uri, port, tls));
    let mut stream = connected
        .await
        .map_err(|_| TransportError::Unreachable(format!("no connection within {limit:?}")))??;
    let request = written(head)?;
    stream.write_all(&request).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let (answer, rest) = read_head(&mut stream).await?;
    let left = answer
        .headers()
        .get(http::header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    let body = Body {
        stream,
        held: rest,
        left,
        ended: None,
    };
    Ok(answer.map(|()| Box::pin(body) as BodyStream))
}

fn broken(error: io::Error) -> TransportError {
    TransportError::Broken(error.to_string())
}

fn written(head: &http::request::Parts) -> Result<Vec<u8>, TransportError> {
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let authority = head
        .uri
        .authority()
        .map(http::uri::Authority::as_str)
        .unwrap_or_default();
    let mut request = format!("GET {target} HTTP/1.0\r\nhost: {authority}\r\n").into_bytes();
    for (name, value) in &head.headers {
        request.extend_from_slice(name.as_str().as_bytes());
        request.extend_from_slice(b": ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    Ok(request)
}

/// The head of the response, and what came with it of the body.
async fn read_head(stream: &mut Box<dyn Duplex>) -> Result<(http::Response<()>, BytesMut), TransportError> {
    let mut read = BytesMut::with_capacity(8 << 10);
    loop {
        if let Some((length, answer)) = parsed(&read)? {
            return Ok((answer, read.split_off(length)));
        }
        if read.len() > LONGEST_HEAD {
            return Err(TransportError::Broken("the head of the answer has no end".to_owned()));
        }
        if stream.read_buf(&mut read).await.map_err(broken)? == 0 {
            return Err(TransportError::Broken(
                "the connection was closed before an answer".to_owned(),
            ));
        }
    }
}

fn parsed(read: &[u8]) -> Result<Option<(usize, http::Response<()>)>, TransportError> {
    let strange = |error: String| TransportError::Broken(format!("the answer is not HTTP: {error}"));
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(read).map_err(|error| strange(error.to_string()))? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Ok(None),
    };
    let mut answer = http::Response::builder().status(response.code.unwrap_or_default());
    for header in response.headers {
        answer = answer.header(header.name, header.value);
    }
    let answer = answer.body(()).map_err(|error| strange(error.to_string()))?;
    Ok(Some((length, answer)))
}

/// What follows the head: as long as it says, or as the connection lasts.
struct Body {
    stream: Box<dyn Duplex>,
    held: BytesMut,
    left: Option<u64>,
    /// How the connection ended. The system tells of a reset once, so it is kept until all before it is handed on.
    ended: Option<io::Result<()>>,
}

impl Body {
    /// Fills the buffer with what is there.
    fn fill(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.held.reserve(PIECE);
        while self.held.len() < PIECE {
            let filled = self.held.len();
            // Nothing is lost with a future of this kind that is not polled again.
            self.ended = match pin!(self.stream.read_buf(&mut self.held)).poll(context) {
                Poll::Pending if filled == 0 => return Poll::Pending,
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => Some(Ok(())),
                Poll::Ready(Ok(_)) => continue,
                // A server that closes without saying so in TLS has closed all the same.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Some(Ok(())),
                Poll::Ready(Err(error)) => Some(Err(error)),
            };
            break;
        }
        Poll::Ready(())
    }

    /// What is wrong with the end, if anything; nothing comes after it.
    fn last_word(&mut self) -> Option<TransportError> {
        let left = self.left.replace(0);
        match self.ended.take()? {
            Err(error) => Some(broken(error)),
            Ok(()) => {
                left.map(|left| TransportError::Broken(format!("the connection was closed {left} bytes too early")))
            }
        }
    }
}

impl Stream for Body {
    type Item = Result<Bytes, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        let this = &mut *self;
        if this.left == Some(0) {
            return Poll::Ready(None);
        }
        if this.ended.is_none() {
            ready!(this.fill(context));
        }
        if this.held.is_empty() {
            return Poll::Ready(this.last_word().map(Err));
        }
        let mut piece = this.held.split().freeze();
        if let Some(left) = &mut this.left {
            piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= piece.len() as u64;
        }
        Poll::Ready(Some(Ok(piece)))
    }
}

#[cfg(test)]
mod tests;
