//! Waiting for the end of a task, and tidying up behind it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::state::TaskState;
use crate::error::LostCall;
use crate::wire::{ErrorCode, Ref};
use crate::{Call, Connection, Error, Result, TaskClass};

/// How long nothing may be heard of a task before it is asked itself, and the pause between two questions where the
/// watch is broken.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(1);

/// How long the removal of a task may take.
const TIDYING_LIMIT: Duration = Duration::from_secs(10);

/// How many looks at a task in a row may fail to reach the server before the task is given up as lost.
const MOST_FAILURES: usize = 5;

pub(crate) type OnProgress = Box<dyn FnMut(f64) + Send>;

/// The task goes on, but the server that knows about it is out of reach.
fn lost(method: &str, task: Ref<TaskClass>) -> Error {
    let lost = LostCall {
        method: method.into(),
        reason: "its task was started, but the server cannot be reached any more".into(),
        task: None,
    };
    Error::Lost(Box::new(lost)).in_task(task)
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
