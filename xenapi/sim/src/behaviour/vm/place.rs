//! Where a VM can run, and where its devices can go.

use xenapi::{ToValue, Value};

use super::lifecycle::non_null;
use crate::behaviour::sr;
use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::generic::void;
use crate::state::State;

/// The most devices of one kind that a VM can have.
const DEVICES: usize = 16;

/// Complains unless the VM can run on the host.
pub(super) fn check_host(state: &State, vm: &str, host: &str) -> Result<()> {
    if !state.db.flag("host", host, "enabled") {
        return Err(ApiError::new("HOST_DISABLED", [host]));
    }
    for sr in storage(state, vm) {
        if !sr::is_seen_by(state, &sr, host) {
            return Err(ApiError::new("VM_REQUIRES_SR", [vm, &sr]));
        }
    }
    let needed = state.db.int("VM", vm, "memory_dynamic_max") + state.db.int("VM", vm, "memory_overhead");
    let metrics = state.db.text("host", host, "metrics");
    let available = state.db.int("host_metrics", &metrics, "memory_free");
    if needed > available {
        let numbers = [needed, available].map(|bytes| bytes.to_string());
        return Err(ApiError::new("HOST_NOT_ENOUGH_FREE_MEMORY", [&numbers[0], &numbers[1]]));
    }
    Ok(())
}

/// The host that a VM prefers where that is possible, else the one with most free memory.
pub(super) fn choose_host(state: &State, vm: &str) -> Result<String> {
    let affinity = state.db.text("VM", vm, "affinity");
    let free = |host: &str| {
        state
            .db
            .int("host_metrics", &state.db.text("host", host, "metrics"), "memory_free")
    };
    let possible = state.hosts.iter().filter(|host| check_host(state, vm, host).is_ok());
    let chosen = possible.max_by_key(|host| (**host == affinity, free(host)));
    chosen.cloned().ok_or_else(|| ApiError::new("NO_HOSTS_AVAILABLE", []))
}

/// The SRs with the disks of a VM.
fn storage(state: &State, vm: &str) -> Vec<String> {
    let disks = state
        .db
        .list("VM", vm, "VBDs")
        .into_iter()
        .filter_map(|vbd| non_null(state.db.text("VBD", &vbd, "VDI")));
    disks.map(|vdi| state.db.text("VDI", &vdi, "SR")).collect()
}

/// Brings the free memory of the hosts up to date.
pub(crate) fn count_free_memory(state: &mut State) {
    for host in state.hosts.clone() {
        let metrics = state.db.text("host", &host, "metrics");
        let total = state.db.int("host_metrics", &metrics, "memory_total");
        let sum = |field: &str| state.db.sum("VM", field, &host);
        let used = sum("memory_dynamic_max").saturating_add(sum("memory_overhead"));
        state.db.refresh(
            "host_metrics",
            &metrics,
            "memory_free",
            total.saturating_sub(used).max(0),
        );
    }
}

pub(super) fn get_allowed_vbd_devices(state: &mut State, call: &Invocation) -> Result<Value> {
    free_devices(state, call, "VBDs", "VBD", "userdevice")
}

pub(super) fn get_allowed_vif_devices(state: &mut State, call: &Invocation) -> Result<Value> {
    free_devices(state, call, "VIFs", "VIF", "device")
}

fn free_devices(state: &State, call: &Invocation, set: &str, class: &str, field: &str) -> Result<Value> {
    state.require("VM", call.text(0))?;
    let devices = state.db.list("VM", call.text(0), set);
    let taken: Vec<_> = devices
        .iter()
        .map(|device| state.db.text(class, device, field))
        .collect();
    let free = (0..DEVICES)
        .map(|number| number.to_string())
        .filter(|number| !taken.contains(number));
    Ok(free.collect::<Vec<_>>().to_value())
}

pub(super) fn get_possible_hosts(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("VM", call.text(0))?;
    let possible = state
        .hosts
        .iter()
        .filter(|host| check_host(state, call.text(0), host).is_ok());
    Ok(possible.cloned().collect::<Vec<_>>().to_value())
}

pub(super) fn assert_can_boot_here(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("VM", call.text(0))?;
    state.require("host", call.text(1))?;
    check_host(state, call.text(0), call.text(1))?;
    Ok(void())
}

pub(super) fn assert_agile(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("VM", call.text(0))?;
    for sr in storage(state, call.text(0)) {
        if !state.db.flag("SR", &sr, "shared") {
            return Err(ApiError::new("HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED", [&sr]));
        }
    }
    Ok(void())
}

pub(super) fn get_cooperative(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("VM", call.text(0))?;
    Ok(Value::Bool(true))
}

/// Things that go into the guest and leave no trace here.
pub(super) fn nothing(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("VM", call.text(0))?;
    Ok(void())
}
