//! Calls: what a generated method returns.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::wire::names_secret;
use crate::{Client, Result, SecretString, ToValue, Value};

/// What a call will send.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) params: Vec<Value>,
    /// Texts among the arguments that no error may repeat.
    pub(crate) secrets: Vec<SecretString>,
    pub(crate) timeout: Option<Duration>,
}

impl Request {
    pub(crate) fn new(method: impl Into<Method>) -> Self {
        Self {
            method: method.into(),
            params: Vec::new(),
            secrets: Vec::new(),
            timeout: None,
        }
    }

    /// Appends an argument. What in it is a secret by its name is noted as one.
    pub(crate) fn push(&mut self, value: Value) {
        if matches!(value, Value::Struct(_)) {
            collect_secrets(&value, false, &mut self.secrets);
        }
        self.params.push(value);
    }

    pub(crate) fn push_secret(&mut self, value: Value) {
        collect_secrets(&value, true, &mut self.secrets);
        self.params.push(value);
    }
}

/// The secret texts of an argument: itself, or the members of a map or record whose names say so.
fn collect_secrets(value: &Value, named: bool, secrets: &mut Vec<SecretString>) {
    match value {
        Value::String(text) if named && !text.is_empty() => secrets.push(SecretString::new(text.as_str())),
        Value::Struct(members) => {
            for (name, member) in members {
                // What a secret of the pool holds is called just that.
                let is_secret = names_secret(name) || named && name == "value";
                collect_secrets(member, is_secret, secrets);
            }
        }
        _ => {}
    }
}

/// The wire name of a message; static in generated code.
pub(crate) type Method = std::borrow::Cow<'static, str>;

type Running<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

enum State<T> {
    Ready(Client, Request),
    Running(Running<T>),
}

/// One call that is not yet sent; awaiting it sends it and answers with a `T`.
///
/// The future is `'static` and owns all it needs, so it can be spawned, joined or handed to [`bulk`](crate::bulk).
/// Dropping it before it is done gives up the wait, not what the server is doing.
#[must_use = "a call is sent only when it is awaited"]
pub struct Call<T> {
    state: State<T>,
}

impl<T> Call<T> {
    pub(crate) fn new(client: &Client, method: impl Into<Method>) -> Self {
        Self {
            state: State::Ready(client.clone(), Request::new(method)),
        }
    }

    pub(crate) fn ready(client: Client, request: Request) -> Self {
        Self {
            state: State::Ready(client, request),
        }
    }

    /// Appends an argument.
    pub(crate) fn arg(mut self, value: impl ToValue) -> Self {
        push(&mut self.state, value.to_value());
        self
    }

    /// Appends an argument that holds a password or a key, which no error may repeat.
    pub(crate) fn secret_arg(mut self, value: impl ToValue) -> Self {
        if let State::Ready(_, request) = &mut self.state {
            request.push_secret(value.to_value());
        }
        self
    }

    /// Gives up after this long, in place of the client's own limit, with [`Error::Timeout`](crate::Error::Timeout).
    pub fn timeout(mut self, limit: Duration) -> Self {
        if let State::Ready(_, request) = &mut self.state {
            request.timeout = Some(limit);
        }
        self
    }

    /// The wire name of the message, for example `VM.get_record`.
    pub fn method(&self) -> &str {
        match &self.state {
            State::Ready(_, request) => &request.method,
            State::Running(_) => "(sent)",
        }
    }
}

#[inline(never)]
fn push<T>(state: &mut State<T>, value: Value) {
    if let State::Ready(_, request) = state {
        request.push(value);
    }
}

impl<T: DeserializeOwned + Send + 'static> Future for Call<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        if let State::Ready(client, request) = &mut self.state {
            let (client, request) = (client.clone(), request.clone());
            self.state = State::Running(Box::pin(answer(client, request)));
        }
        match &mut self.state {
            State::Running(running) => running.as_mut().poll(context),
            State::Ready(..) => Poll::Pending,
        }
    }
}

async fn answer<T: DeserializeOwned + Send + 'static>(client: Client, request: Request) -> Result<T> {
    client.execute(request).await?.decode().await
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Call").field(&self.method()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Map;

    #[test]
    fn the_secrets_of_an_argument_are_known() {
        let mut request = Request::new("SR.create");
        let config: Map<String, String> = Map::from([("server", "nfs1"), ("cifspassword", "hunter2")]);
        request.push_secret(config.to_value());
        request.push_secret("key".to_value());
        let known: Vec<_> = request.secrets.iter().map(SecretString::expose).collect();
        assert_eq!(known, ["hunter2", "key"]);
    }
}
