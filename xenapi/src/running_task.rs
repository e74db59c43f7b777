//! Calls that run as tasks on the server.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::call::{Method, Request};
use crate::classes::task::StatusType;
use crate::client::{timed_out, unanswered};
use crate::error::{ApiError, DecodeError, LostCall};
use crate::{Call, Client, Error, ErrorCode, Ref, Result, SecretString, Task, TaskRecord, ToValue, wire};

/// How long nothing may be heard of a task before it is asked itself, and the pause between two questions where the
/// watch is broken.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(1);

/// How long the removal of a task may take.
const TIDYING_LIMIT: Duration = Duration::from_secs(10);

/// How many looks at a task in a row may fail to reach the server before the task is given up as lost.
const MOST_FAILURES: usize = 5;

pub(crate) type OnProgress = Box<dyn FnMut(f64) + Send>;
type Waiting<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// A call that the server can run as a task, not yet sent.
///
/// Awaiting it sends the `Async.` form, waits for the task to end, answers with its typed result and destroys the
/// task. [`start`](TaskCall::start) only begins, [`now`](TaskCall::now) uses the synchronous form.
///
/// Dropping the future gives up the wait and leaves the task running, unless
/// [`cancel_on_drop`](TaskCall::cancel_on_drop) was called.
#[must_use = "a call is sent only when it is awaited"]
pub struct TaskCall<T> {
    state: State<T>,
}

enum State<T> {
    Ready(Box<Plan>),
    Waiting(Waiting<T>),
}

struct Plan {
    client: Client,
    request: Request,
    watch: Watch,
}

#[derive(Default)]
struct Watch {
    on_progress: Option<OnProgress>,
    limit: Option<Duration>,
    cancel_on_drop: bool,
}

impl<T> TaskCall<T> {
    pub(crate) fn new(client: &Client, method: &'static str) -> Self {
        let request = Request::new(method);
        Self {
            state: State::Ready(Box::new(Plan {
                client: client.clone(),
                request,
                watch: Watch::default(),
            })),
        }
    }

    /// Appends an argument.
    pub(crate) fn arg(self, value: impl ToValue) -> Self {
        let value = value.to_value();
        self.plan(|plan| plan.request.push(value))
    }

    /// Appends an argument that holds a password or a key, which no error may repeat.
    pub(crate) fn secret_arg(self, value: impl ToValue) -> Self {
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
        let Plan { client, request, watch } = self.into_plan();
        let timeout = watch.limit;
        Call::ready(client, Request { timeout, ..request })
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
            begun.unwrap_or_else(|error| Err(unanswered("task", error.to_string())))
        } else {
            self.begin().await
        };
        begun.map(RunningTask::with_result)
    }

    /// Begins also where nobody waits for it any more, so that the task can be cancelled.
    fn begin_anyway(self) -> JoinHandle<Result<RunningTask<()>>> {
        tokio::spawn(self.begin())
    }

    async fn begin(self) -> Result<RunningTask<()>> {
        let Self {
            client,
            mut request,
            watch,
        } = self;
        let method = request.method.clone();
        let secrets = request.secrets.clone();
        let deadline = watch.limit.map(|limit| Instant::now() + limit);
        request.method = format!("Async.{method}").into();
        request.timeout = watch.limit;
        let guarded = watch.cancel_on_drop;
        let task = client.execute(request).await?.decode::<Ref<Task>>().await?;
        tracing::debug!(method = &*method, %task, "the task runs");
        Ok(RunningTask {
            method,
            secrets,
            watch,
            deadline,
            ..RunningTask::new(client, task, guarded)
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
    task: Guarded,
    method: Method,
    secrets: Vec<SecretString>,
    watch: Watch,
    deadline: Option<Instant>,
    result: PhantomData<fn() -> T>,
}

impl<T> RunningTask<T> {
    pub(crate) fn new(client: Client, reference: Ref<Task>, is_cancelled_on_drop: bool) -> Self {
        Self {
            task: Guarded {
                client,
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

    fn with_result<R>(self) -> RunningTask<R> {
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
    pub fn reference(&self) -> Ref<Task> {
        self.task.reference
    }

    /// How far the task is, from 0 to 1.
    ///
    /// # Errors
    /// As any call; `HANDLE_INVALID` where the task is gone.
    pub fn progress(&self) -> Call<f64> {
        Call::new(&self.task.client, "task.get_progress").arg(self.task.reference)
    }

    /// Asks the server to cancel the task. It may take no notice; [`outcome`](RunningTask::outcome) tells.
    ///
    /// # Errors
    /// As any call; `OPERATION_NOT_ALLOWED` where the task cannot be cancelled.
    pub fn cancel(&self) -> Call<()> {
        Call::new(&self.task.client, "task.cancel").arg(self.task.reference)
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
        let Guarded { client, reference, .. } = &self.task;
        let wait = until_done(client, *reference, &self.method, &mut self.watch.on_progress);
        let waited = match (self.deadline, self.watch.limit) {
            (Some(deadline), Some(limit)) => tokio::time::timeout_at(deadline, wait)
                .await
                .unwrap_or_else(|_| Err(timed_out(&self.method, limit).in_task(*reference))),
            _ => wait.await,
        };
        self.task.is_cancelled_on_drop = false;
        let Some(record) = waited? else {
            return Ok(Outcome::Vanished);
        };
        destroy(&self.task.client, self.task.reference).await;
        Ok(match record.status {
            StatusType::Success => Outcome::Success(self.decode(&record)?),
            StatusType::Cancelled => Outcome::Cancelled,
            _ => self.failure(record),
        })
    }

    fn decode(&self, record: &TaskRecord) -> Result<T> {
        wire::xml::from_value_text(&record.result).map_err(|source| {
            Error::Decode(Box::new(DecodeError {
                method: (&*self.method).into(),
                source,
            }))
        })
    }

    fn failure<R>(&self, record: TaskRecord) -> Outcome<R> {
        let mut info = record.error_info.into_iter();
        let code = info.next().unwrap_or_else(|| "INTERNAL_ERROR".to_owned());
        if code == "TASK_CANCELLED" {
            return Outcome::Cancelled;
        }
        let session = self.task.client.current_session();
        let secrets = self.secrets.iter().chain([&session.reference]);
        Outcome::Failed(ApiError::new(&self.method, &code, info.collect(), secrets))
    }
}

impl<T> fmt::Debug for RunningTask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningTask")
            .field("method", &self.method)
            .field("task", &self.task.reference)
            .finish_non_exhaustive()
    }
}

/// The task goes on, but the server that knows about it is out of reach.
fn lost(method: &str, task: Ref<Task>) -> Error {
    Error::Lost(Box::new(LostCall {
        method: method.into(),
        reason: "its task was started, but the server cannot be reached any more".into(),
        task: Some(task),
    }))
}

/// Waits for the end of a task, and answers with its record; `None` where it is gone.
///
/// What changes is told by the watch that all waits share. Where it says nothing, the task itself is asked.
pub(crate) async fn until_done(
    client: &Client,
    task: Ref<Task>,
    method: &str,
    on_progress: &mut Option<OnProgress>,
) -> Result<Option<TaskRecord>> {
    let seat = client.task_watch();
    let mut state = seat.state();
    let mut failures = 0;
    let mut seen = f64::NAN;
    let mut news = true;
    loop {
        let told = seat.record(task).filter(|_| news);
        let record = match told {
            Some(record) => Some(record),
            None if news && state.borrow().lists == 0 => None,
            None => match record(client, task).await {
                Ok(Some(record)) => {
                    failures = 0;
                    Some(record.into())
                }
                Ok(None) => return Ok(None),
                Err(Error::Interrupted(_) | Error::Connect { .. }) if failures < MOST_FAILURES => {
                    failures += 1;
                    None
                }
                Err(Error::Interrupted(_) | Error::Connect { .. }) => return Err(lost(method, task)),
                Err(error) => return Err(error),
            },
        };
        if let Some(record) = record {
            if let Some(report) = on_progress
                && record.progress != seen
            {
                seen = record.progress;
                report(seen);
            }
            if is_done(&record) {
                return Ok(Some(Arc::unwrap_or_clone(record)));
            }
        }
        let patience = if seat.is_live() { LONGEST_SILENCE } else { PAUSE };
        news = match tokio::time::timeout(patience, state.changed()).await {
            Ok(Ok(())) => true,
            Ok(Err(_)) | Err(_) => false,
        };
    }
}
/// Whether a task has ended; its progress does not tell.
pub(crate) fn is_done(record: &TaskRecord) -> bool {
    matches!(
        record.status,
        StatusType::Success | StatusType::Failure | StatusType::Cancelled
    )
}

/// The task's record; `None` where the task is gone.
pub(crate) async fn record(client: &Client, task: Ref<Task>) -> Result<Option<TaskRecord>> {
    match Call::new(client, "task.get_record").arg(task).await {
        Ok(record) => Ok(Some(record)),
        Err(error) if error.code() == Some(&ErrorCode::HandleInvalid) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A task, cancelled from the destructor where that was asked for.
struct Guarded {
    client: Client,
    reference: Ref<Task>,
    is_cancelled_on_drop: bool,
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if self.is_cancelled_on_drop {
            let (client, task) = (self.client.clone(), self.reference);
            spawn(cancel_and_destroy(client, task));
        }
    }
}

/// Runs what a destructor leaves to do, where there is a runtime for it.
pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(work);
    }
}

/// Best effort: a task that has ended or is gone needs neither.
pub(crate) async fn cancel_and_destroy(client: Client, task: Ref<Task>) {
    tidy(Call::new(&client, "task.cancel").arg(task)).await;
    destroy(&client, task).await;
}

/// Best effort: the server collects what is left.
pub(crate) async fn destroy(client: &Client, task: Ref<Task>) {
    tidy(Call::new(client, "task.destroy").arg(task)).await;
}

pub(crate) async fn tidy(call: Call<()>) {
    if let Err(error) = call.timeout(TIDYING_LIMIT).await {
        tracing::debug!(%error, "a task was left");
    }
}
