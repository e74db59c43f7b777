//! Messages of the class `network`.

use std::collections::HashSet;

use xenapi::{ToValue, Value};

use super::Behaviour;
use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::generic::void;
use crate::schema;
use crate::state::State;

pub(super) fn find(message: &str) -> Option<Behaviour> {
    Some(match message {
        "create" => create,
        "destroy" => destroy,
        "set_default_locking_mode" => set_default_locking_mode,
        _ => return None,
    })
}

/// A bridge that nobody has yet.
fn free_bridge(state: &State) -> String {
    let taken: HashSet<_> = state
        .db
        .refs("network")
        .iter()
        .map(|network| state.db.text("network", network, "bridge"))
        .collect();
    (0_u32..)
        .map(|number| format!("xapi{number}"))
        .find(|bridge| !taken.contains(bridge))
        .unwrap_or_default()
}

fn create(state: &mut State, call: &Invocation) -> Result<Value> {
    let mut fields = schema::constructor_argument(call.method.class, &call.value(0))?;
    if call
        .value(0)
        .get("bridge")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .is_empty()
    {
        fields.push(("bridge", free_bridge(state).to_value()));
    }
    Ok(state.create("network", &fields).to_value())
}

fn destroy(state: &mut State, call: &Invocation) -> Result<Value> {
    let network = call.text(0);
    state.require("network", network)?;
    let attached: Vec<_> = state.db.list("network", network, "VIFs");
    let attached: Vec<_> = attached
        .iter()
        .filter(|vif| state.db.flag("VIF", vif, "currently_attached"))
        .collect();
    if let Some(vif) = attached.first() {
        return Err(ApiError::new("NETWORK_CONTAINS_VIF", [vif]));
    }
    if let Some(pif) = state.db.list("network", network, "PIFs").first() {
        return Err(ApiError::new("NETWORK_CONTAINS_PIF", [pif]));
    }
    for vif in state.db.list("network", network, "VIFs") {
        state.db.remove("VIF", &vif);
    }
    state.db.remove("network", network);
    Ok(void())
}

fn set_default_locking_mode(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("network", call.text(0))?;
    state
        .db
        .set("network", call.text(0), "default_locking_mode", call.text(1));
    Ok(void())
}
