//! What follows from a class's fields alone: getters, setters, lists, constructors.

use xenapi::{ToValue, Value};

use crate::datamodel::{Operation, Type};
use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::query::Expression;
use crate::schema::{self, ClassInfo};
use crate::state::State;

/// The answer of a message that returns nothing.
pub(crate) fn void() -> Value {
    "".to_value()
}

pub(crate) fn execute(state: &mut State, call: &Invocation) -> Result<Value> {
    let info = call.method.class;
    match call.method.message.operation {
        Operation::Getter(field) => get(state, info, call.text(0), field),
        Operation::Setter(field) => set(state, call, field),
        Operation::Add(field) => add(state, call, field),
        Operation::Remove(field) => remove(state, call, field),
        Operation::GetRecord => state
            .db
            .record(info, call.text(0))
            .ok_or_else(|| ApiError::handle_invalid(info.name(), call.text(0))),
        Operation::GetAll => Ok(state.db.refs(info.name()).to_value()),
        Operation::GetAllRecords => Ok(Value::Struct(records(state, info).collect())),
        Operation::GetAllWhere => {
            let expression = Expression::parse(call.text(0))?;
            let found = records(state, info).filter(|(_, record)| expression.holds(record));
            Ok(Value::Array(
                found.map(|(reference, _)| Value::String(reference)).collect(),
            ))
        }
        Operation::GetAllRecordsWhere => {
            let expression = Expression::parse(call.text(0))?;
            Ok(Value::Struct(
                records(state, info)
                    .filter(|(_, record)| expression.holds(record))
                    .collect(),
            ))
        }
        Operation::GetByUuid => {
            let found = state.db.find(info.name(), "uuid", call.text(0));
            found
                .map(Value::String)
                .ok_or_else(|| ApiError::new("UUID_INVALID", [info.name(), call.text(0)]))
        }
        Operation::GetByNameLabel => Ok(state.db.find_all(info, "name_label", call.text(0)).to_value()),
        Operation::Create => {
            let fields = schema::constructor_argument(info, &call.value(0))?;
            Ok(state.create(info.name(), &fields).to_value())
        }
        Operation::Destroy => destroy(state, call),
        Operation::Custom => custom(state, call),
    }
}

fn records(state: &State, info: &'static ClassInfo) -> impl Iterator<Item = (String, Value)> {
    let refs = state.db.table(info).refs();
    refs.filter_map(move |reference| Some((reference.to_string(), state.db.record(info, reference)?)))
}

fn get(state: &State, info: &ClassInfo, reference: &str, field: &str) -> Result<Value> {
    let value = state.db.get(info.name(), reference, field).cloned();
    value.ok_or_else(|| ApiError::handle_invalid(info.name(), reference))
}

fn set(state: &mut State, call: &Invocation, field: &str) -> Result<Value> {
    let class = call.method.class.name();
    state.require(class, call.text(0))?;
    state.db.set(class, call.text(0), field, call.value(1));
    Ok(void())
}

/// Adds an entry to a map, which must not have it, or an element to a set, which may.
fn add(state: &mut State, call: &Invocation, field: &str) -> Result<Value> {
    let class = call.method.class.name();
    let reference = call.text(0);
    match get(state, call.method.class, reference, field)? {
        Value::Struct(entries) => {
            let key = call.text(1);
            if entries.iter().any(|(known, _)| known == key) {
                return Err(ApiError::new("MAP_DUPLICATE_KEY", [class, field, reference, key]));
            }
            state.db.set_entry(class, reference, field, key, call.value(2));
        }
        Value::Array(mut items) => {
            if !items.contains(&call.value(1)) {
                items.push(call.value(1));
                state.db.set(class, reference, field, Value::Array(items));
            }
        }
        _ => return Err(not_implemented(call)),
    }
    Ok(void())
}

/// Takes an entry or element out; quiet where it is not there.
fn remove(state: &mut State, call: &Invocation, field: &str) -> Result<Value> {
    let class = call.method.class.name();
    let reference = call.text(0);
    match get(state, call.method.class, reference, field)? {
        Value::Struct(_) => state.db.remove_entry(class, reference, field, call.text(1)),
        Value::Array(mut items) => {
            items.retain(|item| *item != call.value(1));
            state.db.set(class, reference, field, Value::Array(items));
        }
        _ => return Err(not_implemented(call)),
    }
    Ok(void())
}

fn destroy(state: &mut State, call: &Invocation) -> Result<Value> {
    let class = call.method.class.name();
    state.require(class, call.text(0))?;
    state.db.remove(class, call.text(0));
    Ok(void())
}

/// Messages with code of their own whose name says that they only read or write a field.
fn custom(state: &mut State, call: &Invocation) -> Result<Value> {
    let message = call.method.message;
    let info = call.method.class;
    let about_itself = message
        .params
        .first()
        .is_some_and(|param| param.ty == Type::Ref(info.name()));
    if about_itself {
        let field = |prefix: &str, params: usize| {
            let name = message
                .name
                .strip_prefix(prefix)
                .filter(|_| message.params.len() == params)?;
            info.field(name).map(|at| info.fields()[at].name)
        };
        if let Some(name) = field("get_", 1) {
            return get(state, info, call.text(0), name);
        }
        if let Some(name) = field("set_", 2) {
            return set(state, call, name);
        }
        if let Some(name) = field("add_to_", 3).or_else(|| field("add_", 2)) {
            return add(state, call, name);
        }
        if let Some(name) = field("remove_from_", 2).or_else(|| field("remove_", 2)) {
            return remove(state, call, name);
        }
        if message.name == "destroy" {
            return destroy(state, call);
        }
    }
    Err(not_implemented(call))
}

fn not_implemented(call: &Invocation) -> ApiError {
    ApiError::new("NOT_IMPLEMENTED", [&call.method.name()])
}
