//! Snapshots, clones and copies of VMs, and the way back to a snapshot.

use xenapi::{ToValue, Value};

use super::create::add_metrics;
use super::lifecycle::{non_null, refresh};
use super::power::announce;
use crate::behaviour::{vbd, vdi, vif};
use crate::datamodel::Qualifier;
use crate::dispatch::Invocation;
use crate::error::Result;
use crate::generic::void;
use crate::schema::{self, NULL};
use crate::state::State;

/// What is made of a VM.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind<'a> {
    Snapshot,
    Checkpoint,
    Clone,
    /// With full copies of the disks in this SR, or each in its own where that is null.
    Copy(&'a str),
}

pub(super) fn snapshot(state: &mut State, call: &Invocation) -> Result<Value> {
    Ok(take_snapshot(state, call.text(0), call.text(1), &call.list(2))?.to_value())
}

/// Takes a snapshot of all disks but the ignored ones.
pub(crate) fn take_snapshot(state: &mut State, vm: &str, name: &str, ignored: &[String]) -> Result<String> {
    let snapshot = duplicate(state, vm, name, Kind::Snapshot, ignored)?;
    announce(
        state,
        vm,
        "VM_SNAPSHOTTED",
        &format!("snapshotted, snapshot name: {name}"),
    );
    Ok(snapshot)
}

pub(super) fn checkpoint(state: &mut State, call: &Invocation) -> Result<Value> {
    let snapshot = duplicate(state, call.text(0), call.text(1), Kind::Checkpoint, &[])?;
    announce(
        state,
        call.text(0),
        "VM_CHECKPOINTED",
        &format!("checkpointed, checkpoint name: {}", call.text(1)),
    );
    Ok(snapshot.to_value())
}

pub(super) fn clone(state: &mut State, call: &Invocation) -> Result<Value> {
    let clone = duplicate(state, call.text(0), call.text(1), Kind::Clone, &[])?;
    announce(
        state,
        call.text(0),
        "VM_CLONED",
        &format!("cloned, clone name: {}", call.text(1)),
    );
    Ok(clone.to_value())
}

pub(super) fn copy(state: &mut State, call: &Invocation) -> Result<Value> {
    let sr = call.text(2);
    if sr != NULL {
        state.require("SR", sr)?;
    }
    Ok(duplicate(state, call.text(0), call.text(1), Kind::Copy(sr), &[])?.to_value())
}

fn duplicate(state: &mut State, vm: &str, name: &str, kind: Kind<'_>, ignored: &[String]) -> Result<String> {
    let is_snapshot = matches!(kind, Kind::Snapshot | Kind::Checkpoint);
    // The disks first: they can fail.
    let mut disks = Vec::new();
    for device in state.db.list("VM", vm, "VBDs") {
        let disk = state.db.text("VBD", &device, "VDI");
        if ignored.contains(&disk) {
            continue;
        }
        let copied = if state.db.is("VBD", &device, "type", "CD") || disk == NULL {
            disk
        } else {
            duplicate_disk(state, &disk, kind)?
        };
        disks.push((device, copied));
    }
    let mut fields = writable_fields(state, vm);
    let was_snapshot = state.db.flag("VM", vm, "is_a_snapshot");
    fields.extend([
        ("name_label", name.to_value()),
        ("suspend_VDI", NULL.to_value()),
        (
            "is_a_template",
            Value::Bool(is_snapshot || state.db.flag("VM", vm, "is_a_template")),
        ),
        ("is_a_snapshot", Value::Bool(is_snapshot)),
        ("power_state", "Halted".to_value()),
    ]);
    if !is_snapshot {
        fields.push(("blocked_operations", Value::Struct(Vec::new())));
    }
    let copy = state.create("VM", &fields);
    if is_snapshot {
        mark_snapshot(state, vm, &copy, kind)?;
    } else {
        let seed = state.ids.uuid();
        state.db.set_entry("VM", &copy, "other_config", "mac_seed", seed);
        if was_snapshot {
            state.db.set("VM", &copy, "parent", vm);
        }
    }
    for (device, disk) in disks {
        vbd::duplicate(state, &device, &copy, &disk);
    }
    for device in state.db.list("VM", vm, "VIFs") {
        vif::duplicate(state, &device, &copy, is_snapshot);
    }
    add_metrics(state, &copy);
    refresh(state, vm);
    Ok(copy)
}

/// The fields that a client may set, as they are now.
fn writable_fields(state: &State, vm: &str) -> Vec<(&'static str, Value)> {
    let Some(info) = schema::class("VM") else {
        return Vec::new();
    };
    let fields = info
        .fields()
        .iter()
        .filter(|field| field.qualifier != Qualifier::DynamicRo);
    fields
        .filter_map(|field| Some((field.name, state.db.get("VM", vm, field.name)?.clone())))
        .collect()
}

fn duplicate_disk(state: &mut State, disk: &str, kind: Kind<'_>) -> Result<String> {
    match kind {
        Kind::Snapshot | Kind::Checkpoint => vdi::make_snapshot(state, disk),
        Kind::Clone => vdi::make_clone(state, disk, NULL),
        Kind::Copy(sr) => vdi::make_clone(state, disk, sr),
    }
}

fn mark_snapshot(state: &mut State, vm: &str, snapshot: &str, kind: Kind<'_>) -> Result<()> {
    let power_state = state.db.text("VM", vm, "power_state");
    let info = Value::Struct(vec![
        ("disk-snapshot-type".to_owned(), "crash_consistent".to_value()),
        ("power-state-at-snapshot".to_owned(), power_state.to_value()),
    ]);
    let now = state.clock.now();
    let parent = state.db.text("VM", vm, "parent");
    state.db.set("VM", snapshot, "snapshot_of", vm);
    state.db.set("VM", snapshot, "snapshot_time", now);
    state.db.set("VM", snapshot, "snapshot_info", info);
    state.db.set("VM", snapshot, "snapshot_metadata", metadata(state, vm));
    state.db.set("VM", snapshot, "parent", parent);
    state.db.set("VM", vm, "parent", snapshot);
    if kind == Kind::Checkpoint {
        let size = state.db.int("VM", vm, "memory_dynamic_max");
        let pool = state.pool();
        let places = [
            state.db.text("VM", vm, "suspend_SR"),
            state.db.text("pool", &pool, "default_SR"),
        ];
        if let Some(sr) = places.into_iter().find_map(non_null) {
            let image = vdi::make(state, &sr, "Suspend image", size, "suspend")?;
            state.db.set("VM", snapshot, "suspend_VDI", image);
        }
        state.db.set("VM", snapshot, "power_state", "Suspended");
    }
    Ok(())
}

/// The text in which xapi keeps the fields that a revert brings back.
fn metadata(state: &State, vm: &str) -> String {
    let Some(Value::Struct(members)) = schema::class("VM").and_then(|info| state.db.record(info, vm)) else {
        return String::new();
    };
    let shown = members.iter().rev().filter_map(|(name, value)| {
        let text = match value {
            Value::String(text) => text.replace('\\', "\\\\").replace('\'', "\\'"),
            Value::Int(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            Value::Float(number) => number.to_string(),
            Value::DateTime(time) => time.to_string(),
            _ => return None,
        };
        Some(format!("('{name}' '{text}')"))
    });
    format!("({})", shown.collect::<Vec<_>>().join(" "))
}

/// Makes a VM what it was when the snapshot was taken.
pub(super) fn revert(state: &mut State, call: &Invocation) -> Result<Value> {
    let snapshot = call.text(0);
    let vm = state.db.text("VM", snapshot, "snapshot_of");
    state.require("VM", &vm)?;
    let mut disks = Vec::new();
    for device in state.db.list("VM", snapshot, "VBDs") {
        let disk = state.db.text("VBD", &device, "VDI");
        let plain = state.db.is("VBD", &device, "type", "CD") || disk == NULL;
        let copied = if plain { disk } else { vdi::make_reverted(state, &disk)? };
        disks.push((device, copied));
    }
    if !state.db.is("VM", &vm, "power_state", "Halted") {
        let stop = Invocation {
            args: vec![vm.to_value()],
            ..call.clone()
        };
        super::power::power_state_reset(state, &stop)?;
    }
    for device in state.db.list("VM", &vm, "VBDs") {
        if !state.db.is("VBD", &device, "type", "CD") {
            let disk = state.db.text("VBD", &device, "VDI");
            vdi::remove(state, &disk);
        }
        vbd::remove(state, &device);
    }
    for device in state.db.list("VM", &vm, "VIFs") {
        state.db.remove("VIF", &device);
    }
    for (field, value) in writable_fields(state, snapshot) {
        if !matches!(
            field,
            "name_label" | "is_a_template" | "suspend_VDI" | "power_state" | "blocked_operations"
        ) {
            state.db.refresh("VM", &vm, field, value);
        }
    }
    for (device, disk) in disks {
        vbd::duplicate(state, &device, &vm, &disk);
    }
    for device in state.db.list("VM", snapshot, "VIFs") {
        vif::duplicate(state, &device, &vm, true);
    }
    if state.db.is("VM", snapshot, "power_state", "Suspended") {
        let image = state.db.text("VM", snapshot, "suspend_VDI");
        if state.db.exists("VDI", &image) {
            let copied = vdi::make_clone(state, &image, NULL)?;
            state.db.set("VM", &vm, "suspend_VDI", copied);
        }
        state.db.set("VM", &vm, "power_state", "Suspended");
    }
    state.db.set("VM", &vm, "parent", snapshot);
    announce(
        state,
        &vm,
        "VM_REVERTED",
        &format!("reverted to snapshot {}", state.uuid("VM", snapshot)),
    );
    refresh(state, &vm);
    Ok(void())
}
