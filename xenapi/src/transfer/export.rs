//! `GET /export`: a VM as an XVA archive.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_core::Stream;
use tokio::io::{AsyncRead, ReadBuf};

use super::request::Handler;
use crate::error::{ApiError, LostCall};
use crate::running_task::{cancel_and_destroy, is_done, record, spawn_cancel};
use crate::transport::BodyStream;
use crate::{Call, Client, Error, Ref, Result, Task, TaskRecord, Vm};

/// How long the task may lag behind the end of the stream.
const TASK_LAG: Duration = Duration::from_secs(30);

/// How the server packs an export. It does so with one slow process, so on a fast network none is often the fastest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// The archive as it is.
    #[default]
    None,
    /// gzip, on all releases.
    Gzip,
    /// Zstandard, since xapi 1.135 (2018).
    Zstd,
}

/// An export that is not yet asked for; awaiting it answers with the stream as soon as the server has begun.
#[derive(Debug)]
#[must_use = "an export is asked for only when it is awaited"]
pub struct ExportCall {
    client: Client,
    vm: Ref<Vm>,
    compression: Compression,
    preserve_power_state: bool,
}

impl Vm {
    /// Streams the VM as an XVA archive: its configuration, then its disks block by block.
    ///
    /// The VM must be halted or suspended; of a running one, export a snapshot. Only blocks with data are sent, and
    /// the server does not say how long the archive will be.
    ///
    /// Least role: VM admin. Errors: `VM_BAD_POWER_STATE`, `OTHER_OPERATION_IN_PROGRESS`, HTTP 500 for a VM that does
    /// not exist.
    #[doc(alias = "/export")]
    pub fn export(&self) -> ExportCall {
        ExportCall {
            client: self.client().clone(),
            vm: self.reference(),
            compression: Compression::None,
            preserve_power_state: false,
        }
    }
}

impl ExportCall {
    /// Has the server compress the archive.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Keeps a suspended VM suspended: its memory image is exported too.
    pub fn preserve_power_state(mut self) -> Self {
        self.preserve_power_state = true;
        self
    }

    async fn send(self) -> Result<Export> {
        let client = self.client;
        let task = Call::<Ref<Task>>::new(&client, "task.create")
            .arg("export")
            .arg(self.vm.to_wire())
            .await?;
        let mut query = vec![("ref", self.vm.to_wire())];
        match self.compression {
            Compression::None => {}
            Compression::Gzip => query.push(("use_compression", "gzip".to_owned())),
            Compression::Zstd => query.push(("use_compression", "zstd".to_owned())),
        }
        if self.preserve_power_state {
            query.push(("preserve_power_state", "true".to_owned()));
        }
        match (Handler { path: "/export", query }).get(&client, task).await {
            Ok(response) => Ok(Export {
                body: Some(response.into_body()),
                held: Bytes::new(),
                received: 0,
                ending: None,
                guard: Abandon {
                    client,
                    task,
                    armed: true,
                },
            }),
            Err(error) => {
                let reason = task_failure(&client, task).await;
                cancel_and_destroy(&client, task).await;
                Err(reason.unwrap_or(error))
            }
        }
    }
}

impl IntoFuture for ExportCall {
    type Output = Result<Export>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Export>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// An export that is under way: bytes of an XVA archive, as [`AsyncRead`] and as a [`Stream`] of pieces.
///
/// The server says "200 OK" before it begins, so the end of the stream proves nothing. This asks the task: a stream
/// that ends while the task failed, was cut, or turned into an error page ends with that error, never as if complete.
///
/// Dropping it closes the connection and cancels the task; [`cancel`](Export::cancel) does so and waits.
pub struct Export {
    body: Option<BodyStream>,
    held: Bytes,
    received: u64,
    ending: Option<Pin<Box<dyn Future<Output = Result<()>> + Send>>>,
    guard: Abandon,
}

impl Export {
    /// The task that the export runs in.
    pub fn task(&self) -> Ref<Task> {
        self.guard.task
    }

    /// How many bytes of the archive have come in, read or not.
    pub fn bytes_received(&self) -> u64 {
        self.received
    }

    /// How far the server is, from 0 to 1.
    ///
    /// # Errors
    /// As any call.
    pub fn progress(&self) -> Call<f64> {
        Call::new(&self.guard.client, "task.get_progress").arg(self.guard.task)
    }

    /// Closes the connection, cancels the task and waits until the server knows.
    pub async fn cancel(mut self) {
        self.body = None;
        self.guard.armed = false;
        cancel_and_destroy(&self.guard.client, self.guard.task).await;
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        loop {
            if let Some(ending) = &mut self.ending {
                let ended = ready!(ending.as_mut().poll(context));
                self.ending = None;
                self.guard.armed = false;
                return Poll::Ready(ended.err().map(Err));
            }
            let Some(body) = &mut self.body else {
                return Poll::Ready(None);
            };
            let cut = match ready!(body.as_mut().poll_next(context)) {
                Some(Ok(piece)) if piece.starts_with(b"HTTP/1.") && self.received > 0 => {
                    Some("the server sent an error page into the archive".to_owned())
                }
                Some(Ok(piece)) => {
                    self.received += piece.len() as u64;
                    return Poll::Ready(Some(Ok(piece)));
                }
                Some(Err(error)) => Some(error.to_string()),
                None => None,
            };
            self.body = None;
            self.ending = Some(Box::pin(end(self.guard.client.clone(), self.guard.task, cut)));
        }
    }
}

/// What the task says about a stream that has ended; `cut` tells why the stream itself looks broken.
async fn end(client: Client, task: Ref<Task>, cut: Option<String>) -> Result<()> {
    let lost = |reason: String| {
        Err(Error::Interrupted(Box::new(LostCall {
            method: "/export".into(),
            reason: reason.into(),
            task: Some(task),
        })))
    };
    let ended = tokio::time::timeout(TASK_LAG, ended(&client, task)).await;
    cancel_and_destroy(&client, task).await;
    match (ended, cut) {
        (Ok(Ok(Some(record))), cut) => match (failure(&client, record), cut) {
            (Some(error), _) => Err(error),
            (None, Some(reason)) => lost(reason),
            (None, None) => Ok(()),
        },
        (Ok(Err(error)), None) => Err(error),
        (Ok(Ok(None)), None) => Err(Error::Vanished {
            method: "/export".into(),
        }),
        (Err(_), None) => lost("the stream ended, but its task goes on".to_owned()),
        (_, Some(reason)) => lost(reason),
    }
}

async fn ended(client: &Client, task: Ref<Task>) -> Result<Option<TaskRecord>> {
    loop {
        match record(client, task).await? {
            Some(record) if !is_done(&record) => tokio::time::sleep(Duration::from_millis(100)).await,
            known => return Ok(known),
        }
    }
}

/// The error that a task ended with.
fn failure(client: &Client, record: TaskRecord) -> Option<Error> {
    use crate::classes::task::StatusType;
    match record.status {
        StatusType::Success => None,
        StatusType::Cancelled => Some(Error::Cancelled {
            method: "/export".into(),
        }),
        _ => {
            let mut info = record.error_info.into_iter();
            let code = info.next().unwrap_or_else(|| "INTERNAL_ERROR".to_owned());
            let session = client.current_session();
            Some(Error::Api(Box::new(ApiError::new(
                "/export",
                &code,
                info.collect(),
                [&session.reference],
            ))))
        }
    }
}

/// A handler that refuses with an HTTP status often says more in the task.
async fn task_failure(client: &Client, task: Ref<Task>) -> Option<Error> {
    let record = record(client, task).await.ok().flatten().filter(is_done)?;
    failure(client, record)
}

impl Stream for Export {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        if !self.held.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.held))));
        }
        self.poll_piece(context)
    }
}

impl AsyncRead for Export {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.held.is_empty() {
            match ready!(self.poll_piece(context)) {
                Some(Ok(piece)) => self.held = piece,
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = self.held.len().min(out.remaining());
        out.put_slice(&self.held[..length]);
        self.held.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export")
            .field("task", &self.guard.task)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

/// Cancels the task of an export that was not read to its end.
struct Abandon {
    client: Client,
    task: Ref<Task>,
    armed: bool,
}

impl Drop for Abandon {
    fn drop(&mut self) {
        if self.armed {
            spawn_cancel(self.client.clone(), self.task);
        }
    }
}
