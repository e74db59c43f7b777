//! Calls: what a message is sent with.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::request::Request;
use crate::wire::{ToValue, Value};
use crate::{Connection, Result};

type Running<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

enum State<T> {
    Ready(Connection, Request),
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
    /// A call of a message by its wire name, for example `VM.get_record`. The session is added.
    ///
    /// ```
    /// # async fn hosts(connection: &xenapi_connection::Connection) -> xenapi_connection::Result<()> {
    /// use xenapi_connection::Call;
    ///
    /// let hosts: Vec<String> = Call::new(connection, "host.get_all").await?;
    /// # Ok(()) }
    /// ```
    pub fn new(connection: &Connection, method: impl Into<Cow<'static, str>>) -> Self {
        Self {
            state: State::Ready(connection.clone(), Request::new(method)),
        }
    }

    pub(crate) fn ready(connection: Connection, request: Request) -> Self {
        Self {
            state: State::Ready(connection, request),
        }
    }

    /// Appends an argument. Methods of the typed bindings have appended theirs already.
    pub fn arg(mut self, value: impl ToValue) -> Self {
        push(&mut self.state, value.to_value());
        self
    }

    /// Appends an argument that holds a password or a key, which no error may repeat.
    pub fn secret_arg(mut self, value: impl ToValue) -> Self {
        if let State::Ready(_, request) = &mut self.state {
            request.push_secret(value.to_value());
        }
        self
    }

    /// Gives up after this long, in place of the connection's own limit, with [`Error::Timeout`](crate::Error::Timeout).
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
        if let State::Ready(connection, request) = &mut self.state {
            let (connection, request) = (connection.clone(), request.clone());
            self.state = State::Running(Box::pin(answer(connection, request)));
        }
        match &mut self.state {
            State::Running(running) => running.as_mut().poll(context),
            State::Ready(..) => Poll::Pending,
        }
    }
}

async fn answer<T: DeserializeOwned + Send + 'static>(connection: Connection, request: Request) -> Result<T> {
    connection.execute(request).await?.decode().await
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Call").field(&self.method()).finish()
    }
}
