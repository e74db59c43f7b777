//! Messages of the class `subject`.

use xenapi::Value;

use super::Behaviour;
use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::generic::void;
use crate::state::State;

pub(super) fn find(message: &str) -> Option<Behaviour> {
    Some(match message {
        "add_to_roles" => add_to_roles,
        "remove_from_roles" => remove_from_roles,
        _ => return None,
    })
}

/// The roles that a subject has, of which one may be given or taken.
fn roles(state: &State, call: &Invocation) -> Result<Vec<String>> {
    state.require("subject", call.text(0))?;
    if !state.db.exists("role", call.text(1)) {
        return Err(ApiError::new("ROLE_NOT_FOUND", []));
    }
    Ok(state.db.list("subject", call.text(0), "roles"))
}

fn add_to_roles(state: &mut State, call: &Invocation) -> Result<Value> {
    let mut roles = roles(state, call)?;
    if roles.iter().any(|role| role == call.text(1)) {
        return Err(ApiError::new("ROLE_ALREADY_EXISTS", []));
    }
    roles.push(call.text(1).to_owned());
    state.db.set("subject", call.text(0), "roles", roles);
    Ok(void())
}

fn remove_from_roles(state: &mut State, call: &Invocation) -> Result<Value> {
    let mut roles = roles(state, call)?;
    let before = roles.len();
    roles.retain(|role| role != call.text(1));
    if roles.len() == before {
        return Err(ApiError::new("ROLE_NOT_FOUND", []));
    }
    state.db.set("subject", call.text(0), "roles", roles);
    Ok(void())
}
