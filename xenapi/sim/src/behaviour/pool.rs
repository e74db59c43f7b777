//! Messages of the class `pool`.

use xenapi::{ToValue, Value};

use super::Behaviour;
use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::generic::void;
use crate::state::State;

pub(super) fn find(message: &str) -> Option<Behaviour> {
    Some(match message {
        "sync_database" => sync_database,
        "designate_new_master" => designate_new_master,
        "emergency_transition_to_master" => emergency_transition_to_master,
        "emergency_reset_master" => emergency_reset_master,
        "eject" => eject,
        "recover_slaves" => recover_slaves,
        "has_extension" => has_extension,
        "get_license_state" => get_license_state,
        _ => return None,
    })
}

fn sync_database(_: &mut State, _: &Invocation) -> Result<Value> {
    Ok(void())
}

/// From here on the other hosts, the old coordinator among them, answer with `HOST_IS_SLAVE`, and sessions and tasks
/// are gone.
fn designate_new_master(state: &mut State, call: &Invocation) -> Result<Value> {
    state.promote(call.text(0))?;
    Ok(void())
}

/// A member that has lost its coordinator takes over itself.
fn emergency_transition_to_master(state: &mut State, call: &Invocation) -> Result<Value> {
    let host = state.hosts.get(call.host).cloned().unwrap_or_default();
    state.promote(&host)?;
    Ok(void())
}

/// A member that has lost its coordinator is told of the new one.
fn emergency_reset_master(state: &mut State, call: &Invocation) -> Result<Value> {
    state.in_emergency.remove(&call.host);
    Ok(void())
}

fn eject(state: &mut State, call: &Invocation) -> Result<Value> {
    let host = call.text(0);
    state.require("host", host)?;
    if host == state.coordinator() {
        return Err(ApiError::new("HOST_CANNOT_DESTROY_SELF", [host]));
    }
    let residents = state.db.list("host", host, "resident_VMs");
    if residents.iter().any(|vm| !state.db.flag("VM", vm, "is_control_domain")) {
        return Err(ApiError::new("HOST_HAS_RESIDENT_VMS", [host]));
    }
    for vm in residents {
        state.db.remove("VM", &vm);
    }
    for (class, set) in [
        ("PBD", "PBDs"),
        ("PIF", "PIFs"),
        ("host_cpu", "host_CPUs"),
        ("PCI", "PCIs"),
    ] {
        for object in state.db.list("host", host, set) {
            state.db.remove(class, &object);
        }
    }
    state.db.remove("host", host);
    Ok(void())
}

fn recover_slaves(_: &mut State, _: &Invocation) -> Result<Value> {
    Ok(Value::Array(Vec::new()))
}

fn has_extension(_: &mut State, _: &Invocation) -> Result<Value> {
    Ok(Value::Bool(false))
}

fn get_license_state(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("pool", call.text(0))?;
    Ok(Value::Struct(vec![
        ("edition".to_owned(), "free/libre".to_value()),
        ("expiry".to_owned(), "never".to_value()),
    ]))
}
