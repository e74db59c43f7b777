//! A small HTTP/1 server.
//!
//! It is written out, in place of one of hyper's, because the simulator owes its users what xapi does on the wire and
//! a good server refuses to do: bodies of HTTP/1.1 without length or chunks, a second response inside a body, headers
//! without a space, connections reset half-way.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use xenapi::wire::MAX_REQUEST_BYTES;

use super::message::{Body, Broken, Reply, Request};
use super::upload::Upload;
use super::{answer, console, pages};
use crate::dispatch::Origin;
use crate::state::Shared;

/// The longest head of a request.
const MAX_HEAD: usize = 64 << 10;
const MAX_HEADERS: usize = 100;
/// How much of an upload is read at a time.
const PIECE: usize = 64 << 10;
/// How long a closing connection still takes what the client sends, so that the reply is not lost to a reset.
const LINGER: Duration = Duration::from_millis(200);

/// A port of one host.
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) origin: Origin,
}

/// Accepts connections until it is dropped, and drops them with it.
pub(crate) async fn serve(shared: Arc<Shared>, listener: Listener) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.socket.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((socket, _)) = accepted else {
            // Out of descriptors, for example: others may end soon.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let reachable = shared.with(|state| {
            state.counters.connections += 1;
            !state.unreachable.contains(&listener.origin.host)
        });
        if !reachable {
            socket.abort();
            continue;
        }
        let _ = socket.set_nodelay(true);
        let (shared, origin, tls) = (Arc::clone(&shared), listener.origin.clone(), listener.tls.clone());
        connections.spawn(async move {
            // An error here is the client's business: it sees its connection end.
            let _ = match tls {
                Some(tls) => match tls.accept(socket).await {
                    Ok(stream) => talk(shared, origin, stream).await,
                    Err(error) => Err(error),
                },
                None => talk(shared, origin, socket).await,
            };
        });
    }
}

/// A connection that can be ended with a reset.
pub(crate) trait Abort {
    /// Has the end of the connection be a reset.
    fn abort(&self);
}

impl Abort for TcpStream {
    fn abort(&self) {
        // Without lingering a close is a reset; where that cannot be set it is a plain close.
        let _ = self.set_zero_linger();
    }
}

impl Abort for TlsStream<TcpStream> {
    fn abort(&self) {
        self.get_ref().0.abort();
    }
}

async fn talk<S: AsyncRead + AsyncWrite + Abort + Unpin>(
    shared: Arc<Shared>,
    origin: Origin,
    mut stream: S,
) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        let request = match read_request(&mut stream, &mut buffer).await? {
            Incoming::Request(request) => request,
            Incoming::Refused(refusal) => return refuse(&mut stream, *refusal, false).await,
            Incoming::End => return Ok(()),
        };
        if shared.with(|state| state.check_reachable(origin.host).is_err()) {
            stream.abort();
            return Ok(());
        }
        if request.method == "PUT" {
            return take_upload(shared, origin, stream, request, buffer).await;
        }
        if console::is_wanted(&request) {
            let console = match console::open(&shared, &origin, &request).await {
                Ok(console) => console,
                Err(refusal) => return refuse(&mut stream, refusal, request.old).await,
            };
            write_reply(&mut stream, console::accepted(), request.old).await?;
            console::serve(&shared, console, &mut stream, buffer).await?;
            return close_gently(&mut stream).await;
        }
        let (keeps_alive, old, unread) = (request.keeps_alive(), request.old, request.unreadable.is_some());
        let reply = answer(&shared, &origin, request, Upload::none()).await;
        let close = reply.close || !keeps_alive || unread;
        match write_reply(&mut stream, reply, old).await? {
            Some(Broken::Reset) => {
                stream.abort();
                return Ok(());
            }
            Some(Broken::Closed) => return Ok(()),
            None if close => return close_gently(&mut stream).await,
            None => {}
        }
    }
}

/// Answers a request whose body is read while it is answered. The connection ends with it.
async fn take_upload<S: AsyncRead + AsyncWrite + Abort + Unpin>(
    shared: Arc<Shared>,
    origin: Origin,
    stream: S,
    request: Request,
    buffer: BytesMut,
) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel(1);
    let length = request.content_length();
    let upload = Upload::from_socket(receiver, length);
    let old = request.old;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let written = {
        let send = async {
            let reply = answer(&shared, &origin, request, upload).await;
            write_reply(&mut writer, reply, old).await
        };
        let mut send = pin!(send);
        tokio::select! {
            written = &mut send => written,
            () = receive(&mut reader, buffer, sender) => send.await,
        }
    };
    let mut stream = reader.unsplit(writer);
    match written? {
        Some(Broken::Reset) => stream.abort(),
        Some(Broken::Closed) => {}
        None => close_gently(&mut stream).await?,
    }
    Ok(())
}

/// Hands on what a client sends, until it stops or nobody wants more.
async fn receive<S: AsyncRead + Unpin>(stream: &mut S, mut buffer: BytesMut, sender: mpsc::Sender<Bytes>) {
    loop {
        if !buffer.is_empty() && sender.send(buffer.split().freeze()).await.is_err() {
            return;
        }
        buffer.reserve(PIECE);
        match stream.read_buf(&mut buffer).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
    }
}

async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, reply: Reply, old: bool) -> io::Result<()> {
    write_reply(stream, reply, old).await?;
    close_gently(stream).await
}

async fn close_gently<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> io::Result<()> {
    stream.shutdown().await?;
    let mut rest = [0; 4096];
    let drained = async { while stream.read(&mut rest).await.is_ok_and(|count| count > 0) {} };
    let _ = tokio::time::timeout(LINGER, drained).await;
    Ok(())
}

enum Incoming {
    Request(Request),
    Refused(Box<Reply>),
    End,
}

/// Reads one request; what comes after it stays in the buffer.
async fn read_request<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut BytesMut) -> io::Result<Incoming> {
    let mut request = loop {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        match head.parse(buffer) {
            Ok(httparse::Status::Complete(length)) => {
                let request = Request {
                    method: head.method.unwrap_or_default().to_owned(),
                    target: head.path.unwrap_or_default().to_owned(),
                    old: head.version == Some(0),
                    headers: head
                        .headers
                        .iter()
                        .map(|header| {
                            let value = String::from_utf8_lossy(header.value).trim().to_owned();
                            (header.name.to_ascii_lowercase(), value)
                        })
                        .collect(),
                    ..Request::default()
                };
                buffer.advance(length);
                break request;
            }
            Ok(httparse::Status::Partial) if buffer.len() > MAX_HEAD => {
                return Ok(Incoming::Refused(Box::new(pages::headers_too_large())));
            }
            Ok(httparse::Status::Partial) => {}
            Err(_) => return Ok(Incoming::Refused(Box::new(pages::bad_request()))),
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(Incoming::End);
        }
    };
    let length = request.content_length();
    match (request.method.as_str(), length) {
        ("PUT", _) => {}
        ("POST", Some(length)) if length <= MAX_REQUEST_BYTES as u64 => {
            let length = length as usize;
            while buffer.len() < length {
                if stream.read_buf(buffer).await? == 0 {
                    return Ok(Incoming::End);
                }
            }
            request.body = buffer.split_to(length).freeze();
        }
        ("POST", Some(_)) => request.unreadable = Some("Http_svr.Client_requested_size_over_limit"),
        ("POST", None) => request.unreadable = Some("Failure(\"We require a content-length\")"),
        // Bodies of other methods are not read; the connection ends after the answer.
        (_, Some(1..)) => request.unreadable = Some("Http_svr.Unread_body"),
        _ if request.header("transfer-encoding").is_some() => request.unreadable = Some("Http_svr.Unread_body"),
        _ => {}
    }
    Ok(Incoming::Request(request))
}

/// Writes a reply; answers with how it broke off where it did.
async fn write_reply<S: AsyncWrite + Unpin>(stream: &mut S, reply: Reply, old: bool) -> io::Result<Option<Broken>> {
    let version = if old || reply.old { "1.0" } else { "1.1" };
    let head = reply.head(version);
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await?;
    match reply.body {
        Body::Full(body) if reply.reset => {
            stream.write_all(&body[..body.len() / 2]).await?;
            stream.flush().await?;
            return Ok(Some(Broken::Reset));
        }
        Body::Full(body) => write_body(stream, &body).await?,
        Body::Stream(mut pieces) => {
            while let Some(piece) = pieces.next().await {
                match piece {
                    Ok(piece) => write_body(stream, &piece).await?,
                    Err(broken) => return Ok(Some(broken)),
                }
            }
        }
    }
    Ok(None)
}

async fn write_body<S: AsyncWrite + Unpin>(stream: &mut S, body: &Bytes) -> io::Result<()> {
    stream.write_all(body).await?;
    stream.flush().await
}
