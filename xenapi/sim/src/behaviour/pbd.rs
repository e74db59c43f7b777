//! Messages of the class `PBD`.

use xenapi::{ToValue, Value};

use super::{Behaviour, place};
use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::generic::void;
use crate::schema;
use crate::state::State;

pub(super) fn find(message: &str) -> Option<Behaviour> {
    Some(match message {
        "create" => create,
        "destroy" => destroy,
        "plug" => plug,
        "unplug" => unplug,
        _ => return None,
    })
}

fn create(state: &mut State, call: &Invocation) -> Result<Value> {
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

fn destroy(state: &mut State, call: &Invocation) -> Result<Value> {
    let pbd = call.text(0);
    state.require("PBD", pbd)?;
    if state.db.flag("PBD", pbd, "currently_attached") {
        return Err(ApiError::new("OPERATION_NOT_ALLOWED", ["PBD is currently attached"]));
    }
    state.db.remove("PBD", pbd);
    Ok(void())
}

fn plug(state: &mut State, call: &Invocation) -> Result<Value> {
    let pbd = call.text(0);
    state.require("PBD", pbd)?;
    let (sr, host) = (state.db.text("PBD", pbd, "SR"), state.db.text("PBD", pbd, "host"));
    let kind = state.db.text("SR", &sr, "type");
    let config = state.db.get("PBD", pbd, "device_config").cloned().unwrap_or_default();
    let host = state.hosts.iter().position(|known| *known == host).unwrap_or_default();
    if let Some(place) = place::find(host, &kind, &config)?
        && state.outside.place(&state.uuid("SR", &sr)) != Some(&place)
    {
        return Err(place::without_sr(&kind));
    }
    state.db.refresh("PBD", pbd, "currently_attached", true);
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
