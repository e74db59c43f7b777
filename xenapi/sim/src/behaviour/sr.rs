//! Messages of the class `SR`.

use xenapi::{ToValue, Value};

use super::{Behaviour, place};
use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::generic::void;
use crate::outside::OutsideDisk;
use crate::state::State;

pub(super) fn find(message: &str) -> Option<Behaviour> {
    Some(match message {
        "create" => create,
        "introduce" => introduce,
        "destroy" => destroy,
        "forget" => forget,
        "probe" => place::probe,
        "scan" | "update" => scan,
        "get_supported_types" => get_supported_types,
        _ => return None,
    })
}

const OPERATIONS: &[&str] = &[
    "vdi_introduce",
    "unplug",
    "plug",
    "pbd_create",
    "update",
    "pbd_destroy",
    "vdi_resize",
    "vdi_clone",
    "scan",
    "vdi_snapshot",
    "vdi_mirror",
    "vdi_create",
    "vdi_destroy",
    "vdi_set_on_boot",
];

/// Adds an SR that these hosts see.
pub(crate) fn add(state: &mut State, fields: &[(&str, Value)], hosts: &[String]) -> String {
    let mut fields = fields.to_vec();
    fields.push((
        "allowed_operations",
        Value::Array(OPERATIONS.iter().map(|name| name.to_value()).collect()),
    ));
    let sr = state.create("SR", &fields);
    for host in hosts {
        let fields = [
            ("SR", sr.to_value()),
            ("host", host.to_value()),
            ("currently_attached", Value::Bool(true)),
        ];
        state.create("PBD", &fields);
    }
    sr
}

/// Whether a host is connected to the SR.
pub(crate) fn is_seen_by(state: &State, sr: &str, host: &str) -> bool {
    state
        .db
        .list("SR", sr, "PBDs")
        .iter()
        .any(|pbd| state.db.is("PBD", pbd, "host", host) && state.db.flag("PBD", pbd, "currently_attached"))
}

/// Complains where the SR has no room for so many bytes more.
pub(crate) fn check_room(state: &State, sr: &str, bytes: i64) -> Result<()> {
    let free = state.db.int("SR", sr, "physical_size") - state.db.int("SR", sr, "virtual_allocation");
    if bytes > free {
        return Err(ApiError::new("SR_FULL", [&bytes.to_string(), &free.max(0).to_string()]));
    }
    Ok(())
}

/// Brings the sums over the disks of an SR up to date.
pub(crate) fn count(state: &mut State, sr: &str) {
    let allocated = state.db.sum("VDI", "virtual_size", sr);
    let used = state.db.sum("VDI", "physical_utilisation", sr);
    state.db.refresh("SR", sr, "virtual_allocation", allocated);
    state.db.refresh("SR", sr, "physical_utilisation", used);
}

fn create(state: &mut State, call: &Invocation) -> Result<Value> {
    let (host, kind) = (call.text(0), call.text(5));
    state.require("host", host)?;
    if state.db.find("SM", "type", kind).is_none() {
        return Err(ApiError::new("SR_UNKNOWN_DRIVER", [kind]));
    }
    let number = state.hosts.iter().position(|known| known == host).unwrap_or_default();
    let place = place::find(number, kind, &call.value(1))?;
    if let Some(place) = place.as_ref().filter(|_| place::is_erased(kind)) {
        let is_used = state
            .outside
            .at(place)
            .any(|(uuid, _)| state.db.find("SR", "uuid", uuid).is_some());
        if is_used {
            return Err(ApiError::new("SR_DEVICE_IN_USE", []));
        }
        state.outside.erase(place);
    }
    let shared = call.flag(7);
    let fields = [
        (
            "physical_size",
            Value::Int(if call.int(2) > 0 { call.int(2) } else { 1 << 40 }),
        ),
        ("name_label", call.value(3)),
        ("name_description", call.value(4)),
        ("type", call.value(5)),
        (
            "content_type",
            if call.text(6).is_empty() {
                "user".to_value()
            } else {
                call.value(6)
            },
        ),
        ("shared", Value::Bool(shared)),
        ("sm_config", call.value(8)),
    ];
    let hosts = if shared {
        state.hosts.clone()
    } else {
        vec![host.to_owned()]
    };
    let sr = add(state, &fields, &hosts);
    for pbd in state.db.list("SR", &sr, "PBDs") {
        state.db.set("PBD", &pbd, "device_config", call.value(1));
    }
    if let Some(place) = place {
        state.outside.add(&state.uuid("SR", &sr), place);
    }
    Ok(sr.to_value())
}

fn introduce(state: &mut State, call: &Invocation) -> Result<Value> {
    let (uuid, kind) = (call.text(0), call.text(3));
    if state.db.find("SR", "uuid", uuid).is_some() {
        return Err(ApiError::new("SR_UUID_EXISTS", [uuid]));
    }
    if state.db.find("SM", "type", kind).is_none() {
        return Err(ApiError::new("SR_UNKNOWN_DRIVER", [kind]));
    }
    let fields = [
        ("physical_size", Value::Int(1 << 40)),
        ("name_label", call.value(1)),
        ("name_description", call.value(2)),
        ("type", call.value(3)),
        ("content_type", call.value(4)),
        ("shared", call.value(5)),
        ("sm_config", call.value(6)),
    ];
    let sr = add(state, &fields, &[]);
    state.db.set("SR", &sr, "uuid", call.value(0));
    Ok(sr.to_value())
}

fn destroy(state: &mut State, call: &Invocation) -> Result<Value> {
    let sr = call.text(0);
    let uuid = drop_from_pool(state, sr)?;
    state.outside.remove(&uuid);
    Ok(void())
}

/// What is on the storage stays there.
fn forget(state: &mut State, call: &Invocation) -> Result<Value> {
    let sr = call.text(0);
    state.require("SR", sr)?;
    let with_names = place::is_erased(&state.db.text("SR", sr, "type"));
    let disks: Vec<_> = state.db.list("SR", sr, "VDIs");
    let disks: Vec<_> = disks.iter().map(|vdi| left(state, vdi, with_names)).collect();
    let uuid = drop_from_pool(state, sr)?;
    if let Some(outside) = state.outside.get_mut(&uuid) {
        // Beside those that nobody has looked for yet.
        outside.disks.extend(disks);
    }
    Ok(void())
}

/// A disk as it is on the storage. Volumes keep names beside them, files do not.
fn left(state: &State, vdi: &str, with_names: bool) -> OutsideDisk {
    const ALWAYS: [&str; 4] = ["virtual_size", "physical_utilisation", "type", "read_only"];
    let names: &[&str] = if with_names {
        &["name_label", "name_description"]
    } else {
        &[]
    };
    let fields = ALWAYS.iter().chain(names);
    OutsideDisk {
        uuid: state.uuid("VDI", vdi),
        fields: fields
            .filter_map(|&field| Some((field, state.db.get("VDI", vdi, field)?.clone())))
            .collect(),
        image: state.images.get(vdi).cloned(),
    }
}

/// Removes an SR that no host is connected to, with its disks and PBDs. The answer is its UUID.
fn drop_from_pool(state: &mut State, sr: &str) -> Result<String> {
    state.require("SR", sr)?;
    let uuid = state.uuid("SR", sr);
    let pbds = state.db.list("SR", sr, "PBDs");
    if pbds.iter().any(|pbd| state.db.flag("PBD", pbd, "currently_attached")) {
        return Err(ApiError::new("SR_HAS_PBD", [sr]));
    }
    for vdi in state.db.list("SR", sr, "VDIs") {
        super::vdi::remove(state, &vdi);
    }
    for pbd in pbds {
        state.db.remove("PBD", &pbd);
    }
    state.db.remove("SR", sr);
    Ok(uuid)
}

/// Finds the disks that the pool does not know yet.
fn scan(state: &mut State, call: &Invocation) -> Result<Value> {
    let sr = call.text(0);
    state.require("SR", sr)?;
    let pbds = state.db.list("SR", sr, "PBDs");
    if !pbds.iter().any(|pbd| state.db.flag("PBD", pbd, "currently_attached")) {
        return Err(ApiError::new("SR_HAS_NO_PBDS", [sr]));
    }
    let uuid = state.uuid("SR", sr);
    let found = state.outside.get_mut(&uuid).map(|sr| std::mem::take(&mut sr.disks));
    for disk in found.unwrap_or_default() {
        super::vdi::restore(state, sr, disk);
    }
    count(state, sr);
    Ok(void())
}

fn get_supported_types(state: &mut State, _: &Invocation) -> Result<Value> {
    let types = state
        .db
        .refs("SM")
        .iter()
        .map(|sm| state.db.text("SM", sm, "type"))
        .collect::<Vec<_>>();
    Ok(types.to_value())
}
