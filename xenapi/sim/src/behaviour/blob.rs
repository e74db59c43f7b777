//! Messages of the class `blob`.

use xenapi::{ToValue, Value};

use super::Behaviour;
use crate::dispatch::Invocation;
use crate::error::Result;
use crate::generic::void;
use crate::state::State;

pub(super) fn find(message: &str) -> Option<Behaviour> {
    Some(match message {
        "create" => create,
        "destroy" => destroy,
        _ => return None,
    })
}

fn create(state: &mut State, call: &Invocation) -> Result<Value> {
    let fields = [
        ("mime_type", call.value(0)),
        ("public", call.value(1)),
        ("last_updated", Value::DateTime(state.clock.now())),
    ];
    Ok(state.create("blob", &fields).to_value())
}

fn destroy(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("blob", call.text(0))?;
    state.blobs.remove(call.text(0));
    state.db.remove("blob", call.text(0));
    Ok(void())
}
