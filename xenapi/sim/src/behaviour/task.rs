//! Messages of the class `task`.

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
        "cancel" => cancel,
        "set_progress" => set_progress,
        _ => return None,
    })
}

fn create(state: &mut State, call: &Invocation) -> Result<Value> {
    Ok(state.new_task(call.text(0), call.text(1), call.host).to_value())
}

fn destroy(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("task", call.text(0))?;
    state.destroy_task(call.text(0));
    Ok(void())
}

fn cancel(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("task", call.text(0))?;
    state.cancel_task(call.text(0));
    Ok(void())
}

fn set_progress(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("task", call.text(0))?;
    state.set_progress(call.text(0), call.float(1));
    Ok(void())
}
