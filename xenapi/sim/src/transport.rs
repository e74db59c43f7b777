//! Requests that never leave the process.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::io::{AsyncWriteExt, DuplexStream};
use xenapi::transport::{BodyStream, Duplex, RequestBody, Transport, TransportError};

use crate::dispatch::Origin;
use crate::http::{Body, Broken, Reply, Request, Upload, answer, console};
use crate::state::Shared;

/// How much of a console's output waits for its reader, in bytes.
const CONSOLE_BUFFER: usize = 64 << 10;

/// A [`Transport`] to a simulated pool in the same process; see [`Simulator::transport`](crate::Simulator::transport).
///
/// It carries requests and replies, and the consoles of `CONNECT /console`.
#[derive(Clone, Debug)]
pub struct SimTransport {
    pub(crate) shared: Arc<Shared>,
    pub(crate) addresses: Arc<[String]>,
}

impl SimTransport {
    async fn carry(&self, request: http::Request<RequestBody>) -> Result<http::Response<BodyStream>, TransportError> {
        let (head, body) = request.into_parts();
        let origin = self.origin(&head)?;
        let uploads = head.method == http::Method::PUT;
        let (whole, upload) = match body {
            RequestBody::Whole(body) if uploads => (Bytes::new(), Upload::from_memory(body)),
            RequestBody::Whole(body) => (body, Upload::none()),
            RequestBody::Stream(pieces) => {
                let length = head.headers.get(http::header::CONTENT_LENGTH);
                let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
                (Bytes::new(), Upload::from_stream(pieces, length))
            }
        };
        let reply = answer(&self.shared, &origin, received(&head, whole), upload).await;
        respond(reply)
    }

    async fn open(&self, request: http::Request<()>) -> Result<http::Response<Box<dyn Duplex>>, TransportError> {
        let (head, ()) = request.into_parts();
        let origin = self.origin(&head)?;
        let (client, mut server) = tokio::io::duplex(CONSOLE_BUFFER);
        let request = received(&head, Bytes::new());
        let reply = if console::is_wanted(&request) {
            match console::open(&self.shared, &origin, &request).await {
                Ok(console) => {
                    let shared = Arc::clone(&self.shared);
                    tokio::spawn(async move {
                        // An error here is the client's business: it sees its connection end.
                        let _ = console::serve(&shared, console, &mut server, BytesMut::new()).await;
                    });
                    console::accepted()
                }
                Err(refusal) => paged(refusal, server),
            }
        } else {
            paged(answer(&self.shared, &origin, request, Upload::none()).await, server)
        };
        Ok(respond(reply)?.map(|_| Box::new(client) as Box<dyn Duplex>))
    }

    /// Where a request arrives.
    fn origin(&self, head: &http::request::Parts) -> Result<Origin, TransportError> {
        let address = head.uri.host().unwrap_or_default();
        let host = self.addresses.iter().position(|known| known == address);
        let host = host.filter(|host| self.shared.with(|state| !state.unreachable.contains(host)));
        let Some(host) = host else {
            return Err(TransportError::Unreachable(format!(
                "no host of the simulated pool answers at {address:?}"
            )));
        };
        Ok(Origin {
            host,
            scheme: "https",
            addresses: Arc::clone(&self.addresses),
        })
    }
}

fn received(head: &http::request::Parts, body: Bytes) -> Request {
    let value = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Request {
        method: head.method.to_string(),
        target: head
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str())
            .to_owned(),
        old: head.version == http::Version::HTTP_10,
        headers: head
            .headers
            .iter()
            .map(|(name, text)| (name.as_str().to_owned(), value(text)))
            .collect(),
        body,
        unreadable: None,
    }
}

/// Sends a refusal's page along the stream that became no console.
fn paged(refusal: Reply, mut server: DuplexStream) -> Reply {
    if let Body::Full(page) = &refusal.body {
        let page = page.clone();
        tokio::spawn(async move {
            // Who asked need not read why not.
            let _ = server.write_all(&page).await;
        });
    }
    refusal
}

impl Transport for SimTransport {
    fn send(
        &self,
        request: http::Request<RequestBody>,
    ) -> BoxFuture<'_, Result<http::Response<BodyStream>, TransportError>> {
        self.carry(request).boxed()
    }

    fn connect(
        &self,
        request: http::Request<()>,
    ) -> BoxFuture<'_, Result<http::Response<Box<dyn Duplex>>, TransportError>> {
        self.open(request).boxed()
    }
}

fn respond(reply: Reply) -> Result<http::Response<BodyStream>, TransportError> {
    let mut response = http::Response::builder().status(reply.status);
    if let Body::Full(body) = &reply.body {
        response = response.header("content-length", body.len());
    }
    for (name, value) in &reply.headers {
        response = response.header(name.trim_end_matches(':'), value);
    }
    let broken = |broken| {
        TransportError::Broken(match broken {
            Broken::Closed => "the connection was closed before the body ended".to_owned(),
            Broken::Reset => "the connection was reset".to_owned(),
        })
    };
    let body: BodyStream = match reply.body {
        Body::Full(body) if reply.reset => {
            let half = body.slice(..body.len() / 2);
            stream::iter([Ok(half), Err(broken(Broken::Reset))]).boxed()
        }
        Body::Full(body) => stream::iter((!body.is_empty()).then_some(Ok(body))).boxed(),
        Body::Stream(pieces) => pieces.map(move |piece| piece.map_err(broken)).boxed(),
    };
    response
        .body(body)
        .map_err(|error| TransportError::Broken(error.to_string()))
}
