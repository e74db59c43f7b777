//! Asking the server, with the client and around it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use http::Method;
use xenapi::transport::Transport;
use xenapi::wire::{self, Encoding, ReplyError};
use xenapi::{Client, ToValue, Value};

/// The most bytes of a body that are read.
const MOST: usize = 256 << 20;
/// How long a request may take.
const LIMIT: Duration = Duration::from_secs(120);

/// The server that is checked.
#[derive(Debug)]
pub(super) struct Host {
    client: Client,
    url: String,
    transport: Arc<dyn Transport>,
}

/// An answer of a handler.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: http::HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    /// The beginning of the body, for people.
    pub(super) fn excerpt(&self) -> String {
        let start = &self.body[..self.body.len().min(200)];
        String::from_utf8_lossy(start).into_owned()
    }
}

impl Host {
    pub(super) fn new(client: Client, url: String, transport: Arc<dyn Transport>) -> Self {
        let url = url.trim_end_matches('/').to_owned();
        Self { client, url, transport }
    }

    /// A call in the client's session that must succeed.
    pub(super) async fn call(&self, method: &str, params: impl IntoIterator<Item = Value>) -> Result<Value, String> {
        self.client
            .call(method, params)
            .await
            .map_err(|error| format!("{method}: {error}"))
    }

    /// A call in the client's session; the code and the parameters of its refusal.
    pub(super) async fn attempt(&self, method: &str, params: Vec<Value>) -> Result<Result<Value, Vec<String>>, String> {
        self.in_session(Encoding::Json, method, params).await
    }

    /// The same in either encoding.
    pub(super) async fn in_session(
        &self,
        encoding: Encoding,
        method: &str,
        params: Vec<Value>,
    ) -> Result<Result<Value, Vec<String>>, String> {
        let session = self.session();
        let params = std::iter::once(session.to_value()).chain(params).collect();
        let mut answer = self.raw(encoding, method, params).await?;
        if let Err(error) = &mut answer {
            // A reason can end up in the log of a build.
            for param in error.iter_mut().filter(|param| **param == session) {
                "(hidden)".clone_into(param);
            }
        }
        Ok(answer)
    }

    /// A call without anything added to it, in either encoding.
    pub(super) async fn raw(
        &self,
        encoding: Encoding,
        method: &str,
        params: Vec<Value>,
    ) -> Result<Result<Value, Vec<String>>, String> {
        let (path, content_type, body) = match encoding {
            Encoding::Json => ("/jsonrpc", "application/json", wire::json::request(method, &params, 1)),
            _ => ("/RPC2", "text/xml", wire::xml::request(method, &params)),
        };
        let body = body.map_err(|error| format!("{method}: {error}"))?;
        let request = http::Request::post(format!("{}{path}", self.url))
            .header("content-type", content_type)
            .header("content-length", body.len())
            .body(body.into())
            .map_err(|error| error.to_string())?;
        let answer = self.send(request).await?;
        if answer.status != 200 {
            return Err(format!("{method}: HTTP {}: {}", answer.status, answer.excerpt()));
        }
        match wire::decode_reply(encoding, &answer.body) {
            Ok(value) => Ok(Ok(value)),
            Err(ReplyError::Api { code, params }) => Ok(Err(std::iter::once(code).chain(params).collect())),
            Err(ReplyError::Decode(error)) => Err(format!("{method}: {}", error.redacted())),
        }
    }

    /// A `GET` of a path with its query, in the client's session.
    pub(super) async fn get(&self, target: &str) -> Result<Answer, String> {
        let separator = if target.contains('?') { '&' } else { '?' };
        self.get_as_is(&format!("{target}{separator}session_id={}", self.session()))
            .await
    }

    /// A `GET` of exactly this.
    pub(super) async fn get_as_is(&self, target: &str) -> Result<Answer, String> {
        let request = http::Request::builder()
            .method(Method::GET)
            .uri(format!("{}{target}", self.url))
            .body(Vec::new().into())
            .map_err(|error| error.to_string())?;
        self.send(request).await
    }

    async fn send(&self, request: http::Request<xenapi::transport::RequestBody>) -> Result<Answer, String> {
        let path = request.uri().path().to_owned();
        let read = async {
            let response = self.transport.send(request).await?;
            let (head, body) = response.into_parts();
            let body = body.try_fold(Vec::new(), async |mut body, piece| {
                // More is not needed to tell what it is.
                if body.len() < MOST {
                    body.extend_from_slice(&piece);
                }
                Ok(body)
            });
            Ok(Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                body: body.await?,
            })
        };
        let answer = tokio::time::timeout(LIMIT, read).await;
        let answer = answer.map_err(|_| format!("{path}: no answer within {LIMIT:?}"))?;
        answer.map_err(|error: xenapi::transport::TransportError| format!("{path}: {error}"))
    }

    fn session(&self) -> String {
        self.client.session_reference().expose().to_owned()
    }

    /// The reference of the only pool.
    pub(super) async fn pool(&self) -> Result<String, String> {
        let pools = self.call("pool.get_all", []).await?;
        let first = pools.as_array().and_then(|pools| pools.first()?.as_str());
        first
            .map(str::to_owned)
            .ok_or_else(|| format!("pool.get_all: {pools:?}"))
    }

    /// The coordinator's reference.
    pub(super) async fn coordinator(&self) -> Result<String, String> {
        let pool = self.pool().await?;
        let host = self.call("pool.get_master", [pool.to_value()]).await?;
        host.as_str()
            .map(str::to_owned)
            .ok_or_else(|| format!("pool.get_master: {host:?}"))
    }
}

/// A member of a struct that must be text.
pub(super) fn text<'a>(value: &'a Value, member: &str) -> Result<&'a str, String> {
    let found = value.get(member).and_then(Value::as_str);
    found.ok_or_else(|| format!("no text {member:?} in {value:?}"))
}
