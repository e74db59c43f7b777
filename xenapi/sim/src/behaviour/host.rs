//! Messages of the class `host`.

use std::time::Duration;

use xenapi::{ToValue, Value};

use super::{Behaviour, vm};
use crate::certificate::Certificate;
use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::generic::void;
use crate::schema;
use crate::state::State;

pub(super) fn find(message: &str) -> Option<Behaviour> {
    Some(match message {
        "disable" => disable,
        "enable" => enable,
        "evacuate" => evacuate,
        "assert_can_evacuate" => assert_can_evacuate,
        "get_vms_which_prevent_evacuation" => get_vms_which_prevent_evacuation,
        "get_server_certificate" => get_server_certificate,
        "get_servertime" => get_servertime,
        "get_server_localtime" => get_server_localtime,
        "compute_free_memory" => compute_free_memory,
        "compute_memory_overhead" => compute_memory_overhead,
        "get_management_interface" => get_management_interface,
        "list_methods" => list_methods,
        "reboot" => reboot,
        "restart_agent" => restart_agent,
        "set_hostname_live" => set_hostname_live,
        "call_plugin" => call_plugin,
        "has_extension" => has_extension,
        _ => return None,
    })
}

/// Brings `allowed_operations` up to date.
pub(crate) fn refresh(state: &mut State, host: &str) {
    let allowed: &[&str] = if state.db.flag("host", host, "enabled") {
        &["vm_migrate", "provision", "vm_resume", "enable", "evacuate", "vm_start"]
    } else {
        &["vm_migrate", "vm_resume", "enable", "evacuate", "shutdown", "reboot"]
    };
    let allowed = Value::Array(allowed.iter().map(|operation| operation.to_value()).collect());
    state.db.refresh("host", host, "allowed_operations", allowed);
}

fn set_enabled(state: &mut State, call: &Invocation, enabled: bool) -> Result<Value> {
    state.require("host", call.text(0))?;
    state.db.set("host", call.text(0), "enabled", enabled);
    refresh(state, call.text(0));
    Ok(void())
}

fn disable(state: &mut State, call: &Invocation) -> Result<Value> {
    set_enabled(state, call, false)
}

fn enable(state: &mut State, call: &Invocation) -> Result<Value> {
    set_enabled(state, call, true)
}

fn evacuate(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("host", call.text(0))?;
    vm::evacuate(state, call.text(0))?;
    Ok(void())
}

fn assert_can_evacuate(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("host", call.text(0))?;
    vm::can_evacuate(state, call.text(0))?;
    Ok(void())
}

fn get_vms_which_prevent_evacuation(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("host", call.text(0))?;
    let stuck = vm::prevents_evacuation(state, call.text(0)).into_iter();
    Ok(Value::Struct(
        stuck.map(|(vm, error)| (vm, error.description().to_value())).collect(),
    ))
}

fn get_server_certificate(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("host", call.text(0))?;
    let number = state.hosts.iter().position(|host| host == call.text(0));
    let certificate = number.and_then(|number| state.certificates.get(number));
    Ok(certificate.map_or("", Certificate::pem).to_value())
}

fn get_servertime(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("host", call.text(0))?;
    Ok(Value::DateTime(state.clock.now()))
}

/// Times of this call have no zone.
fn get_server_localtime(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("host", call.text(0))?;
    let text = state.clock.now().to_string();
    let local = text
        .trim_end_matches('Z')
        .parse()
        .map_err(|_| ApiError::internal("Not_found"))?;
    Ok(Value::DateTime(local))
}

fn compute_free_memory(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("host", call.text(0))?;
    let metrics = state.db.text("host", call.text(0), "metrics");
    Ok(Value::Int(state.db.int("host_metrics", &metrics, "memory_free")))
}

fn compute_memory_overhead(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("host", call.text(0))?;
    Ok(Value::Int(state.db.int("host", call.text(0), "memory_overhead")))
}

fn get_management_interface(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("host", call.text(0))?;
    let interfaces = state.db.list("host", call.text(0), "PIFs");
    let management = interfaces
        .into_iter()
        .find(|pif| state.db.flag("PIF", pif, "management"));
    Ok(management.unwrap_or_else(|| schema::NULL.to_owned()).to_value())
}

fn list_methods(_: &mut State, _: &Invocation) -> Result<Value> {
    Ok(schema::method_names().to_value())
}

/// How long a host is away while it starts anew, which takes minutes on a real one.
const BOOT: Duration = Duration::from_secs(3);
/// How long it takes the toolstack alone.
const TOOLSTACK: Duration = Duration::from_secs(1);

fn number(state: &State, host: &str) -> Result<usize> {
    let number = state.hosts.iter().position(|known| known == host);
    number.ok_or_else(|| ApiError::handle_invalid("host", host))
}

/// A host starts enabled again.
fn reboot(state: &mut State, call: &Invocation) -> Result<Value> {
    let host = call.text(0);
    let number = number(state, host)?;
    if state.db.flag("host", host, "enabled") {
        return Err(ApiError::new("HOST_NOT_DISABLED", []));
    }
    let residents = state.db.list("host", host, "resident_VMs");
    if let Some(vm) = residents
        .iter()
        .find(|vm| !state.db.flag("VM", vm, "is_control_domain"))
    {
        return Err(ApiError::new("HOST_IN_USE", [host, "VM", vm]));
    }
    state.restart(number, BOOT);
    set_enabled(state, call, true)
}

fn restart_agent(state: &mut State, call: &Invocation) -> Result<Value> {
    let number = number(state, call.text(0))?;
    state.restart(number, TOOLSTACK);
    Ok(void())
}

fn set_hostname_live(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("host", call.text(0))?;
    state.db.set("host", call.text(0), "hostname", call.text(1));
    Ok(void())
}

/// No plugin is installed.
fn call_plugin(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("host", call.text(0))?;
    Err(ApiError::new("XENAPI_MISSING_PLUGIN", [call.text(1)]))
}

fn has_extension(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("host", call.text(0))?;
    Ok(Value::Bool(false))
}
