//! Messages of the class `message`.

use xenapi::{DateTime, ToValue, Value};

use super::Behaviour;
use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::generic::void;
use crate::query::Expression;
use crate::schema;
use crate::state::State;

pub(super) fn find(message: &str) -> Option<Behaviour> {
    Some(match message {
        "create" => create,
        "destroy" => destroy,
        "destroy_many" => destroy_many,
        "destroy_all" => destroy_all,
        "get" => get,
        "get_all" => get_all,
        "get_since" => get_since,
        "get_record" => get_record,
        "get_by_uuid" => get_by_uuid,
        "get_all_records" => get_all_records,
        "get_all_records_where" => get_all_records_where,
        _ => return None,
    })
}

fn create(state: &mut State, call: &Invocation) -> Result<Value> {
    let (name, class, uuid) = (call.text(0), call.text(2), call.text(3));
    let table = match class {
        "Host" | "Pool" => class.to_ascii_lowercase(),
        _ => class.to_owned(),
    };
    if state.db.find(&table, "uuid", uuid).is_none() {
        return Err(ApiError::new("UUID_INVALID", [class, uuid]));
    }
    Ok(state.message(name, call.int(1), class, uuid, call.text(4)).to_value())
}

fn destroy(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("message", call.text(0))?;
    state.db.remove("message", call.text(0));
    Ok(void())
}

fn destroy_many(state: &mut State, call: &Invocation) -> Result<Value> {
    for message in call.list(0) {
        state.db.remove("message", &message);
    }
    Ok(void())
}

fn destroy_all(state: &mut State, call: &Invocation) -> Result<Value> {
    let time = |name: &str| -> Result<Option<DateTime>> {
        let text = call.value(0).get(name).and_then(Value::as_str).map(str::to_owned);
        text.map(|text| text.parse().map_err(|_| ApiError::new("INVALID_VALUE", [name, &text])))
            .transpose()
    };
    let (after, before) = (time("after")?, time("before")?);
    for message in state.db.refs("message") {
        let timestamp = state.db.time("message", &message, "timestamp");
        if after.is_none_or(|after| timestamp > after) && before.is_none_or(|before| timestamp < before) {
            state.db.remove("message", &message);
        }
    }
    Ok(void())
}

/// The messages that satisfy a condition, as a map to their records.
fn select(state: &State, wanted: impl Fn(&str, &Value) -> bool) -> Value {
    let records = schema::class("message").into_iter().flat_map(|info| {
        state.db.refs("message").into_iter().filter_map(move |message| {
            let record = state.db.record(info, &message)?;
            Some((message, record))
        })
    });
    Value::Struct(records.filter(|(message, record)| wanted(message, record)).collect())
}

fn get(state: &mut State, call: &Invocation) -> Result<Value> {
    Ok(select(state, |_, record| {
        let is = |name: &str, wanted: &str| record.get(name).and_then(Value::as_str) == Some(wanted);
        is("cls", call.text(0)) && is("obj_uuid", call.text(1)) && at_or_after(record, &call.value(2))
    }))
}

fn get_since(state: &mut State, call: &Invocation) -> Result<Value> {
    Ok(select(state, |_, record| at_or_after(record, &call.value(0))))
}

fn at_or_after(record: &Value, since: &Value) -> bool {
    match (record.get("timestamp"), since) {
        (Some(Value::DateTime(timestamp)), Value::DateTime(since)) => timestamp >= since,
        _ => false,
    }
}

fn get_all(state: &mut State, _: &Invocation) -> Result<Value> {
    Ok(state.db.refs("message").to_value())
}

fn get_all_records(state: &mut State, _: &Invocation) -> Result<Value> {
    Ok(select(state, |_, _| true))
}

fn get_all_records_where(state: &mut State, call: &Invocation) -> Result<Value> {
    let expression = Expression::parse(call.text(0))?;
    Ok(select(state, |_, record| expression.holds(record)))
}

fn get_record(state: &mut State, call: &Invocation) -> Result<Value> {
    let record = schema::class("message").and_then(|info| state.db.record(info, call.text(0)));
    record.ok_or_else(|| ApiError::handle_invalid("message", call.text(0)))
}

fn get_by_uuid(state: &mut State, call: &Invocation) -> Result<Value> {
    let found = state.db.find("message", "uuid", call.text(0));
    found
        .map(Value::String)
        .ok_or_else(|| ApiError::new("UUID_INVALID", ["message", call.text(0)]))
}
