//! Reaching a handler on the right host.

use std::borrow::Cow;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_core::future::BoxFuture;
use futures_util::TryStreamExt;

use super::task::TransferTask;
use super::upload::{OnSent, Parcel, Stop};
use super::{Download, Source};
use crate::connection::{failed, http_error};
use crate::tasks::TaskState;
use crate::transport::{BodyStream, RequestBody};
use crate::wire::{Object, Ref};
use crate::{Call, Connection, Error, Result, TaskClass};

/// How long a handler may be silent.
pub(super) const SILENCE: Duration = Duration::from_secs(300);

/// How often a transfer is sent on to another host.
const MOST_REDIRECTS: usize = 4;

/// How much of an error page is looked at.
pub(super) const MOST_OF_A_PAGE: usize = 1 << 12;

/// A handler that some host of the pool answers: its path and its query without session and task.
///
/// ```no_run
/// # async fn download(connection: &xenapi_connection::Connection) -> xenapi_connection::Result<()> {
/// use xenapi_connection::{DownloadCall, Handler};
///
/// let list = Handler::new("/services").fetch(connection, 1 << 20).await?;
/// let log = DownloadCall::new(connection, "audit log", Handler::new("/audit_log")).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Handler {
    pub(super) path: &'static str,
    pub(super) query: Vec<(Cow<'static, str>, String)>,
    /// The reference of the host to ask.
    pub(super) host: Option<String>,
    silence: Duration,
}

impl Handler {
    /// The handler of a path, such as `/export`.
    pub fn new(path: &'static str) -> Self {
        Self {
            path,
            query: Vec::new(),
            host: None,
            silence: SILENCE,
        }
    }

    pub(super) fn path(&self) -> &'static str {
        self.path
    }

    pub(super) fn silence(mut self, limit: Duration) -> Self {
        self.silence = limit;
        self
    }

    /// Appends a parameter.
    pub fn query(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Asks this host and no other: the handler speaks of the host that it runs on.
    pub fn at<H: Object>(mut self, host: Ref<H>) -> Self {
        self.host = Some(host.to_wire());
        self
    }

    /// Begins a download in a task of its own; `subject` is the task's description.
    pub(super) async fn download(&self, connection: &Connection, subject: String) -> Result<Download> {
        let task = TransferTask::create(connection, self.path, subject).await?;
        match self.get(connection, Some(task.reference)).await {
            Ok(response) => Ok(Download::new(response, task.begun(), self.silence)),
            Err(error) => Err(task.refusal(error).await),
        }
    }

    /// A small answer as a whole, without a task; of at most `most` bytes.
    ///
    /// # Errors
    /// As a download.
    pub fn fetch(self, connection: &Connection, most: usize) -> BoxFuture<'static, Result<Bytes>> {
        Box::pin(self.fetch_whole(connection.clone(), most))
    }

    async fn fetch_whole(self, connection: Connection, most: usize) -> Result<Bytes> {
        let response = match self.get(&connection, None).await {
            Err(Error::Http(refused)) if refused.status() == 401 && connection.can_log_in_again() => {
                // Handlers do not say what became of the session. A call does, and logs in again where it must.
                Call::<Vec<String>>::new(&connection, "pool.get_all").await?;
                self.get(&connection, None).await
            }
            answered => answered,
        };
        let mut body = response?.into_body();
        let mut whole = BytesMut::new();
        let base = &connection.current_session().base;
        loop {
            let piece = tokio::time::timeout(self.silence, body.try_next())
                .await
                .map_err(|_| Error::timed_out(self.path, self.silence))?
                .map_err(|error| failed(self.path, base, error))?;
            let Some(piece) = piece else {
                return Ok(whole.freeze());
            };
            if whole.len() + piece.len() > most {
                return Err(Error::unanswered(
                    self.path,
                    format!("the answer is longer than the limit of {most} bytes"),
                ));
            }
            whole.extend_from_slice(&piece);
        }
    }

    /// Sends a GET and follows redirects.
    async fn get(&self, connection: &Connection, task: Option<Ref<TaskClass>>) -> Result<http::Response<BodyStream>> {
        let mut base = self.first_host(connection).await?;
        for _ in 0..MOST_REDIRECTS {
            let request = self.request(connection, &base, task, RequestBody::Whole(Bytes::new()), None)?;
            let response = tokio::time::timeout(self.silence, connection.transport().send(request))
                .await
                .map_err(|_| in_task(Error::timed_out(self.path, self.silence), task))?
                .map_err(|error| in_task(failed(self.path, &base, error), task))?;
            if response.status().is_success() {
                return Ok(response);
            }
            if response.status().is_redirection() {
                base = self.redirected(connection, &base, response.headers()).await?;
                continue;
            }
            return Err(self.refused(connection, response).await);
        }
        Err(self.is_sent_around())
    }

    /// Uploads in a task of its own, and answers with how it ended.
    pub(super) async fn upload(
        &self,
        connection: &Connection,
        subject: String,
        source: Source,
        on_sent: Option<OnSent>,
    ) -> Result<TaskState> {
        let sent = self.send(connection, subject, source, on_sent).await;
        sent.map_err(Error::of_a_change)
    }

    async fn send(
        &self,
        connection: &Connection,
        subject: String,
        source: Source,
        on_sent: Option<OnSent>,
    ) -> Result<TaskState> {
        let task = TransferTask::create(connection, self.path, subject).await?;
        let mut parcel = Parcel::new(source, on_sent);
        let response = match self.put(connection, task.reference, &mut parcel).await {
            Ok(response) => response,
            Err(error) if parcel.is_opened() => {
                if let Some(reason) = parcel.failure() {
                    return Err(task.begun().broken_off(reason).await);
                }
                // The handler has seen some of it, and may know better what was wrong.
                let told = task.begun().verdict(Some(error.to_string()), self.silence).await;
                return Err(match told {
                    Err(told @ Error::Api(_)) => told,
                    _ => error,
                });
            }
            Err(error) => return Err(task.refusal(error).await),
        };
        let task = task.begun();
        let cut = match parcel.delivered(response, &task, self.silence).await {
            Ok(cut) => cut,
            Err(Stop::Cut(reason)) => Some(reason),
            Err(Stop::Silent) => return Err(Error::timed_out(self.path, self.silence).in_task(task.reference)),
        };
        match parcel.failure() {
            Some(reason) => Err(task.broken_off(reason).await),
            None => task.delivery(cut, self.silence).await,
        }
    }

    /// Sends a PUT and follows redirects, which come before the body is looked at, or have it begin anew.
    async fn put(
        &self,
        connection: &Connection,
        task: Ref<TaskClass>,
        parcel: &mut Parcel,
    ) -> Result<http::Response<BodyStream>> {
        let mut base = self.first_host(connection).await?;
        for _ in 0..MOST_REDIRECTS {
            let request = self.request(connection, &base, Some(task), parcel.body(), Some(parcel.length))?;
            let response = match parcel.attend(connection.transport().send(request), self.silence).await {
                Ok(response) => response.map_err(|error| failed(self.path, &base, error).in_task(task))?,
                Err(Stop::Silent) => return Err(Error::timed_out(self.path, self.silence).in_task(task)),
                Err(Stop::Cut(reason)) => return Err(Error::unanswered(self.path, reason).in_task(task)),
            };
            if response.status().is_success() {
                return Ok(response);
            }
            if response.status().is_redirection() {
                if !parcel.withdraw() {
                    return Err(Error::SentOnLate {
                        method: self.path.into(),
                    });
                }
                base = self.redirected(connection, &base, response.headers()).await?;
                continue;
            }
            return Err(self.refused(connection, response).await);
        }
        Err(self.is_sent_around())
    }

    fn is_sent_around(&self) -> Error {
        Error::config(format!("the pool sends {} from one host to the next", self.path))
    }

    async fn refused(&self, connection: &Connection, response: http::Response<BodyStream>) -> Error {
        let status = response.status().as_u16();
        let page = tokio::time::timeout(self.silence, beginning(response.into_body())).await;
        let session = connection.current_session();
        http_error(self.path, status, &page.unwrap_or_default(), &[&session.reference])
    }
}

fn in_task(error: Error, task: Option<Ref<TaskClass>>) -> Error {
    match task {
        Some(task) => error.in_task(task),
        None => error,
    }
}

/// Enough of an error page to explain it.
async fn beginning(mut body: BodyStream) -> Vec<u8> {
    let mut page = Vec::new();
    while let Ok(Some(piece)) = body.try_next().await {
        page.extend_from_slice(&piece[..piece.len().min(MOST_OF_A_PAGE)]);
        if page.len() > MOST_OF_A_PAGE {
            break;
        }
    }
    page
}
