//! What messages do that have code of their own in xapi.

mod blob;
mod changed_blocks;
pub(crate) mod console;
mod data_source;
mod event;
mod host;
mod message;
pub(crate) mod nbd;
mod network;
mod pbd;
mod place;
mod pool;
mod repository;
mod session;
pub(crate) mod sr;
mod subject;
mod task;
pub(crate) mod vbd;
pub(crate) mod vdi;
pub(crate) mod vif;
mod vlan;
pub(crate) mod vm;

use xenapi::Value;

use crate::datamodel::Type;
use crate::dispatch::Invocation;
use crate::error::Result;
use crate::schema;
use crate::state::State;

/// The code of one message.
pub(crate) type Behaviour = fn(&mut State, &Invocation) -> Result<Value>;

/// The code of the message with this wire name; none where the class's fields say all there is to it.
pub(crate) fn find(name: &str) -> Option<Behaviour> {
    let (class, message) = name.split_once('.')?;
    match class {
        "session" => session::find(message),
        "task" => task::find(message),
        "event" => event::find(message),
        "blob" => blob::find(message),
        "VM" => vm::find(message).or_else(|| data_source::find(message)),
        "VBD" => vbd::find(message),
        "VDI" => vdi::find(message)
            .or_else(|| changed_blocks::find(message))
            .or_else(|| nbd::find(class, message)),
        "VIF" => vif::find(message),
        "SR" => sr::find(message).or_else(|| data_source::find(message)),
        "PBD" => pbd::find(message),
        "network" => network::find(message).or_else(|| nbd::find(class, message)),
        "host" => host::find(message).or_else(|| data_source::find(message)),
        "pool" => pool::find(message).or_else(|| vlan::find_of_pool(message)),
        "subject" => subject::find(message),
        "VLAN" => vlan::find(message),
        "message" => message::find(message),
        "Repository" => repository::find(message),
        _ => None,
    }
}

/// Complains where the object is gone or in no state for the operation.
pub(crate) fn admit(state: &State, call: &Invocation) -> Result<()> {
    let Some((class, reference)) = object(call) else {
        return Ok(());
    };
    state.require(class, reference)?;
    match (class, vm::operation(call.method.message.name)) {
        ("VM", Some(operation)) => vm::assert_operation(state, reference, operation),
        _ => Ok(()),
    }
}

/// The object that a call is about.
fn object(call: &Invocation) -> Option<(&'static str, &str)> {
    let class = call.method.class.name();
    let first = call.method.message.params.first()?;
    (first.ty == Type::Ref(class)).then(|| (class, call.text(0)))
}

/// Notes in the object that the operation is under way.
pub(crate) fn begin(state: &mut State, call: &Invocation) {
    let Some((class, reference)) = object(call) else { return };
    if let Some(operation) = operation(call) {
        state
            .db
            .set_entry(class, reference, "current_operations", &call.task, operation);
        refresh(state, class, reference);
    }
}

/// Takes the note away.
pub(crate) fn end(state: &mut State, call: &Invocation) {
    let Some((class, reference)) = object(call) else { return };
    if operation(call).is_some() {
        state
            .db
            .remove_entry(class, reference, "current_operations", &call.task);
        refresh(state, class, reference);
    }
}

/// The value of `current_operations` that stands for a message.
fn operation(call: &Invocation) -> Option<&'static str> {
    let info = call.method.class;
    let name = call.method.message.name;
    match info.fields()[info.field("current_operations")?].ty {
        _ if info.name() == "VM" => vm::operation(name),
        Type::Map(_, Type::Enum(operations)) => schema::enum_values(operations)
            .iter()
            .copied()
            .find(|&operation| operation == name),
        _ => None,
    }
}

/// Brings `allowed_operations` up to date.
pub(crate) fn refresh(state: &mut State, class: &str, reference: &str) {
    match class {
        "VM" => vm::refresh(state, reference),
        "VBD" => vbd::refresh(state, reference),
        "VDI" => vdi::refresh(state, reference),
        "VIF" => vif::refresh(state, reference),
        _ => {}
    }
}
