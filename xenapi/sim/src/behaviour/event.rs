//! Messages of the class `event` that do not wait.

use xenapi::{ToValue, Value};

use super::Behaviour;
use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::events::{Filter, Subscription, Token};
use crate::generic::void;
use crate::schema;
use crate::state::State;

pub(super) fn find(message: &str) -> Option<Behaviour> {
    Some(match message {
        "register" => register,
        "unregister" => unregister,
        "inject" => inject,
        "get_current_id" => get_current_id,
        _ => return None,
    })
}

fn register(state: &mut State, call: &Invocation) -> Result<Value> {
    let filters = call
        .list(0)
        .iter()
        .map(|text| Filter::parse(text))
        .collect::<Result<Vec<_>>>()?;
    let token = Token::now(&state.db);
    let subscription = state.subscriptions.entry(call.session.clone());
    subscription
        .or_insert_with(|| Subscription {
            filters: Vec::new(),
            token,
            overflowed: false,
        })
        .filters
        .extend(filters);
    Ok(void())
}

fn unregister(state: &mut State, call: &Invocation) -> Result<Value> {
    let gone = call
        .list(0)
        .iter()
        .map(|text| Filter::parse(text))
        .collect::<Result<Vec<_>>>()?;
    if let Some(subscription) = state.subscriptions.get_mut(&call.session) {
        subscription
            .filters
            .retain(|filter| !gone.iter().any(|other| other.is(filter)));
        if subscription.filters.is_empty() {
            state.subscriptions.remove(&call.session);
        }
    }
    Ok(void())
}

/// Makes the object appear in the next batch; the class is spelled as in calls.
fn inject(state: &mut State, call: &Invocation) -> Result<Value> {
    let invalid = || ApiError::handle_invalid(call.text(0), call.text(1));
    let info = schema::class(call.text(0)).ok_or_else(invalid)?;
    state.require(info.name(), call.text(1))?;
    let token = Token::now(&state.db);
    state.db.touch(info, call.text(1));
    Ok(token.text().to_value())
}

fn get_current_id(state: &mut State, _: &Invocation) -> Result<Value> {
    Ok(Value::Int(i64::try_from(state.db.generation()).unwrap_or(i64::MAX)))
}
