//! Checks of calls that run as tasks.

use std::time::Duration;

use xenapi::{ToValue, Value};

use super::host::{Host, text};
use super::{Found, ensure};

/// How long a task may take that has almost nothing to do.
const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// Starts a task; nothing where the call fails at once.
async fn start(host: &Host, method: &str, reference: &str) -> Result<Result<String, Vec<String>>, String> {
    match host.attempt(method, vec![reference.to_value()]).await? {
        Ok(Value::String(task)) => Ok(Ok(task)),
        Ok(other) => Err(format!("{method} answered {other:?}, which is no task")),
        Err(error) => Ok(Err(error)),
    }
}

/// Waits for the end of a task and looks at how it gets there; answers with its last record.
async fn end_of(host: &Host, task: &str) -> Result<Value, String> {
    let waits = async {
        loop {
            let record = host.call("task.get_record", [task.to_value()]).await?;
            let progress = record.get("progress").and_then(Value::as_float);
            let sound = progress.is_some_and(|progress| (0.0..=1.0).contains(&progress));
            ensure(sound, || format!("the progress of a task is {progress:?}"))?;
            match text(&record, "status")? {
                "pending" | "cancelling" => tokio::time::sleep(PAUSE).await,
                "success" | "failure" | "cancelled" => return Ok(record),
                other => return Err(format!("the status of a task is {other:?}")),
            }
        }
    };
    let ended = tokio::time::timeout(LIMIT, waits).await;
    ended.map_err(|_| format!("a task did not end within {LIMIT:?}"))?
}

/// Destroys an ended task, which is gone then.
async fn destroy(host: &Host, task: &str) -> Result<(), String> {
    host.call("task.destroy", [task.to_value()]).await?;
    let answer = host.attempt("task.get_status", vec![task.to_value()]).await?;
    let gone = answer.as_ref().is_err_and(|error| error[0] == "HANDLE_INVALID");
    ensure(gone, || format!("a destroyed task answered {answer:?}"))
}

pub(super) async fn success(host: &Host) -> Found {
    let method = "Async.host.get_server_certificate";
    let coordinator = host.coordinator().await?;
    let task = start(host, method, &coordinator).await?;
    let task = task.map_err(|error| format!("{method} failed with {error:?}"))?;
    let record = end_of(host, &task).await?;
    let told = |name: &str| record.get(name).cloned().unwrap_or_default();
    ensure(text(&record, "status")? == "success", || {
        format!("{method} ended with {:?}", told("error_info"))
    })?;
    ensure(told("progress").as_float() == Some(1.0), || {
        format!("an ended task has the progress {:?}", told("progress"))
    })?;
    let result = text(&record, "result")?;
    let sound = result.starts_with("<value>") && result.contains("BEGIN CERTIFICATE");
    ensure(sound, || format!("the result of {method} is {result:?}"))?;
    let finished = told("finished");
    ensure(finished.as_str().is_none_or(|time| !time.starts_with("1970")), || {
        format!("an ended task finished at {finished:?}")
    })?;
    destroy(host, &task).await?;
    Ok(Vec::new())
}

pub(super) async fn failure(host: &Host) -> Found {
    const NOWHERE: &str = "OpaqueRef:00000000-0000-0000-0000-000000000000";
    let method = "Async.VM.get_possible_hosts";
    let error = match start(host, method, NOWHERE).await? {
        Err(error) => error,
        Ok(task) => {
            let record = end_of(host, &task).await?;
            let status = text(&record, "status")?;
            ensure(status == "failure", || {
                format!("{method} of a VM that is not there ended with {status}")
            })?;
            let info = record.get("error_info").and_then(Value::as_array).unwrap_or_default();
            let error = info.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            destroy(host, &task).await?;
            error
        }
    };
    let expected = ["HANDLE_INVALID", "VM", NOWHERE];
    ensure(error == expected, || {
        format!("{method} failed with {error:?}, not {expected:?}")
    })?;
    Ok(Vec::new())
}
