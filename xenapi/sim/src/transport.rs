//! Requests that never leave the process.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use xenapi::transport::{BodyStream, RequestBody, Transport, TransportError};

use crate::dispatch::Origin;
use crate::http::{Body, Broken, Reply, Request, Upload, answer};
use crate::state::Shared;

/// A [`Transport`] to a simulated pool in the same process; see [`Simulator::transport`](crate::Simulator::transport).
///
/// It carries requests and replies and has no connection that could become something else: `CONNECT /console` is
/// answered with 501 here, and with the console where the pool [listens](crate::Simulator::listen_tls).
#[derive(Clone, Debug)]
pub struct SimTransport {
    pub(crate) shared: Arc<Shared>,
    pub(crate) addresses: Arc<[String]>,
}

impl SimTransport {
    async fn carry(&self, request: http::Request<RequestBody>) -> Result<http::Response<BodyStream>, TransportError> {
        let (head, body) = request.into_parts();
        let address = head.uri.host().unwrap_or_default();
        let host = self.addresses.iter().position(|known| known == address);
        let host = host.filter(|host| self.shared.with(|state| !state.unreachable.contains(host)));
        let Some(host) = host else {
            return Err(TransportError::Unreachable(format!(
                "no host of the simulated pool answers at {address:?}"
            )));
        };
        let origin = Origin {
            host,
            scheme: "https",
            addresses: Arc::clone(&self.addresses),
        };
        let value = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
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
        let request = Request {
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
            body: whole,
            unreadable: None,
        };
        respond(answer(&self.shared, &origin, request, upload).await)
    }
}

impl Transport for SimTransport {
    fn send(
        &self,
        request: http::Request<RequestBody>,
    ) -> BoxFuture<'_, Result<http::Response<BodyStream>, TransportError>> {
        self.carry(request).boxed()
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
