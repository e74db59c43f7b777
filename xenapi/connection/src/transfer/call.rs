//! Transfers that are not yet asked for.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::upload::OnSent;
use super::{Download, Handler, Source};
use crate::{Connection, DecodeError, Result, wire};

/// A download that is not yet asked for; awaiting it answers with the stream as soon as the server has begun.
#[derive(Debug)]
#[must_use = "a download is asked for only when it is awaited"]
pub struct DownloadCall {
    connection: Connection,
    handler: Handler,
    subject: String,
}

impl DownloadCall {
    /// A download from a handler; `subject` describes its task.
    pub fn new(connection: &Connection, subject: impl Into<String>, handler: Handler) -> Self {
        Self {
            connection: connection.clone(),
            handler,
            subject: subject.into(),
        }
    }

    /// Appends a parameter of the handler.
    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.handler = self.handler.query(name, value);
        self
    }

    /// How long the server may send nothing before the transfer is given up; five minutes by default.
    pub fn silence_limit(mut self, limit: Duration) -> Self {
        self.handler = self.handler.silence(limit);
        self
    }

    async fn begin(self) -> Result<Download> {
        self.handler.download(&self.connection, self.subject).await
    }
}

impl IntoFuture for DownloadCall {
    type Output = Result<Download>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Download>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.begin())
    }
}

/// An upload that is not yet begun; awaiting it sends everything, waits for the server to have dealt with it, and
/// answers with what came of it.
///
/// The task decides: a server that took all bytes can still fail, and one that closes the connection roughly can have
/// succeeded. Dropping the future closes the connection and cancels the task.
#[must_use = "an upload begins only when it is awaited"]
pub struct UploadCall<T> {
    connection: Connection,
    handler: Handler,
    subject: String,
    source: Source,
    on_sent: Option<OnSent>,
    result: PhantomData<fn() -> T>,
}

impl<T> UploadCall<T> {
    /// An upload to a handler; `subject` describes its task, and `T` is the result of the task.
    pub fn new(connection: &Connection, subject: impl Into<String>, handler: Handler, source: Source) -> Self {
        Self {
            connection: connection.clone(),
            handler,
            subject: subject.into(),
            source,
            on_sent: None,
            result: PhantomData,
        }
    }

    /// Appends a parameter of the handler.
    pub fn query(mut self, name: impl Into<std::borrow::Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.handler = self.handler.query(name, value);
        self
    }

    /// Called about four times a second with the number of bytes that have gone out.
    pub fn on_sent(mut self, report: impl FnMut(u64) + Send + 'static) -> Self {
        self.on_sent = Some(Box::new(report));
        self
    }

    /// How long the server may take nothing while its task does not move either, before the transfer is given up; five
    /// minutes by default. It waits forever for the rest of an archive that breaks off.
    pub fn silence_limit(mut self, limit: Duration) -> Self {
        self.handler = self.handler.silence(limit);
        self
    }
}

impl<T: DeserializeOwned> UploadCall<T> {
    async fn send(self) -> Result<T> {
        let path = self.handler.path();
        let sent = self
            .handler
            .upload(&self.connection, self.subject, self.source, self.on_sent);
        wire::xml::from_value_text(&sent.await?.result).map_err(|source| DecodeError::new(path, source).into())
    }
}

impl<T: DeserializeOwned + 'static> IntoFuture for UploadCall<T> {
    type Output = Result<T>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl<T> fmt::Debug for UploadCall<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadCall")
            .field("handler", &self.handler)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
