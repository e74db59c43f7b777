//! Messages of the class `VLAN`, and those of the pool that make one on each host.

use xenapi::{ToValue, Value};

use super::Behaviour;
use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::generic::void;
use crate::schema::NULL;
use crate::state::State;

/// Which tags there are.
const TAGS: std::ops::RangeInclusive<i64> = 0..=4094;

pub(super) fn find(message: &str) -> Option<Behaviour> {
    Some(match message {
        "create" => create,
        "destroy" => destroy,
        _ => return None,
    })
}

pub(super) fn find_of_pool(message: &str) -> Option<Behaviour> {
    Some(match message {
        "create_VLAN" => create_by_device,
        "create_VLAN_from_PIF" => create_like,
        _ => return None,
    })
}

fn create(state: &mut State, call: &Invocation) -> Result<Value> {
    let vlan = make(state, call.text(0), call.int(1), call.text(2))?;
    Ok(vlan.to_value())
}

/// Puts a VLAN on an interface of a host, in a network that has no interface there yet.
fn make(state: &mut State, tagged: &str, tag: i64, network: &str) -> Result<String> {
    state.require("PIF", tagged)?;
    state.require("network", network)?;
    if !TAGS.contains(&tag) {
        return Err(ApiError::new("VLAN_TAG_INVALID", [&tag.to_string()]));
    }
    if state.db.text("PIF", tagged, "VLAN_master_of") != NULL {
        return Err(ApiError::new("PIF_IS_VLAN", [tagged]));
    }
    if state.db.text("PIF", tagged, "bond_slave_of") != NULL {
        return Err(ApiError::new("CANNOT_ADD_VLAN_TO_BOND_SLAVE", [tagged]));
    }
    let host = state.db.text("PIF", tagged, "host");
    let device = state.db.text("PIF", tagged, "device");
    for pif in state.db.list("host", &host, "PIFs") {
        if state.db.is("PIF", &pif, "network", network) {
            return Err(ApiError::new("NETWORK_ALREADY_CONNECTED", [&host, &pif]));
        }
        if state.db.is("PIF", &pif, "device", &device) && state.db.int("PIF", &pif, "VLAN") == tag {
            return Err(ApiError::new("PIF_VLAN_EXISTS", [&pif]));
        }
    }
    let copied = |field: &'static str| Some((field, state.db.get("PIF", tagged, field)?.clone()));
    let alike = ["device", "host", "MAC", "MTU", "managed", "metrics"];
    let mut fields: Vec<_> = alike.into_iter().filter_map(copied).collect();
    fields.extend([
        ("network", network.to_value()),
        ("VLAN", Value::Int(tag)),
        ("currently_attached", Value::Bool(true)),
    ]);
    let untagged = state.create("PIF", &fields);
    let vlan = state.create(
        "VLAN",
        &[
            ("tagged_PIF", tagged.to_value()),
            ("untagged_PIF", untagged.to_value()),
            ("tag", Value::Int(tag)),
        ],
    );
    state.db.set("PIF", &untagged, "VLAN_master_of", vlan.as_str());
    Ok(vlan)
}

fn destroy(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("VLAN", call.text(0))?;
    let untagged = state.db.text("VLAN", call.text(0), "untagged_PIF");
    state.db.remove("PIF", &untagged);
    state.db.remove("VLAN", call.text(0));
    Ok(void())
}

/// The same VLAN on each host's interface of that name.
fn create_by_device(state: &mut State, call: &Invocation) -> Result<Value> {
    on_all_hosts(state, call.text(0), call.int(2), call.text(1))
}

/// The same VLAN on the interface of each host that is called like the given one.
fn create_like(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("PIF", call.text(0))?;
    let device = state.db.text("PIF", call.text(0), "device");
    on_all_hosts(state, &device, call.int(2), call.text(1))
}

fn on_all_hosts(state: &mut State, device: &str, tag: i64, network: &str) -> Result<Value> {
    let tagged: Vec<_> = state
        .db
        .refs("PIF")
        .into_iter()
        .filter(|pif| state.db.is("PIF", pif, "device", device) && state.db.int("PIF", pif, "VLAN") < 0)
        .collect();
    let mut made = Vec::new();
    for tagged in tagged {
        let vlan = make(state, &tagged, tag, network)?;
        made.push(state.db.text("VLAN", &vlan, "untagged_PIF"));
    }
    Ok(made.to_value())
}
