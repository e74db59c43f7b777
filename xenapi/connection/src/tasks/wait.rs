//! Waiting for the end of a task, and tidying up behind it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::state::TaskState;
use tokio::time::Instant;

use crate::error::{ErrorKind, LostCall};
use crate::wire::{ErrorCode, Ref};
use crate::{Call, Connection, Error, Result, TaskClass};

/// How long nothing may be heard of a task before it is asked itself, and the pause between two questions where the
/// watch is broken.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(1);

/// How long the removal of a task may take.
pub(crate) const TIDYING_LIMIT: Duration = Duration::from_secs(10);

/// How many looks at a task in a row may fail to reach the server before the task is given up as lost.
const MOST_FAILURES: usize = 5;

/// How long a server that answers, but cannot tell of the task yet, is asked again: a toolstack restarts in a minute, a
/// host boots in some more.
const LONGEST_RESTART: Duration = Duration::from_secs(600);

pub(crate) type OnProgress = Box<dyn FnMut(f64) + Send>;

/// The task goes on, but nothing can be learned of it: whatever the question about it failed with, the call itself was
/// not refused.
fn lost(method: &str, task: Ref<TaskClass>, error: &Error) -> Error {
    let lost = LostCall {
        method: method.into(),
        reason: format!("its task was started, but the server does not tell of it any more: {error}").into(),
        task: None,
    };
    Error::Lost(Box::new(lost)).in_task(task)
}

/// What may pass by itself, of a server that answers.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Api(error) => matches!(
            error.kind(),
            ErrorKind::WrongHost | ErrorKind::Busy | ErrorKind::Internal
        ),
        Error::Http(error) => error.status >= 500,
        Error::Timeout(_) => true,
        _ => false,
    }
}

/// Waits for the end of a task, and answers with its record; `None` where it is gone.
///
/// What changes is told by the watch that all waits share. Where it says nothing, the task itself is asked.
pub(crate) async fn until_done(
    connection: &Connection,
    task: Ref<TaskClass>,
    method: &str,
    on_progress: &mut Option<OnProgress>,
) -> Result<Option<TaskState>> {
    let seat = connection.task_watch();
    let mut known = seat.known();
    let mut failures = 0;
    let mut refused_since = None;
    let mut seen = f64::NAN;
    let mut news = true;
    loop {
        let told = known.borrow_and_update().get(task).filter(|_| news);
        let record = match told {
            Some(record) => Some(record),
            None if news && !known.borrow().is_listed => None,
            None => match record(connection, task).await {
                Ok(Some(record)) => {
                    failures = 0;
                    refused_since = None;
                    Some(record.into())
                }
                Ok(None) => return Ok(None),
                Err(Error::Interrupted(_) | Error::Connect { .. }) if failures < MOST_FAILURES => {
                    failures += 1;
                    None
                }
                Err(error) if may_pass(&error) && outage(&mut refused_since) < LONGEST_RESTART => None,
                Err(error) => return Err(lost(method, task, &error)),
            },
        };
        if let Some(record) = record {
            if let Some(report) = on_progress
                && record.progress != seen
            {
                seen = record.progress;
                report(seen);
            }
            if record.is_done() {
                return Ok(Some(Arc::unwrap_or_clone(record)));
            }
        }
        let patience = if seat.is_live() { LONGEST_SILENCE } else { PAUSE };
        news = match tokio::time::timeout(patience, known.changed()).await {
            Ok(Ok(())) => true,
            Ok(Err(_)) | Err(_) => false,
        };
    }
}

/// How long something has been going on; from now on, where nothing is known.
fn outage(since: &mut Option<Instant>) -> Duration {
    since.get_or_insert_with(Instant::now).elapsed()
}

/// The task's record; `None` where the task is gone.
pub(crate) async fn record(connection: &Connection, task: Ref<TaskClass>) -> Result<Option<TaskState>> {
    match Call::new(connection, "task.get_record").arg(task).await {
        Ok(record) => Ok(Some(record)),
        Err(error) if error.code() == Some(&ErrorCode::HandleInvalid) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Runs what a destructor leaves to do, where there is a runtime for it.
pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(work);
    }
}

/// Best effort: a task that has ended or is gone needs neither.
pub(crate) async fn cancel_and_destroy(connection: Connection, task: Ref<TaskClass>) {
    tidy(Call::new(&connection, "task.cancel").arg(task)).await;
    destroy(&connection, task).await;
}

/// Best effort: the server collects what is left.
pub(crate) async fn destroy(connection: &Connection, task: Ref<TaskClass>) {
    tidy(Call::new(connection, "task.destroy").arg(task)).await;
}

pub(crate) async fn tidy(call: Call<()>) {
    if let Err(error) = call.timeout(TIDYING_LIMIT).await {
        tracing::debug!(%error, "a task was left");
    }
}
