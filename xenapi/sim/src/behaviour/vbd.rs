//! Messages of the class `VBD`.

use xenapi::{ToValue, Value};

use super::{Behaviour, vdi, vm};
use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::generic::void;
use crate::schema::{self, NULL};
use crate::state::State;

pub(super) fn find(message: &str) -> Option<Behaviour> {
    Some(match message {
        "create" => create,
        "destroy" => destroy,
        "insert" => insert,
        "eject" => eject,
        "plug" => plug,
        "unplug" | "unplug_force" => unplug,
        "assert_attachable" => assert_attachable,
        "set_mode" => set_mode,
        _ => return None,
    })
}

/// Brings `allowed_operations` up to date.
pub(crate) fn refresh(state: &mut State, vbd: &str) {
    let db = &state.db;
    let owner = db.text("VBD", vbd, "VM");
    let running = db.is("VM", &owner, "power_state", "Running");
    let attached = db.flag("VBD", vbd, "currently_attached");
    let is_cd = db.is("VBD", vbd, "type", "CD");
    let mut allowed = vec!["attach"];
    if running && attached {
        allowed.push("unpause");
    }
    if is_cd {
        allowed.push(if db.flag("VBD", vbd, "empty") {
            "insert"
        } else {
            "eject"
        });
    } else if running {
        allowed.extend_from_slice(if attached {
            &["unplug", "unplug_force"]
        } else {
            &["plug"]
        });
    }
    if running && attached {
        allowed.push("pause");
    }
    let allowed = Value::Array(allowed.iter().map(|operation| operation.to_value()).collect());
    state.db.refresh("VBD", vbd, "allowed_operations", allowed);
}

/// Connects the device to a VM that runs.
pub(crate) fn attach(state: &mut State, vbd: &str) {
    let number = state
        .db
        .text("VBD", vbd, "userdevice")
        .parse::<u8>()
        .unwrap_or(0)
        .min(25);
    state
        .db
        .set("VBD", vbd, "device", format!("xvd{}", char::from(b'a' + number)));
    state.db.set("VBD", vbd, "currently_attached", true);
    refresh_with_disk(state, vbd);
}

/// Takes the device from a VM.
pub(crate) fn detach(state: &mut State, vbd: &str) {
    state.db.refresh("VBD", vbd, "device", "");
    state.db.refresh("VBD", vbd, "currently_attached", false);
    refresh_with_disk(state, vbd);
}

fn refresh_with_disk(state: &mut State, vbd: &str) {
    refresh(state, vbd);
    let disk = state.db.text("VBD", vbd, "VDI");
    vdi::refresh(state, &disk);
}

/// Complains where another VM writes to a disk of this one.
pub(crate) fn check_disks_are_free(state: &State, vm: &str) -> Result<()> {
    state
        .db
        .list("VM", vm, "VBDs")
        .iter()
        .try_for_each(|vbd| check_disk_is_free(state, vbd))
}

fn check_disk_is_free(state: &State, vbd: &str) -> Result<()> {
    let disk = state.db.text("VBD", vbd, "VDI");
    let in_use = state.db.list("VDI", &disk, "VBDs").iter().any(|other| {
        other != vbd
            && state.db.flag("VBD", other, "currently_attached")
            && (state.db.is("VBD", other, "mode", "RW") || state.db.is("VBD", vbd, "mode", "RW"))
    });
    let sharable = state.db.flag("VDI", &disk, "sharable");
    if in_use && !sharable {
        Err(ApiError::new("VDI_IN_USE", [&disk, "attach"]))
    } else {
        Ok(())
    }
}

/// Adds a disk to a VM.
pub(crate) fn add_disk(state: &mut State, vm: &str, disk: &str, device: &str, bootable: bool) -> String {
    let fields = [
        ("VM", vm.to_value()),
        ("VDI", disk.to_value()),
        ("userdevice", device.to_value()),
        ("bootable", Value::Bool(bootable)),
        ("mode", "RW".to_value()),
        ("type", "Disk".to_value()),
    ];
    add(state, &fields)
}

/// Adds an empty CD drive to a VM.
pub(crate) fn add_drive(state: &mut State, vm: &str, device: &str) -> String {
    let fields = [
        ("VM", vm.to_value()),
        ("VDI", NULL.to_value()),
        ("userdevice", device.to_value()),
        ("mode", "RO".to_value()),
        ("type", "CD".to_value()),
        ("empty", Value::Bool(true)),
    ];
    add(state, &fields)
}

/// Adds a device whose fields are given.
pub(crate) fn add(state: &mut State, fields: &[(&str, Value)]) -> String {
    let metrics = state.create("VBD_metrics", &[]);
    let vbd = state.create("VBD", fields);
    state.db.set("VBD", &vbd, "metrics", metrics);
    refresh_with_disk(state, &vbd);
    vbd
}

/// Adds a device like this one to another VM, with another disk.
pub(crate) fn duplicate(state: &mut State, vbd: &str, vm: &str, disk: &str) {
    let Some(info) = schema::class("VBD") else { return };
    let fields = info.constructor_fields();
    let mut fields: Vec<_> = fields
        .filter_map(|(_, field)| Some((field.name, state.db.get("VBD", vbd, field.name)?.clone())))
        .collect();
    fields.extend([
        ("VM", vm.to_value()),
        ("VDI", disk.to_value()),
        ("device", "".to_value()),
        ("currently_attached", Value::Bool(false)),
    ]);
    add(state, &fields);
}

/// Removes a device together with what belongs to it.
pub(crate) fn remove(state: &mut State, vbd: &str) {
    let metrics = state.db.text("VBD", vbd, "metrics");
    let disk = state.db.text("VBD", vbd, "VDI");
    state.db.remove("VBD_metrics", &metrics);
    state.db.remove("VBD", vbd);
    vdi::refresh(state, &disk);
}

fn create(state: &mut State, call: &Invocation) -> Result<Value> {
    let mut fields = schema::constructor_argument(call.method.class, &call.value(0))?;
    let text = |name: &str| {
        let found = fields.iter().find(|(field, _)| *field == name);
        found
            .and_then(|(_, value)| value.as_str())
            .unwrap_or_default()
            .to_owned()
    };
    let (owner, disk, device) = (text("VM"), text("VDI"), text("userdevice"));
    let empty = fields
        .iter()
        .any(|(field, value)| *field == "empty" && *value == Value::Bool(true));
    state.require("VM", &owner)?;
    if text("type") == "CD" && text("mode") == "RW" {
        return Err(ApiError::new("VBD_CDS_MUST_BE_READONLY", []));
    }
    if !empty || disk != NULL {
        vdi::has_content(state, &disk)?;
        if text("mode") == "RW" && state.db.flag("VDI", &disk, "read_only") {
            return Err(ApiError::new("VDI_READONLY", [&disk]));
        }
    }
    let siblings = state.db.list("VM", &owner, "VBDs");
    let taken: Vec<_> = siblings
        .iter()
        .map(|vbd| state.db.text("VBD", vbd, "userdevice"))
        .collect();
    let device = if device == "autodetect" {
        let free = (0..=255)
            .map(|number| number.to_string())
            .find(|number| !taken.contains(number));
        free.ok_or_else(|| ApiError::new("INVALID_DEVICE", [&device]))?
    } else {
        device
    };
    if taken.contains(&device) {
        return Err(ApiError::new("DEVICE_ALREADY_EXISTS", [&device]));
    }
    if !device.parse::<u16>().is_ok_and(|number| number < 256)
        && !device.starts_with("xvd")
        && !device.starts_with("hd")
    {
        return Err(ApiError::new("INVALID_DEVICE", [&device]));
    }
    fields.extend([
        ("userdevice", device.to_value()),
        ("device", "".to_value()),
        ("currently_attached", Value::Bool(false)),
        ("empty", Value::Bool(disk == NULL)),
    ]);
    Ok(add(state, &fields).to_value())
}

fn destroy(state: &mut State, call: &Invocation) -> Result<Value> {
    let vbd = call.text(0);
    if state.db.flag("VBD", vbd, "currently_attached") {
        let owner = state.db.text("VBD", vbd, "VM");
        let text = format!(
            "VBD '{}' still attached to '{}'",
            state.uuid("VBD", vbd),
            state.uuid("VM", &owner)
        );
        return Err(ApiError::new("OPERATION_NOT_ALLOWED", [&text]));
    }
    remove(state, vbd);
    Ok(void())
}

fn assert_removable(state: &State, vbd: &str) -> Result<()> {
    state.require("VBD", vbd)?;
    if state.db.is("VBD", vbd, "type", "CD") {
        Ok(())
    } else {
        Err(ApiError::new("VBD_NOT_REMOVABLE_MEDIA", [vbd]))
    }
}

fn insert(state: &mut State, call: &Invocation) -> Result<Value> {
    let (vbd, disk) = (call.text(0), call.text(1));
    assert_removable(state, vbd)?;
    if !state.db.flag("VBD", vbd, "empty") {
        return Err(ApiError::new("VBD_NOT_EMPTY", [vbd]));
    }
    state.require("VDI", disk)?;
    state.db.set("VBD", vbd, "VDI", disk);
    state.db.set("VBD", vbd, "empty", false);
    refresh_with_disk(state, vbd);
    Ok(void())
}

fn eject(state: &mut State, call: &Invocation) -> Result<Value> {
    let vbd = call.text(0);
    assert_removable(state, vbd)?;
    if state.db.flag("VBD", vbd, "empty") {
        return Err(ApiError::new("VBD_IS_EMPTY", [vbd]));
    }
    let disk = state.db.text("VBD", vbd, "VDI");
    state.db.set("VBD", vbd, "empty", true);
    state.db.set("VBD", vbd, "VDI", NULL);
    refresh(state, vbd);
    vdi::refresh(state, &disk);
    Ok(void())
}

/// Devices come and go only while the VM runs; this error spells the states as the class does.
pub(super) fn assert_running(state: &State, class: &str, device: &str) -> Result<()> {
    state.require(class, device)?;
    let owner = state.db.text(class, device, "VM");
    let power_state = state.db.text("VM", &owner, "power_state");
    if power_state == "Running" {
        Ok(())
    } else {
        Err(ApiError::new("VM_BAD_POWER_STATE", [&owner, "Running", &power_state]))
    }
}

fn plug(state: &mut State, call: &Invocation) -> Result<Value> {
    let vbd = call.text(0);
    assert_running(state, "VBD", vbd)?;
    if state.db.flag("VBD", vbd, "currently_attached") {
        return Err(ApiError::new("DEVICE_ALREADY_ATTACHED", [vbd]));
    }
    check_disk_is_free(state, vbd)?;
    attach(state, vbd);
    Ok(void())
}

fn unplug(state: &mut State, call: &Invocation) -> Result<Value> {
    let vbd = call.text(0);
    assert_running(state, "VBD", vbd)?;
    if !state.db.flag("VBD", vbd, "currently_attached") {
        return Err(ApiError::new("DEVICE_ALREADY_DETACHED", [vbd]));
    }
    detach(state, vbd);
    Ok(void())
}

fn assert_attachable(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("VBD", call.text(0))?;
    check_disk_is_free(state, call.text(0))?;
    Ok(void())
}

fn set_mode(state: &mut State, call: &Invocation) -> Result<Value> {
    let vbd = call.text(0);
    state.require("VBD", vbd)?;
    if call.text(1) == "RW" && state.db.is("VBD", vbd, "type", "CD") {
        return Err(ApiError::new("VBD_CDS_MUST_BE_READONLY", []));
    }
    let owner = state.db.text("VBD", vbd, "VM");
    if !state.db.is("VM", &owner, "power_state", "Halted") {
        vm::assert_operation(state, &owner, "make_into_template")?;
    }
    state.db.set("VBD", vbd, "mode", call.text(1));
    Ok(void())
}
