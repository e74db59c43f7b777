//! Messages of the class `VDI`.

use std::sync::Arc;

use xenapi::{ToValue, Value};

use super::{Behaviour, sr, vbd};
use crate::disk_image::DiskImage;
use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::generic::void;
use crate::outside::OutsideDisk;
use crate::schema::{self, NULL};
use crate::state::State;

/// Sizes are rounded up to this many bytes, the block size of a VHD.
const GRANULE: i64 = 2 << 20;
/// What an empty disk takes in its SR, in bytes.
pub(crate) const EMPTY: i64 = 4096;

fn rounded(size: i64) -> i64 {
    size.checked_add(GRANULE - 1)
        .map_or(i64::MAX, |size| size / GRANULE * GRANULE)
}

pub(super) fn find(message: &str) -> Option<Behaviour> {
    Some(match message {
        "create" => create,
        "destroy" | "forget" => destroy,
        "resize" | "resize_online" => resize,
        "snapshot" => snapshot,
        "clone" => clone,
        "copy" => copy,
        "pool_migrate" => pool_migrate,
        "update" => update,
        _ => return None,
    })
}

/// Brings `allowed_operations` up to date.
pub(crate) fn refresh(state: &mut State, vdi: &str) {
    const FREE: &[&str] = &[
        "copy",
        "generate_config",
        "clone",
        "forget",
        "update",
        "resize",
        "snapshot",
        "destroy",
    ];
    let allowed: &[&str] = if is_attached(state, vdi) {
        &["clone", "snapshot"]
    } else {
        FREE
    };
    let allowed = Value::Array(allowed.iter().map(|operation| operation.to_value()).collect());
    state.db.refresh("VDI", vdi, "allowed_operations", allowed);
}

pub(crate) fn is_attached(state: &State, vdi: &str) -> bool {
    state
        .db
        .list("VDI", vdi, "VBDs")
        .iter()
        .any(|vbd| state.db.flag("VBD", vbd, "currently_attached"))
}

/// Makes an empty disk.
pub(crate) fn make(state: &mut State, sr: &str, name: &str, size: i64, kind: &str) -> Result<String> {
    let fields = [
        ("name_label", name.to_value()),
        ("SR", sr.to_value()),
        ("virtual_size", Value::Int(size)),
        ("type", kind.to_value()),
    ];
    add(state, &fields, EMPTY)
}

/// Adds a disk whose fields are given, and that takes `used` bytes in its SR.
pub(crate) fn add(state: &mut State, fields: &[(&str, Value)], used: i64) -> Result<String> {
    let field = |name: &str| {
        fields
            .iter()
            .rev()
            .find(|(field, _)| *field == name)
            .map(|(_, value)| value)
    };
    let sr = field("SR").and_then(Value::as_str).unwrap_or(NULL).to_owned();
    let size = field("virtual_size").and_then(Value::as_int).unwrap_or_default();
    state.require("SR", &sr)?;
    if size < 0 {
        return Err(ApiError::new("INVALID_VALUE", ["virtual_size", &size.to_string()]));
    }
    let size = rounded(size);
    sr::check_room(state, &sr, size)?;
    let uuid = state.ids.uuid();
    let reference = state.ids.reference();
    let mut fields = fields.to_vec();
    fields.extend([
        ("virtual_size", Value::Int(size)),
        ("physical_utilisation", Value::Int(used)),
        ("location", uuid.to_value()),
        ("managed", Value::Bool(true)),
    ]);
    state.create_as("VDI", &reference, &uuid, &fields);
    refresh(state, &reference);
    sr::count(state, &sr);
    Ok(reference)
}

/// Makes the object of a disk that was found on storage.
pub(super) fn restore(state: &mut State, sr: &str, disk: OutsideDisk) {
    if state.db.find("VDI", "uuid", &disk.uuid).is_some() {
        return;
    }
    let reference = state.ids.reference();
    let mut fields = disk.fields;
    fields.extend([
        ("SR", sr.to_value()),
        ("location", disk.uuid.to_value()),
        ("managed", Value::Bool(true)),
    ]);
    state.create_as("VDI", &reference, &disk.uuid, &fields);
    if let Some(image) = disk.image {
        state.images.insert(reference.clone(), image);
    }
    refresh(state, &reference);
}

/// Writes bytes on a disk.
pub(crate) fn write(state: &mut State, vdi: &str, offset: u64, bytes: &[u8]) {
    let size = size(state, vdi);
    let image = state.images.entry(vdi.to_owned());
    let image = image.or_insert_with(|| Arc::new(DiskImage::new(size)));
    Arc::make_mut(image).write(offset, bytes);
}

/// Complains where only what changed was kept of a disk.
pub(crate) fn has_content(state: &State, vdi: &str) -> Result<()> {
    state.require("VDI", vdi)?;
    match state.db.text("VDI", vdi, "type") {
        kind if kind == "cbt_metadata" => Err(ApiError::new("VDI_INCOMPATIBLE_TYPE", [vdi, &kind])),
        _ => Ok(()),
    }
}

/// The virtual size in bytes.
pub(crate) fn size(state: &State, vdi: &str) -> u64 {
    u64::try_from(state.db.int("VDI", vdi, "virtual_size")).unwrap_or_default()
}

/// Brings what a disk takes in its SR up to date, after it was written.
pub(crate) fn count(state: &mut State, vdi: &str) {
    let used = state.images.get(vdi).map_or(0, |image| image.used());
    let used = i64::try_from(used).unwrap_or(i64::MAX).saturating_add(EMPTY);
    state.db.refresh("VDI", vdi, "physical_utilisation", used);
    let sr = state.db.text("VDI", vdi, "SR");
    sr::count(state, &sr);
}

/// Removes a disk with all devices that show it; nothing where there is no such disk.
pub(crate) fn remove(state: &mut State, vdi: &str) {
    for device in state.db.list("VDI", vdi, "VBDs") {
        vbd::remove(state, &device);
    }
    let sr = state.db.text("VDI", vdi, "SR");
    if state.db.remove("VDI", vdi) {
        state.images.remove(vdi);
        sr::count(state, &sr);
    }
}

/// Makes a disk with the content of another, in its SR or in another one.
pub(crate) fn make_clone(state: &mut State, vdi: &str, sr: &str) -> Result<String> {
    duplicate(state, vdi, sr, &[])
}

/// Makes a read-only disk with the content that another has now.
pub(crate) fn make_snapshot(state: &mut State, vdi: &str) -> Result<String> {
    let marks = [
        ("is_a_snapshot", Value::Bool(true)),
        ("snapshot_of", vdi.to_value()),
        ("snapshot_time", Value::DateTime(state.clock.now())),
        ("cbt_enabled", Value::Bool(state.db.flag("VDI", vdi, "cbt_enabled"))),
    ];
    duplicate(state, vdi, NULL, &marks)
}

/// Makes a disk of a snapshot; the snapshots of the disk it was taken from become its own.
pub(crate) fn make_reverted(state: &mut State, snapshot: &str) -> Result<String> {
    let origin = state.db.text("VDI", snapshot, "snapshot_of");
    let disk = duplicate(state, snapshot, NULL, &[])?;
    for sibling in state.db.list("VDI", &origin, "snapshots") {
        state.db.set("VDI", &sibling, "snapshot_of", disk.as_str());
    }
    Ok(disk)
}

fn duplicate(state: &mut State, vdi: &str, sr: &str, marks: &[(&'static str, Value)]) -> Result<String> {
    state.require("VDI", vdi)?;
    let Some(info) = schema::class("VDI") else {
        return Err(ApiError::handle_invalid("VDI", vdi));
    };
    let fields = info.constructor_fields();
    let mut fields: Vec<_> = fields
        .filter_map(|(_, field)| Some((field.name, state.db.get("VDI", vdi, field.name)?.clone())))
        .collect();
    if sr != NULL {
        fields.push(("SR", sr.to_value()));
    }
    fields.extend_from_slice(marks);
    let used = state.db.int("VDI", vdi, "physical_utilisation");
    let copy = add(state, &fields, used)?;
    if let Some(image) = state.images.get(vdi).cloned() {
        state.images.insert(copy.clone(), image);
    }
    Ok(copy)
}

fn create(state: &mut State, call: &Invocation) -> Result<Value> {
    let fields = schema::constructor_argument(call.method.class, &call.value(0))?;
    let given = call.value(0);
    if let Some(sr) = given.get("SR").and_then(Value::as_str)
        && state.db.is("SR", sr, "content_type", "iso")
    {
        return Err(ApiError::new("SR_OPERATION_NOT_SUPPORTED", [sr]));
    }
    Ok(add(state, &fields, EMPTY)?.to_value())
}

fn assert_free(state: &State, vdi: &str, operation: &str) -> Result<()> {
    state.require("VDI", vdi)?;
    if is_attached(state, vdi) {
        Err(ApiError::new("VDI_IN_USE", [vdi, operation]))
    } else {
        Ok(())
    }
}

fn destroy(state: &mut State, call: &Invocation) -> Result<Value> {
    assert_free(state, call.text(0), call.method.message.name)?;
    remove(state, call.text(0));
    Ok(void())
}

fn resize(state: &mut State, call: &Invocation) -> Result<Value> {
    let (vdi, size) = (call.text(0), call.int(1));
    if call.method.message.name == "resize" {
        assert_free(state, vdi, "resize")?;
    }
    state.require("VDI", vdi)?;
    let old = state.db.int("VDI", vdi, "virtual_size");
    let size = rounded(size);
    if size < old {
        return Err(ApiError::new(
            "SR_BACKEND_FAILURE_79",
            ["", "VDI Invalid size [opterr=shrinking not allowed]", ""],
        ));
    }
    let sr = state.db.text("VDI", vdi, "SR");
    sr::check_room(state, &sr, size - old)?;
    state.db.set("VDI", vdi, "virtual_size", size);
    sr::count(state, &sr);
    Ok(void())
}

fn snapshot(state: &mut State, call: &Invocation) -> Result<Value> {
    Ok(make_snapshot(state, call.text(0))?.to_value())
}

fn clone(state: &mut State, call: &Invocation) -> Result<Value> {
    Ok(make_clone(state, call.text(0), NULL)?.to_value())
}

fn copy(state: &mut State, call: &Invocation) -> Result<Value> {
    let (vdi, sr, into) = (call.text(0), call.text(1), call.text(3));
    state.require("VDI", vdi)?;
    if into != NULL {
        assert_free(state, into, "copy")?;
        if let Some(image) = state.images.get(vdi).cloned() {
            state.images.insert(into.to_owned(), image);
        }
        return Ok(into.to_value());
    }
    Ok(make_clone(state, vdi, sr)?.to_value())
}

/// The disk keeps its UUID and gets a new reference.
fn pool_migrate(state: &mut State, call: &Invocation) -> Result<Value> {
    let (vdi, sr) = (call.text(0), call.text(1));
    state.require("SR", sr)?;
    let moved = make_clone(state, vdi, sr)?;
    let uuid = state.uuid("VDI", vdi);
    for device in state.db.list("VDI", vdi, "VBDs") {
        state.db.set("VBD", &device, "VDI", moved.as_str());
    }
    remove(state, vdi);
    state.db.set("VDI", &moved, "uuid", uuid.as_str());
    state.db.set("VDI", &moved, "location", uuid);
    refresh(state, &moved);
    Ok(moved.to_value())
}

fn update(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("VDI", call.text(0))?;
    Ok(void())
}
