//! Messages of the class `Repository`.

use xenapi::{ToValue, Value};

use super::Behaviour;
use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::state::State;

pub(super) fn find(message: &str) -> Option<Behaviour> {
    match message {
        "introduce_bundle" => Some(introduce_bundle),
        _ => None,
    }
}

/// Makes the repository that `PUT /bundle` fills; there is at most one.
fn introduce_bundle(state: &mut State, call: &Invocation) -> Result<Value> {
    if let Some(known) = state.db.find("Repository", "origin", "bundle") {
        return Err(ApiError::new("BUNDLE_REPOSITORY_ALREADY_EXISTS", [&known]));
    }
    let fields = [
        ("name_label", call.value(0)),
        ("name_description", call.value(1)),
        ("update", Value::Bool(true)),
        ("origin", "bundle".to_value()),
    ];
    Ok(state.create("Repository", &fields).to_value())
}
