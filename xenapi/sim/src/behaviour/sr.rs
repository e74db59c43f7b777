//! Messages of the classes `SR` and `PBD`.

use xenapi::{ToValue, Value};

use super::Behaviour;
use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::generic::void;
use crate::schema;
use crate::state::State;

pub(super) fn find(class: &str, message: &str) -> Option<Behaviour> {
    Some(match (class, message) {
        ("SR", "create") => create,
        ("SR", "introduce") => introduce,
        ("SR", "destroy" | "forget") => destroy,
        ("SR", "scan" | "update") => scan,
        ("SR", "get_supported_types") => get_supported_types,
        ("PBD", "create") => create_pbd,
        ("PBD", "destroy") => destroy_pbd,
        ("PBD", "plug") => plug,
        ("PBD", "unplug") => unplug,
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
    let host = call.text(0);
    state.require("host", host)?;
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
    Ok(sr.to_value())
}

fn introduce(state: &mut State, call: &Invocation) -> Result<Value> {
    let fields = [
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
    state.require("SR", sr)?;
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
    Ok(void())
}

fn scan(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("SR", call.text(0))?;
    count(state, call.text(0));
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

fn create_pbd(state: &mut State, call: &Invocation) -> Result<Value> {
    let fields = schema::constructor_argument(call.method.class, &call.value(0))?;
    let text = |name: &str| {
        call.value(0)
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (sr, host) = (text("SR"), text("host"));
    state.require("SR", &sr)?;
    state.require("host", &host)?;
    for pbd in state.db.list("SR", &sr, "PBDs") {
        if state.db.is("PBD", &pbd, "host", &host) {
            return Err(ApiError::new("PBD_EXISTS", [&sr, &host, &pbd]));
        }
    }
    Ok(state.create("PBD", &fields).to_value())
}

fn destroy_pbd(state: &mut State, call: &Invocation) -> Result<Value> {
    let pbd = call.text(0);
    state.require("PBD", pbd)?;
    if state.db.flag("PBD", pbd, "currently_attached") {
        return Err(ApiError::new("OPERATION_NOT_ALLOWED", ["PBD is currently attached"]));
    }
    state.db.remove("PBD", pbd);
    Ok(void())
}

fn plug(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("PBD", call.text(0))?;
    state.db.refresh("PBD", call.text(0), "currently_attached", true);
    Ok(void())
}

fn unplug(state: &mut State, call: &Invocation) -> Result<Value> {
    let pbd = call.text(0);
    state.require("PBD", pbd)?;
    let (sr, host) = (state.db.text("PBD", pbd, "SR"), state.db.text("PBD", pbd, "host"));
    for vdi in state.db.list("SR", &sr, "VDIs") {
        for vbd in state.db.list("VDI", &vdi, "VBDs") {
            let owner = state.db.text("VBD", &vbd, "VM");
            if state.db.flag("VBD", &vbd, "currently_attached") && state.db.is("VM", &owner, "resident_on", &host) {
                return Err(ApiError::new("VDI_IN_USE", [&vdi, "PBD.unplug"]));
            }
        }
    }
    state.db.refresh("PBD", pbd, "currently_attached", false);
    Ok(void())
}
