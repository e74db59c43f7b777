//! Sending a call: the only place that does.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::{Client, Session};
use crate::call::Request;
use crate::error::{ApiError, DecodeError, HttpError, LostCall, Timeout, UntrustedCertificate};
use crate::transport::{BodyStream, TransportError};
use crate::wire::{self, Encoding, MAX_REQUEST_BYTES, ReplyError};
use crate::{Error, ErrorCode, Result, SecretString, ToValue, Value};

/// Replies above this are decoded away from the reactor.
const DECODED_IN_PLACE: usize = 1 << 20;
/// No error that sends a call elsewhere is longer than this.
const LONGEST_REFUSAL: usize = 4096;
/// How often a call logs in again or moves to another host before its error is believed.
const MOST_MOVES: usize = 3;

impl Client {
    pub(crate) async fn execute(&self, request: Request) -> Result<Reply> {
        let limit = request.timeout.unwrap_or(self.inner.timeout);
        let method = request.method.clone();
        match tokio::time::timeout(limit, self.attempt(request)).await {
            Ok(result) => result,
            Err(_) => Err(timed_out(&method, limit)),
        }
    }

    /// Holds what is no call of the user's to the client's own limit.
    pub(super) async fn limited<T>(&self, method: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let limit = self.inner.timeout;
        tokio::time::timeout(limit, work)
            .await
            .unwrap_or_else(|_| Err(timed_out(method, limit)))
    }

    async fn attempt(&self, request: Request) -> Result<Reply> {
        let mut moves = 0;
        loop {
            let session = self.current_session();
            let mut params = Vec::with_capacity(request.params.len() + 1);
            if takes_session(&request.method) {
                params.push(session.reference.expose().to_value());
            }
            params.extend(request.params.iter().cloned());
            let sent = self
                .post(&session.base, session.encoding, &request.method, &params, None)
                .await?;
            let secrets = request.secrets.clone();
            let reply = Reply {
                secrets,
                ..sent.reply(&request.method)?
            }
            .hiding(&session.reference);
            moves += 1;
            match reply.refusal() {
                Some((ErrorCode::SessionInvalid, which))
                    if moves <= MOST_MOVES && session.is(&which) && self.can_login_again() =>
                {
                    tracing::debug!(method = &*request.method, "the session is gone: logging in again");
                    self.login(&session).await?;
                }
                Some((ErrorCode::HostIsSlave, coordinator))
                    if moves <= MOST_MOVES && !concerns_another_pool(&request.method) =>
                {
                    tracing::debug!(coordinator, "the coordinator moved");
                    self.follow(&session, &coordinator).await?;
                }
                _ => return Ok(reply),
            }
        }
    }

    /// After HOST_IS_SLAVE: a login at the coordinator, or the foreign session taken there.
    async fn follow(&self, session: &Arc<Session>, coordinator: &str) -> Result<()> {
        if self.can_login_again() {
            self.login(session).await
        } else {
            self.move_to(session, coordinator)
        }
    }

    pub(super) async fn post(
        &self,
        base: &http::Uri,
        encoding: Encoding,
        method: &str,
        params: &[Value],
        header: Option<(&'static str, &'static str)>,
    ) -> Result<Sent> {
        let id = self.inner.next_id.fetch_add(1, Ordering::Relaxed);
        let mut request = request(base, encoding, method, params, id, self.user_agent())?;
        if let Some((name, value)) = header {
            request
                .headers_mut()
                .insert(name, http::HeaderValue::from_static(value));
        }
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
    user_agent: &str,
) -> Result<http::Request<Bytes>> {
    let unsendable = |reason: String| Error::Unsendable {
        method: method.into(),
        reason: reason.into(),
    };
    let (path, media_type, body) = match encoding {
        Encoding::Json => ("/jsonrpc", "application/json", wire::json::request(method, params, id)),
        Encoding::Xml => ("/RPC2", "text/xml", wire::xml::request(method, params)),
    };
    let body = body.map_err(|error| unsendable(error.to_string()))?;
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
        .path_and_query(path);
    http::Request::post(uri.build().map_err(|error| unsendable(error.to_string()))?)
        .header(http::header::CONTENT_TYPE, media_type)
        .header(http::header::CONTENT_LENGTH, body.len())
        .header(http::header::USER_AGENT, user_agent)
        .body(body.into())
        .map_err(|error| unsendable(error.to_string()))
}

async fn collect(mut body: BodyStream, most: u64, method: &str, base: &http::Uri) -> Result<Bytes> {
    let mut first: Option<Bytes> = None;
    let mut joined = BytesMut::new();
    while let Some(piece) = body.try_next().await.map_err(|error| failed(method, base, error))? {
        let held = first.as_ref().map_or(joined.len(), Bytes::len);
        if held as u64 + piece.len() as u64 > most {
            let reason = format!("the reply is longer than the limit of {most} bytes");
            return Err(Error::Interrupted(Box::new(LostCall {
                method: method.into(),
                reason: reason.into(),
                task: None,
            })));
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

/// What a failed request means for the call in it.
pub(crate) fn failed(method: &str, base: &http::Uri, error: TransportError) -> Error {
    match error {
        TransportError::Unreachable(reason) => {
            let host = base.authority().map(http::uri::Authority::as_str).unwrap_or_default();
            Error::Connect {
                host: host.into(),
                reason: reason.into(),
            }
        }
        TransportError::Untrusted(certificate) => untrusted(certificate),
        TransportError::Broken(reason) => {
            let lost = Box::new(LostCall {
                method: method.into(),
                reason: reason.into(),
                task: None,
            });
            if is_read(method) {
                Error::Interrupted(lost)
            } else {
                Error::Lost(lost)
            }
        }
    }
}

fn untrusted(certificate: Box<UntrustedCertificate>) -> Error {
    Error::Untrusted(certificate)
}

pub(crate) fn timed_out(method: &str, after: Duration) -> Error {
    Error::Timeout(Box::new(Timeout {
        method: method.into(),
        after,
        task: None,
    }))
}

/// Whether sending a message twice is the same as sending it once.
pub(crate) fn is_read(method: &str) -> bool {
    let name = method.split_once('.').map_or(method, |(_, name)| name);
    !method.starts_with("Async.")
        && (name.starts_with("get_") || method == "event.from" || method.starts_with("system."))
        || name.starts_with("login_with_password")
        || name.starts_with("slave_local_login")
}

/// Messages that talk to a second pool, whose refusals are not about this connection.
fn concerns_another_pool(method: &str) -> bool {
    ["pool.join", "migrate_send", "migrate_receive"]
        .iter()
        .any(|part| method.contains(part))
}

/// Whether a reply can hold a secret, so that no error may show a piece of it.
fn is_private(method: &str) -> bool {
    ["session.", "secret.", "auth."]
        .iter()
        .any(|class| method.contains(class))
        || method.contains("password")
}

/// All messages take the session first but those that make one.
fn takes_session(method: &str) -> bool {
    let name = method.strip_prefix("session.").unwrap_or_default();
    !method.starts_with("system.") && !name.starts_with("login_with") && !name.starts_with("slave_")
}

/// An answer at the level of HTTP.
pub(super) struct Sent {
    encoding: Encoding,
    head: http::response::Parts,
    body: Bytes,
}

impl Sent {
    pub(super) fn is_json(&self) -> bool {
        let media_type = self
            .head
            .headers
            .get(http::header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        media_type.is_some_and(|media_type| media_type.starts_with("application/json"))
    }

    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.head.headers.get(name)?.to_str().ok().map(str::to_owned)
    }

    /// The reply in the body, where the status says that there is one.
    pub(super) fn reply(self, method: &str) -> Result<Reply> {
        if !self.head.status.is_success() {
            return Err(http_error(method, self.head.status.as_u16(), &self.body));
        }
        Ok(Reply {
            method: method.into(),
            encoding: self.encoding,
            body: self.body,
            secrets: Vec::new(),
        })
    }
}

/// An HTTP status with what the server's little page says beside it.
pub(crate) fn http_error(request: &str, status: u16, page: &[u8]) -> Error {
    let text = String::from_utf8_lossy(&page[..page.len().min(1 << 12)]);
    let mut in_tag = false;
    let plain: String = text
        .chars()
        .filter(|&letter| {
            let keep = !in_tag && letter != '<';
            in_tag = letter == '<' || in_tag && letter != '>';
            keep
        })
        .collect();
    let detail: String = plain
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(200)
        .collect();
    Error::Http(Box::new(HttpError {
        request: request.into(),
        status,
        detail: detail.into(),
    }))
}

/// An answer at the level of XenAPI, not yet decoded.
#[derive(Debug)]
pub(crate) struct Reply {
    method: Box<str>,
    encoding: Encoding,
    body: Bytes,
    secrets: Vec<SecretString>,
}

impl Reply {
    /// The same reply, whose error will not repeat this text.
    pub(super) fn hiding(mut self, secret: &SecretString) -> Self {
        self.secrets.push(secret.clone());
        self
    }

    /// The error code and its first parameter, where this is a short failure.
    fn refusal(&self) -> Option<(ErrorCode, String)> {
        if self.body.len() > LONGEST_REFUSAL {
            return None;
        }
        match wire::decode_reply::<IgnoredAny>(self.encoding, &self.body) {
            Err(ReplyError::Api { code, params }) => Some((
                ErrorCode::from(code.as_str()),
                params.into_iter().next().unwrap_or_default(),
            )),
            _ => None,
        }
    }

    pub(crate) async fn decode<T: DeserializeOwned + Send + 'static>(self) -> Result<T> {
        if self.body.len() < DECODED_IN_PLACE {
            return self.decode_here();
        }
        let method = self.method.clone();
        match tokio::task::spawn_blocking(move || self.decode_here()).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Error::Interrupted(Box::new(LostCall {
                    method,
                    reason: "the runtime shut down before the reply was read".into(),
                    task: None,
                }))),
            },
        }
    }

    fn decode_here<T: DeserializeOwned + 'static>(&self) -> Result<T> {
        wire::decode_reply(self.encoding, &self.body).map_err(|error| match error {
            ReplyError::Api { code, params } => {
                Error::Api(Box::new(ApiError::new(&self.method, &code, params, &self.secrets)))
            }
            ReplyError::Decode(source) => {
                let source = if is_private(&self.method) {
                    source.redacted()
                } else {
                    source
                };
                Error::Decode(Box::new(DecodeError {
                    method: self.method.clone(),
                    source,
                }))
            }
        })
    }
}
