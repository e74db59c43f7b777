//! A client just good enough to test the server.
#![allow(dead_code, unused_imports, reason = "every test binary uses a part of it")]

pub(crate) mod tls;

use futures_util::TryStreamExt;
use xenapi::transport::{RequestBody, Transport, TransportError};
use xenapi::wire::{self, Encoding, ReplyError};
use xenapi::{ToValue, Value};
use xenapi_sim::{Builder, SimTransport, Simulator};

/// Arguments of a call.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$(xenapi::ToValue::to_value(&$value)),*] };
}
pub(crate) use args;

pub(crate) const PASSWORD: &str = "xensource";

/// What a call fails with.
pub(crate) type Failure = Vec<String>;

/// A caller with a session.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) transport: SimTransport,
    pub(crate) url: String,
    pub(crate) encoding: Encoding,
    pub(crate) session: String,
}

impl Caller {
    pub(crate) fn new(pool: &Simulator, encoding: Encoding) -> Self {
        Self {
            transport: pool.transport(),
            url: pool.url(),
            encoding,
            session: String::new(),
        }
    }

    /// Sends a call without a session of its own.
    pub(crate) async fn raw(&self, method: &str, params: Vec<Value>) -> Result<Value, Failure> {
        let (path, body) = match self.encoding {
            Encoding::Json => ("/jsonrpc", wire::json::request(method, &params, 7)),
            _ => ("/", wire::xml::request(method, &params)),
        };
        let request = http::Request::post(format!("{}{path}", self.url))
            .body(body.unwrap().into())
            .unwrap();
        let (status, body) = fetch(&self.transport, request)
            .await
            .map_err(|error| vec![error.to_string()])?;
        if status != 200 {
            return Err(vec![status.to_string()]);
        }
        wire::decode_reply(self.encoding, &body).map_err(|error| match error {
            ReplyError::Api { code, params } => std::iter::once(code).chain(params).collect(),
            other => panic!("{method}: {other}: {}", String::from_utf8_lossy(&body)),
        })
    }

    pub(crate) async fn call(&self, method: &str, params: Vec<Value>) -> Result<Value, Failure> {
        let mut all = vec![self.session.to_value()];
        all.extend(params);
        self.raw(method, all).await
    }

    /// A call that must succeed.
    pub(crate) async fn ok(&self, method: &str, params: Vec<Value>) -> Value {
        self.call(method, params)
            .await
            .unwrap_or_else(|error| panic!("{method}: {error:?}"))
    }

    /// A call that must succeed and answers with text, a reference or an enum.
    pub(crate) async fn text(&self, method: &str, params: Vec<Value>) -> String {
        let value = self.ok(method, params).await;
        value
            .as_str()
            .unwrap_or_else(|| panic!("{method}: {value:?}"))
            .to_owned()
    }

    /// A call that must fail.
    pub(crate) async fn err(&self, method: &str, params: Vec<Value>) -> Failure {
        match self.call(method, params).await {
            Ok(value) => panic!("{method} succeeded with {value:?}"),
            Err(error) => error,
        }
    }

    pub(crate) async fn login(&mut self) {
        let session = self
            .raw("session.login_with_password", args!["root", PASSWORD, "1.0", "test"])
            .await
            .unwrap();
        self.session = session.as_str().unwrap().to_owned();
    }

    /// Waits until a task ends and answers with its status.
    pub(crate) async fn wait(&self, task: &str) -> String {
        loop {
            let status = self.text("task.get_status", args![task]).await;
            if status != "pending" {
                return status;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    /// All that happened to these classes since a token, and the next token.
    pub(crate) async fn events(&self, classes: &[&str], token: &str, seconds: f64) -> (Vec<Value>, String) {
        let classes: Vec<_> = classes.iter().map(|&class| class.to_owned()).collect();
        let batch = self.ok("event.from", args![classes, token, seconds]).await;
        let token = batch.get("token").and_then(Value::as_str).unwrap().to_owned();
        (batch.get("events").and_then(Value::as_array).unwrap().to_vec(), token)
    }
}

/// Class and operation of events, in order and without repetition.
pub(crate) fn kinds(events: &[Value]) -> Vec<(&str, &str)> {
    let mut kinds: Vec<_> = events
        .iter()
        .map(|event| (text(event, "class"), text(event, "operation")))
        .collect();
    kinds.dedup();
    kinds
}

pub(crate) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value
        .get(member)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("no {member} in {value:?}"))
}

/// A struct of texts.
pub(crate) fn record(members: &[(&str, Value)]) -> Value {
    Value::Struct(
        members
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
    )
}

pub(crate) fn empty() -> Value {
    Value::Struct(Vec::new())
}

/// Sends a request and reads the whole body.
pub(crate) async fn fetch(
    transport: &SimTransport,
    request: http::Request<RequestBody>,
) -> Result<(u16, Vec<u8>), TransportError> {
    let response = transport.send(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().try_fold(Vec::new(), async |mut body, piece| {
        body.extend_from_slice(&piece);
        Ok(body)
    });
    Ok((status, body.await?))
}

/// A pool and somebody who is logged in to it.
pub(crate) async fn pool(configure: impl FnOnce(Builder) -> Builder) -> (Simulator, Caller) {
    let pool = configure(Simulator::builder()).build().unwrap();
    let mut caller = Caller::new(&pool, Encoding::Json);
    caller.login().await;
    (pool, caller)
}
