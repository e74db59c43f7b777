//! Tasks that run on the server.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::state::TaskState;
use super::wait::{OnProgress, cancel_and_destroy, destroy, spawn, until_done};
use crate::request::Method;
use crate::wire::enums::task::StatusType;
use crate::wire::{self, Ref};
use crate::{ApiError, Call, Connection, DecodeError, Error, Result, SecretString, TaskClass, TypedAs};

/// How a task is waited for.
#[derive(Default)]
pub(super) struct Watch {
    pub(super) on_progress: Option<OnProgress>,
    pub(super) limit: Option<Duration>,
    pub(super) cancel_on_drop: bool,
}

/// How a task ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome<T> {
    /// It did what was asked.
    Success(T),
    /// It failed with this error.
    Failed(ApiError),
    /// It was cancelled.
    Cancelled,
    /// It is gone, and nobody knows how it ended: destroyed by another client, or lost when the toolstack restarted.
    Vanished,
}

/// A task that runs on the server, with the type of its result.
///
/// Only the status tells that a task is done: its progress reaches 1 earlier.
pub struct RunningTask<T> {
    pub(super) task: Guarded,
    pub(super) method: Method,
    pub(super) secrets: Vec<SecretString>,
    pub(super) watch: Watch,
    pub(super) deadline: Option<Instant>,
    pub(super) result: PhantomData<fn() -> T>,
}

impl<T> RunningTask<T> {
    /// Takes up the wait for a task that somebody else started; `T` is what its message answers with, `()` for none.
    pub fn resume<R>(connection: &Connection, reference: Ref<R>) -> Self
    where
        TaskClass: TypedAs<R>,
    {
        Self::new(connection.clone(), reference.cast(), false)
    }

    pub(super) fn new(connection: Connection, reference: Ref<TaskClass>, is_cancelled_on_drop: bool) -> Self {
        Self {
            task: Guarded {
                connection,
                reference,
                is_cancelled_on_drop,
            },
            method: "task".into(),
            secrets: Vec::new(),
            watch: Watch::default(),
            deadline: None,
            result: PhantomData,
        }
    }

    pub(super) fn with_result<R>(self) -> RunningTask<R> {
        RunningTask {
            task: self.task,
            method: self.method,
            secrets: self.secrets,
            watch: self.watch,
            deadline: self.deadline,
            result: PhantomData,
        }
    }

    /// Called with the task's progress, from 0 to 1, each time it moves.
    pub fn on_progress(mut self, report: impl FnMut(f64) + Send + 'static) -> Self {
        self.watch.on_progress = Some(Box::new(report));
        self
    }

    /// Gives up waiting after this long from now with [`Error::Timeout`], which names the task that goes on.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.watch.limit = Some(limit);
        self.deadline = Some(Instant::now() + limit);
        self
    }
}

impl<T: DeserializeOwned + Send + 'static> RunningTask<T> {
    /// The task's reference.
    pub fn reference<R>(&self) -> Ref<R>
    where
        TaskClass: TypedAs<R>,
    {
        self.task.reference.cast()
    }

    /// How far the task is, from 0 to 1.
    ///
    /// # Errors
    /// As any call; `HANDLE_INVALID` where the task is gone.
    pub fn progress(&self) -> Call<f64> {
        Call::new(&self.task.connection, "task.get_progress").arg(self.task.reference)
    }

    /// Asks the server to cancel the task. It may take no notice; [`outcome`](RunningTask::outcome) tells.
    ///
    /// # Errors
    /// As any call; `OPERATION_NOT_ALLOWED` where the task cannot be cancelled.
    pub fn cancel(&self) -> Call<()> {
        Call::new(&self.task.connection, "task.cancel").arg(self.task.reference)
    }

    /// Waits for the end and answers with the result; the task is destroyed then.
    ///
    /// # Errors
    /// What the task failed with, [`Error::Cancelled`], [`Error::Vanished`], [`Error::Timeout`].
    pub async fn wait(self) -> Result<T> {
        let method = self.method.clone();
        match self.outcome().await? {
            Outcome::Success(result) => Ok(result),
            Outcome::Failed(error) => Err(Error::Api(Box::new(error))),
            Outcome::Cancelled => Err(Error::Cancelled { method: method.into() }),
            Outcome::Vanished => Err(Error::Vanished { method: method.into() }),
        }
    }

    /// Waits for the end and tells how it went; the task is destroyed then.
    ///
    /// # Errors
    /// Where the wait itself failed: [`Error::Timeout`], or the connection.
    pub async fn outcome(mut self) -> Result<Outcome<T>> {
        let Guarded {
            connection, reference, ..
        } = &self.task;
        let wait = until_done(connection, *reference, &self.method, &mut self.watch.on_progress);
        let waited = match (self.deadline, self.watch.limit) {
            (Some(deadline), Some(limit)) => tokio::time::timeout_at(deadline, wait)
                .await
                .unwrap_or_else(|_| Err(Error::timed_out(&self.method, limit).in_task(*reference))),
            _ => wait.await,
        };
        self.task.is_cancelled_on_drop = false;
        let Some(record) = waited? else {
            return Ok(Outcome::Vanished);
        };
        destroy(&self.task.connection, self.task.reference).await;
        Ok(match record.status {
            StatusType::Success => Outcome::Success(self.decode(&record)?),
            StatusType::Cancelled => Outcome::Cancelled,
            _ => self.failure(record),
        })
    }

    fn decode(&self, record: &TaskState) -> Result<T> {
        wire::xml::from_value_text(&record.result).map_err(|source| DecodeError::new(&*self.method, source).into())
    }

    fn failure<R>(&self, record: TaskState) -> Outcome<R> {
        let mut info = record.error_info.into_iter();
        let code = info.next().unwrap_or_else(|| "INTERNAL_ERROR".to_owned());
        if code == "TASK_CANCELLED" {
            return Outcome::Cancelled;
        }
        let session = self.task.connection.current_session();
        let secrets = self.secrets.iter().chain([&session.reference]);
        Outcome::Failed(ApiError::new(&self.method, &code, info.collect(), secrets))
    }
}

impl<T> fmt::Debug for RunningTask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningTask")
            .field("method", &self.method)
            .field("task", &self.task.reference.to_wire())
            .finish_non_exhaustive()
    }
}

/// A task, cancelled from the destructor where that was asked for.
pub(super) struct Guarded {
    connection: Connection,
    reference: Ref<TaskClass>,
    is_cancelled_on_drop: bool,
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if self.is_cancelled_on_drop {
            let (connection, task) = (self.connection.clone(), self.reference);
            let tidying = connection.tidying();
            spawn(async move {
                cancel_and_destroy(connection, task).await;
                drop(tidying);
            });
        }
    }
}
