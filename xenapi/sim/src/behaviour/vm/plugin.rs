//! What a guest's agent is asked for through the pool.

use std::time::Duration;

use tokio::time::Instant;
use xenapi::{ToValue, Value};

use super::lifecycle::non_null;
use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::state::State;

/// Between two calls for one VM.
const INTERVAL: Duration = Duration::from_secs(10);

/// Of a script, and of each of its outputs that comes back.
const LONGEST: usize = 1024;

/// The simulated guests know `echo` and `exit`.
pub(super) fn call_plugin(state: &mut State, call: &Invocation) -> Result<Value> {
    let (vm, plugin, function) = (call.text(0), call.text(1), call.text(2));
    if plugin != "guest-agent-operation" {
        return Err(ApiError::new("XENAPI_MISSING_PLUGIN", [plugin]));
    }
    if non_null(state.db.text("VM", vm, "guest_metrics")).is_none() {
        return Err(ApiError::new("VM_LACKS_FEATURE", [vm]));
    }
    let argument = |name: &str| call.args.get(3)?.get(name)?.as_str();
    let output = match function {
        "request-rdp-on" | "request-rdp-off" => String::new(),
        "run-script" => {
            let pool = state.pool();
            let is_allowed = state
                .db
                .entry("pool", &pool, "other_config", "allow_guest_agent_run_script");
            if is_allowed.as_deref() != Some("true") {
                return Err(ApiError::new(
                    "OPERATION_NOT_ALLOWED",
                    ["run-script is not enabled in this pool"],
                ));
            }
            let (Some(script), Some(_), Some(_)) = (argument("script"), argument("username"), argument("password"))
            else {
                return Err(ApiError::new(
                    "XENAPI_PLUGIN_FAILURE",
                    [function, "", "an argument is missing"],
                ));
            };
            if script.len() > LONGEST {
                return Err(ApiError::new(
                    "VALUE_NOT_SUPPORTED",
                    ["script", script, "it is too long"],
                ));
            }
            run(script)
        }
        _ => return Err(ApiError::new("XENAPI_MISSING_PLUGIN", [plugin])),
    };
    let passed = state.plugin_calls.get(vm).map(|last| last.elapsed());
    if let Some(wait) = passed.and_then(|passed| INTERVAL.checked_sub(passed)) {
        let seconds = [INTERVAL, wait].map(|time| time.as_secs_f64().to_string());
        return Err(ApiError::new(
            "VM_CALL_PLUGIN_RATE_LIMIT",
            [vm, &seconds[0], &seconds[1]],
        ));
    }
    state.plugin_calls.insert(vm.to_owned(), Instant::now());
    Ok(output.to_value())
}

fn run(script: &str) -> String {
    let (mut code, mut out, mut errors) = (0, String::new(), String::new());
    for line in script.lines() {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("echo", text) => out = format!("{out}{text}\n"),
            ("exit", number) => {
                code = number.parse().unwrap_or(1);
                break;
            }
            ("", _) => {}
            (command, _) => {
                code = 1;
                errors = format!("{errors}'{command}' is not recognized\n");
            }
        }
    }
    serde_json::json!({ "rc": code, "stdout": cut(out), "stderr": cut(errors) }).to_string()
}

fn cut(mut text: String) -> String {
    if let Some(end) = (0..=LONGEST).rev().find(|&end| text.is_char_boundary(end))
        && text.len() > LONGEST
    {
        text.truncate(end);
        text.push_str(" (truncated)");
    }
    text
}
