//! One request to one host, and its answer.

use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use futures_core::future::BoxFuture;
use futures_util::TryStreamExt;

use super::failure::{failed, http_error};
use super::reply::Reply;
use super::{Connection, EncodingChoice};
use crate::transport::{BodyStream, Fingerprint, RequestBody};
use crate::wire::{Encoding, MAX_REQUEST_BYTES, Value};
use crate::{Error, Result, SecretString};

/// With the request header, a member adds the coordinator's certificate to its refusal: what carries a pin over.
const ASK_THUMBPRINT: &str = "x-xenapi-request-host-certificate-thumbprint";
const THUMBPRINT: &str = "x-xenapi-response-host-certificate-thumbprint";

impl Connection {
    /// Sends a message to a host. A server that does not know JSON-RPC is asked again in XML-RPC, where the choice is
    /// left to this crate.
    pub(super) fn exchange<'a>(
        &'a self,
        base: &'a http::Uri,
        encoding: Encoding,
        method: &'a str,
        params: &'a [Value],
    ) -> BoxFuture<'a, Result<Sent>> {
        Box::pin(self.ask(base, encoding, method, params))
    }

    async fn ask(&self, base: &http::Uri, encoding: Encoding, method: &str, params: &[Value]) -> Result<Sent> {
        let sent = self.post(base, encoding, method, params).await?;
        if encoding == Encoding::Json && self.inner.encoding == EncodingChoice::Auto && sent.knows_no_json() {
            return self.post(base, Encoding::Xml, method, params).await;
        }
        Ok(sent)
    }

    async fn post(&self, base: &http::Uri, encoding: Encoding, method: &str, params: &[Value]) -> Result<Sent> {
        let id = self.inner.next_id.fetch_add(1, Ordering::Relaxed);
        let request = request(base, encoding, method, params, id, |request| {
            self.trace(request.header(http::header::USER_AGENT, self.user_agent()))
        })?;
        tracing::trace!(method, host = base.host(), "calling");
        let response = self
            .transport()
            .send(request)
            .await
            .map_err(|error| failed(method, base, error))?;
        let (head, body) = response.into_parts();
        let body = collect(body, self.inner.most_reply_bytes, method, base).await?;
        Ok(Sent { encoding, head, body })
    }
}

/// The HTTP request of a call.
pub(super) fn request(
    base: &http::Uri,
    encoding: Encoding,
    method: &str,
    params: &[Value],
    id: u64,
    signed: impl FnOnce(http::request::Builder) -> http::request::Builder,
) -> Result<http::Request<RequestBody>> {
    let unsendable = |reason: String| Error::Unsendable {
        method: method.into(),
        reason: reason.into(),
    };
    let body = encoding
        .request(method, params, id)
        .map_err(|error| unsendable(error.to_string()))?;
    if body.len() > MAX_REQUEST_BYTES {
        return Err(unsendable(format!(
            "it has {} bytes, and the server takes at most {MAX_REQUEST_BYTES}",
            body.len()
        )));
    }
    let authority = base.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let uri = http::Uri::builder()
        .scheme(base.scheme_str().unwrap_or("https"))
        .authority(authority)
        .path_and_query(encoding.path());
    let head = http::Request::post(uri.build().map_err(|error| unsendable(error.to_string()))?);
    signed(head)
        .header(http::header::CONTENT_TYPE, encoding.media_type())
        .header(http::header::CONTENT_LENGTH, body.len())
        .header(ASK_THUMBPRINT, "sha-256:master")
        .body(RequestBody::Whole(body.into()))
        .map_err(|error| unsendable(error.to_string()))
}

async fn collect(mut body: BodyStream, most: u64, method: &str, base: &http::Uri) -> Result<Bytes> {
    let mut first: Option<Bytes> = None;
    let mut joined = BytesMut::new();
    while let Some(piece) = body.try_next().await.map_err(|error| failed(method, base, error))? {
        let held = first.as_ref().map_or(joined.len(), Bytes::len);
        if held as u64 + piece.len() as u64 > most {
            let reason = format!("the reply is longer than the limit of {most} bytes");
            return Err(Error::unanswered(method, reason));
        }
        if joined.is_empty() && first.is_none() {
            first = Some(piece);
            continue;
        }
        if let Some(first) = first.take() {
            joined.extend_from_slice(&first);
        }
        joined.extend_from_slice(&piece);
    }
    Ok(first.unwrap_or_else(|| joined.freeze()))
}

/// An answer at the level of HTTP.
pub(super) struct Sent {
    pub(super) encoding: Encoding,
    head: http::response::Parts,
    body: Bytes,
}

impl Sent {
    /// A server older than JSON-RPC takes the request for XML, and says in XML that it is none.
    fn knows_no_json(&self) -> bool {
        let is_xml = self.header(http::header::CONTENT_TYPE.as_str());
        is_xml.is_some_and(|media_type| media_type.starts_with("text/xml"))
            || matches!(
                self.head.status,
                http::StatusCode::FORBIDDEN | http::StatusCode::NOT_FOUND | http::StatusCode::METHOD_NOT_ALLOWED
            )
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// The coordinator's certificate, where a member named the coordinator.
    pub(super) fn coordinator_fingerprint(&self) -> Option<Fingerprint> {
        self.header(THUMBPRINT)?.parse().ok()
    }

    /// The reply in the body, where the status says that there is one. No error of it will repeat the secrets.
    pub(super) fn reply(self, method: &str, secrets: Vec<SecretString>) -> Result<Reply> {
        if !self.head.status.is_success() {
            let secrets: Vec<_> = secrets.iter().collect();
            return Err(http_error(method, self.head.status.as_u16(), &self.body, &secrets));
        }
        Ok(Reply {
            method: method.into(),
            encoding: self.encoding,
            body: self.body,
            secrets,
        })
    }
}
