//! Calls that run as tasks on the server.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::RunningTask;
use super::running::Watch;
use crate::request::Request;
use crate::wire::{Ref, ToValue};
use crate::{Call, Connection, Error, Result, TaskClass};

type Waiting<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// A call that the server can run as a task, not yet sent.
///
/// Awaiting it sends the `Async.` form, waits for the task to end, answers with its typed result and destroys the
/// task. [`start`](TaskCall::start) only begins, [`now`](TaskCall::now) uses the synchronous form.
///
/// Dropping the future gives up the wait and leaves the task running, unless
/// [`cancel_on_drop`](TaskCall::cancel_on_drop) was called, or the connection is one with
/// [`cancel_dropped_tasks`](crate::Connect::cancel_dropped_tasks).
#[must_use = "a call is sent only when it is awaited"]
pub struct TaskCall<T> {
    state: State<T>,
}

enum State<T> {
    Ready(Box<Plan>),
    Waiting(Waiting<T>),
}

struct Plan {
    connection: Connection,
    request: Request,
    watch: Watch,
}

impl<T> TaskCall<T> {
    /// A call of a message by its wire name, for example `VM.start`. The session is added.
    pub fn new(connection: &Connection, method: impl Into<Cow<'static, str>>) -> Self {
        let request = Request::new(method);
        Self {
            state: State::Ready(Box::new(Plan {
                connection: connection.clone(),
                request,
                watch: Watch {
                    cancel_on_drop: connection.cancels_dropped_tasks(),
                    ..Watch::default()
                },
            })),
        }
    }

    /// Appends an argument. Methods of the typed bindings have appended theirs already.
    pub fn arg(self, value: impl ToValue) -> Self {
        let value = value.to_value();
        self.plan(|plan| plan.request.push(value))
    }

    /// Appends an argument that holds a password or a key, which no error may repeat.
    pub fn secret_arg(self, value: impl ToValue) -> Self {
        let value = value.to_value();
        self.plan(|plan| plan.request.push_secret(value))
    }

    /// Called with the task's progress, from 0 to 1, each time it moves. It can reach 1 before the task is done.
    pub fn on_progress(self, report: impl FnMut(f64) + Send + 'static) -> Self {
        self.plan(|plan| plan.watch.on_progress = Some(Box::new(report)))
    }

    /// Gives up waiting after this long with [`Error::Timeout`], which names the task that goes on.
    pub fn timeout(self, limit: Duration) -> Self {
        self.plan(|plan| plan.watch.limit = Some(limit))
    }

    /// Cancels the task when the future is dropped before the task has ended (best effort, from a Tokio runtime).
    pub fn cancel_on_drop(self) -> Self {
        self.plan(|plan| plan.watch.cancel_on_drop = true)
    }

    fn plan(mut self, change: impl FnOnce(&mut Plan)) -> Self {
        if let State::Ready(plan) = &mut self.state {
            change(plan);
        }
        self
    }

    /// The wire name of the message, without `Async.`.
    pub fn method(&self) -> &str {
        match &self.state {
            State::Ready(plan) => &plan.request.method,
            State::Waiting(_) => "(sent)",
        }
    }
}

impl<T: DeserializeOwned + Send + 'static> TaskCall<T> {
    /// The synchronous form: one request that is answered when the work is done. For short work only; the server cuts
    /// it after an hour.
    ///
    /// # Panics
    /// On a call that was polled already.
    pub fn now(self) -> Call<T> {
        let Plan {
            connection,
            request,
            watch,
        } = self.into_plan();
        let timeout = watch.limit;
        Call::ready(connection, Request { timeout, ..request })
    }

    /// Sends the `Async.` form and answers with the task as soon as the server has made it.
    ///
    /// # Errors
    /// What the server refuses at once: the session, the role, the number of arguments.
    ///
    /// # Panics
    /// On a call that was polled already.
    pub async fn start(self) -> Result<RunningTask<T>> {
        self.into_plan().start().await
    }

    fn into_plan(self) -> Plan {
        match self.state {
            State::Ready(plan) => *plan,
            State::Waiting(_) => panic!("the call was already sent"),
        }
    }
}

impl Plan {
    async fn start<T>(self) -> Result<RunningTask<T>> {
        let begun = if self.watch.cancel_on_drop {
            let begun = self.begin_anyway().await;
            begun.unwrap_or_else(|error| Err(Error::unanswered("task", error.to_string())))
        } else {
            self.begin().await
        };
        begun.map(RunningTask::with_result)
    }

    /// Begins also where nobody waits for it any more, so that the task can be cancelled.
    fn begin_anyway(self) -> JoinHandle<Result<RunningTask<()>>> {
        let tidying = self.connection.tidying();
        tokio::spawn(async move {
            let begun = self.begin().await;
            drop(tidying);
            begun
        })
    }

    async fn begin(self) -> Result<RunningTask<()>> {
        let Self {
            connection,
            mut request,
            watch,
        } = self;
        let method = request.method.clone();
        let secrets = request.secrets.clone();
        let deadline = watch.limit.map(|limit| Instant::now() + limit);
        request.method = format!("Async.{method}").into();
        request.timeout = watch.limit;
        let guarded = watch.cancel_on_drop;
        let task = connection.execute(request).await?.decode::<Ref<TaskClass>>().await?;
        tracing::debug!(method = &*method, task = %task.to_wire(), "the task runs");
        Ok(RunningTask {
            method,
            secrets,
            watch,
            deadline,
            ..RunningTask::new(connection, task, guarded)
        })
    }

    async fn run<T: DeserializeOwned + Send + 'static>(self) -> Result<T> {
        self.start::<T>().await?.wait().await
    }
}

impl<T: DeserializeOwned + Send + 'static> Future for TaskCall<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        if let State::Ready(_) = &self.state {
            let sent: Waiting<T> = Box::pin(std::future::pending());
            if let State::Ready(plan) = std::mem::replace(&mut self.state, State::Waiting(sent)) {
                self.state = State::Waiting(Box::pin(plan.run()));
            }
        }
        match &mut self.state {
            State::Waiting(waiting) => waiting.as_mut().poll(context),
            State::Ready(_) => Poll::Pending,
        }
    }
}

impl<T> fmt::Debug for TaskCall<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskCall").field(&self.method()).finish()
    }
}
