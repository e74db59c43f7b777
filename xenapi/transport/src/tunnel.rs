//! `CONNECT` to a handler of a host: a connection of its own that stays when the response's head is through.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::http_client::{CONNECT_LIMIT, causes};
use super::socket::connect;
use super::{Duplex, TransportError};

/// The longest head of a response.
const MOST_OF_A_HEAD: usize = 16 << 10;
const MOST_HEADERS: usize = 64;

type Response = http::Response<Box<dyn Duplex>>;

pub(super) async fn open(request: http::Request<()>, port: u16, tls: ClientConfig) -> Result<Response, TransportError> {
    let head = head(&request);
    let tls = (request.uri().scheme_str() != Some("http")).then(|| Arc::new(tls));
    let connecting = connect(request.uri(), port, tls);
    let stream = tokio::time::timeout(CONNECT_LIMIT, connecting)
        .await
        .map_err(|_| TransportError::Unreachable(format!("no connection within {CONNECT_LIMIT:?}")))??;
    exchange(stream, &head).await
}

fn broken(error: &io::Error) -> TransportError {
    TransportError::Broken(causes(error))
}

/// HTTP/1.0, as it is what the consoles of all releases are asked in, and no body of it comes in chunks.
fn head(request: &http::Request<()>) -> Vec<u8> {
    let uri = request.uri();
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let mut head = format!("{} {path} HTTP/1.0\r\nHost: {authority}\r\n", request.method()).into_bytes();
    for (name, value) in request.headers() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

async fn exchange(mut stream: Box<dyn Duplex>, head: &[u8]) -> Result<Response, TransportError> {
    stream.write_all(head).await.map_err(|error| broken(&error))?;
    stream.flush().await.map_err(|error| broken(&error))?;
    let mut received = BytesMut::with_capacity(1 << 10);
    loop {
        let read = stream.read_buf(&mut received).await.map_err(|error| broken(&error))?;
        if let Some((head, length)) = parse(&received)? {
            received.advance(length);
            let tunnel = Tunnel {
                early: received,
                stream,
            };
            return Ok(http::Response::from_parts(head, Box::new(tunnel)));
        }
        if read == 0 {
            return Err(TransportError::Broken(
                "the host closed the connection without an answer".to_owned(),
            ));
        }
        if received.len() > MOST_OF_A_HEAD {
            return Err(TransportError::Broken("the head of the answer does not end".to_owned()));
        }
    }
}

/// The head that the bytes begin with, and its length; `None` while its end is missing.
fn parse(bytes: &[u8]) -> Result<Option<(http::response::Parts, usize)>, TransportError> {
    let foreign = |reason: String| TransportError::Broken(format!("the answer is no HTTP: {reason}"));
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(foreign(error.to_string())),
    };
    let mut response = http::Response::builder().status(head.code.unwrap_or_default());
    for header in head.headers.iter() {
        response = response.header(header.name, header.value);
    }
    let response = response.body(()).map_err(|error| foreign(error.to_string()))?;
    Ok(Some((response.into_parts().0, length)))
}

/// A connection of which some was read already.
struct Tunnel {
    early: BytesMut,
    stream: Box<dyn Duplex>,
}

impl AsyncRead for Tunnel {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.early.is_empty() {
            let length = self.early.len().min(into.remaining());
            into.put_slice(&self.early[..length]);
            self.early.advance(length);
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut self.stream).poll_read(context, into) {
            // Hosts close the connection without taking leave of TLS.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            polled => polled,
        }
    }
}

impl AsyncWrite for Tunnel {
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

#[cfg(test)]
mod tests;
