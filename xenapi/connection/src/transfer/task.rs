//! The task of a transfer: the only one who knows how it went.

use std::pin::pin;
use std::time::Duration;

use futures_core::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::tasks::{OnProgress, TaskState, cancel_and_destroy, destroy, record, spawn, tidy, until_done};
use crate::wire::Ref;
use crate::wire::enums::task::StatusType;
use crate::{ApiError, Call, Connection, Error, Result, TaskClass};

/// How long the task of a transfer that broke off may take to say why.
const EXPLANATION_LIMIT: Duration = Duration::from_secs(5);
/// How long the task of what looks like an error page may take to fail.
const SUSPICION_LIMIT: Duration = Duration::from_secs(2);

/// A task made for one transfer. Where it is dropped before its outcome is known, it is cancelled.
pub(super) struct TransferTask {
    pub(super) connection: Connection,
    pub(super) reference: Ref<TaskClass>,
    pub(super) path: &'static str,
    is_watched: bool,
    /// Whether a handler has taken the task over. Until then nobody but this program can end it.
    is_begun: bool,
}

impl TransferTask {
    /// Makes the task. Its making runs to the end also where nobody waits for it any more, so that none is forgotten
    /// on the server.
    pub(super) async fn create(connection: &Connection, path: &'static str, subject: String) -> Result<Self> {
        Self::begin(connection.clone(), path, subject)
            .await
            .unwrap_or_else(|error| Err(Error::unanswered("task.create", error.to_string())))
    }

    fn begin(connection: Connection, path: &'static str, subject: String) -> JoinHandle<Result<Self>> {
        tokio::spawn(Self::make(connection, path, subject))
    }

    async fn make(connection: Connection, path: &'static str, subject: String) -> Result<Self> {
        let reference = Call::<Ref<TaskClass>>::new(&connection, "task.create")
            .arg(path.trim_start_matches('/'))
            .arg(subject)
            .await?;
        Ok(Self {
            connection,
            reference,
            path,
            is_watched: true,
            is_begun: false,
        })
    }

    /// The handler has answered.
    pub(super) fn begun(mut self) -> Self {
        self.is_begun = true;
        self
    }

    /// The outcome of an upload. Here the task's success counts even where the connection broke: the server takes what
    /// it needs, and may close the connection before the last byte.
    pub(super) async fn delivery(self, cut: Option<String>, limit: Duration) -> Result<TaskState> {
        self.outcome(cut, limit, true).await
    }

    /// The outcome of a transfer whose connection has ended. `cut` tells why the connection itself looks broken;
    /// otherwise the task may stand still for `limit` before it ends.
    pub(super) async fn verdict(self, cut: Option<String>, limit: Duration) -> Result<TaskState> {
        self.outcome(cut, limit, false).await
    }

    async fn outcome(mut self, cut: Option<String>, limit: Duration, is_enough: bool) -> Result<TaskState> {
        let ended = match cut {
            Some(_) => tokio::time::timeout(EXPLANATION_LIMIT, self.ended()).await.ok(),
            None => self.ended_or_still(limit).await,
        };
        match ended {
            Some(Ok(Some(record))) => {
                self.is_watched = false;
                destroy(&self.connection, self.reference).await;
                match (self.failure(&record), cut) {
                    (Some(error), _) => Err(error),
                    (None, Some(reason)) if !is_enough => Err(self.interrupted(reason)),
                    (None, _) => Ok(record),
                }
            }
            Some(Ok(None)) => {
                self.is_watched = false;
                Err(cut.map_or_else(
                    || Error::Vanished {
                        method: self.path.into(),
                    },
                    |reason| self.interrupted(reason),
                ))
            }
            Some(Err(error)) => Err(cut.map_or(error, |reason| self.interrupted(reason))),
            None => {
                let reason = cut.unwrap_or_else(|| "the connection has ended, but its task goes on".to_owned());
                let error = self.interrupted(reason);
                self.cancel().await;
                Err(error)
            }
        }
    }

    /// Why the server refused to begin: an HTTP status says less than the task.
    pub(super) async fn refusal(self, error: Error) -> Error {
        let known = record(&self.connection, self.reference).await.ok().flatten();
        let told = known
            .filter(TaskState::is_done)
            .and_then(|record| self.failure(&record));
        self.cancel().await;
        told.unwrap_or(error)
    }

    /// The failure of a transfer in which an error page seems to stand.
    pub(super) fn suspected(&self) -> BoxFuture<'static, Option<Error>> {
        let watched = Self {
            connection: self.connection.clone(),
            is_watched: false,
            ..*self
        };
        Box::pin(watched.failure_soon())
    }

    async fn failure_soon(self) -> Option<Error> {
        let ended = tokio::time::timeout(SUSPICION_LIMIT, self.ended()).await;
        ended.ok()?.ok()?.and_then(|record| self.failure(&record))
    }

    /// The end of a transfer that failed on this side: the server cleans up, and only knows that something is missing.
    pub(super) async fn broken_off(self, reason: String) -> Error {
        let error = self.interrupted(reason.clone());
        // Whatever it says of its own end.
        let _ = self.verdict(Some(reason), EXPLANATION_LIMIT).await;
        error
    }

    /// Cancels the task and waits until the server knows.
    pub(super) async fn cancel(mut self) {
        self.is_watched = false;
        give_up(self.connection.clone(), self.reference, self.is_begun).await;
    }

    pub(super) fn interrupted(&self, reason: String) -> Error {
        Error::unanswered(self.path, reason).in_task(self.reference)
    }

    /// Waits for the end of the task; `None` where it is gone.
    pub(super) async fn ended(&self) -> Result<Option<TaskState>> {
        until_done(&self.connection, self.reference, self.path, &mut None).await
    }

    /// Waits for the end of the task, and tells each time it has moved.
    pub(super) async fn ended_reporting(
        &self,
        mut has_moved: impl FnMut() + Send + 'static,
    ) -> Result<Option<TaskState>> {
        let mut report: Option<OnProgress> = Some(Box::new(move |_| has_moved()));
        until_done(&self.connection, self.reference, self.path, &mut report).await
    }

    /// Waits for the end of the task; `None` where it has not moved for `limit`.
    async fn ended_or_still(&self, limit: Duration) -> Option<Result<Option<TaskState>>> {
        let moved = watch::Sender::new(Instant::now());
        let report = moved.clone();
        let mut ended = pin!(self.ended_reporting(move || {
            report.send_replace(Instant::now());
        }));
        loop {
            let last = *moved.borrow();
            match tokio::time::timeout_at(last + limit, ended.as_mut()).await {
                Ok(ended) => return Some(ended),
                Err(_) if *moved.borrow() > last => {}
                Err(_) => return None,
            }
        }
    }

    fn failure(&self, record: &TaskState) -> Option<Error> {
        match record.status {
            StatusType::Success => None,
            StatusType::Cancelled => Some(Error::Cancelled {
                method: self.path.into(),
            }),
            _ => {
                let code = record.error_info.first().map_or("INTERNAL_ERROR", String::as_str);
                let params = record.error_info.iter().skip(1).cloned().collect();
                let session = self.connection.current_session();
                let error = ApiError::new(self.path, code, params, [&session.reference]);
                Some(Error::Api(Box::new(error)))
            }
        }
    }
}

impl Drop for TransferTask {
    fn drop(&mut self) {
        if self.is_watched {
            let tidying = self.connection.tidying();
            let given_up = give_up(self.connection.clone(), self.reference, self.is_begun);
            spawn(async move {
                given_up.await;
                drop(tidying);
            });
        }
    }
}

async fn give_up(connection: Connection, task: Ref<TaskClass>, is_begun: bool) {
    if is_begun {
        cancel_and_destroy(connection, task).await;
    } else {
        tidy(Call::new(&connection, "task.set_status").arg(task).arg("cancelled")).await;
        destroy(&connection, task).await;
    }
}
