//! Live values of hosts, VMs and SRs.

use xenapi::{ToValue, Value};

use super::Behaviour;
use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::generic::void;
use crate::rrd::{self, Source};
use crate::state::State;

pub(super) fn find(message: &str) -> Option<Behaviour> {
    Some(match message {
        "get_data_sources" => get_data_sources,
        "query_data_source" => query_data_source,
        "record_data_source" | "forget_data_source_archives" => keep,
        _ => return None,
    })
}

/// What is measured of the object that the call is about. The power state is checked by the words of the metrics daemon.
fn sources(state: &State, call: &Invocation) -> Result<Vec<Source>> {
    let object = call.text(0);
    match call.method.class.name() {
        "host" => Ok(rrd::of_host(state, object)),
        "SR" => Ok(rrd::of_sr(state, object)),
        class => match state.db.text(class, object, "power_state").as_str() {
            "Running" => Ok(rrd::of_vm(state, object)),
            other => Err(ApiError::new(
                "VM_BAD_POWER_STATE",
                [object, "running", &other.to_lowercase()],
            )),
        },
    }
}

fn get_data_sources(state: &mut State, call: &Invocation) -> Result<Value> {
    let records = sources(state, call)?.into_iter().map(|source| {
        let name: &str = &source.name;
        let fields = [
            ("name_label", name.to_value()),
            ("name_description", "".to_value()),
            ("enabled", true.to_value()),
            ("standard", true.to_value()),
            ("units", units(&source).to_value()),
            ("min", 0.0.to_value()),
            ("max", source.max.to_value()),
            // The server never fills it in; the value has a message of its own.
            ("value", 0.0.to_value()),
        ];
        Value::Struct(fields.map(|(name, value)| (name.to_owned(), value)).into())
    });
    Ok(Value::Array(records.collect()))
}

fn units(source: &Source) -> &'static str {
    match source.name.as_str() {
        name if name.ends_with("_kib") || name == "memory_internal_free" => "KiB",
        "pool_session_count" => "sessions",
        "pool_task_count" => "tasks",
        _ if source.kind == "DERIVE" => "B/s",
        _ if source.max == 1.0 => "(fraction)",
        _ => "B",
    }
}

fn query_data_source(state: &mut State, call: &Invocation) -> Result<Value> {
    let source = find_source(state, call)?;
    Ok(source.at(state.clock.now().unix_seconds()).to_value())
}

/// All sources are recorded, and stay so: only whether there is such a one is checked.
fn keep(state: &mut State, call: &Invocation) -> Result<Value> {
    find_source(state, call).map(|_| void())
}

fn find_source(state: &State, call: &Invocation) -> Result<Source> {
    let wanted = call.text(1);
    let found = sources(state, call)?.into_iter().find(|source| source.name == wanted);
    found.ok_or_else(|| ApiError::internal(&format!("there is no data source {wanted:?}")))
}
