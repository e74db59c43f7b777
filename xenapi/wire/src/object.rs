//! What the classes have in common.

use serde::de::DeserializeOwned;

use crate::{Map, Value};

/// A class of the datamodel whose objects have references: implemented by the handles of the crate `xenapi` (`Vm`,
/// `Vdi`, …), which are also the marker in [`Ref<T>`](crate::Ref).
pub trait Object: Send + Sync + 'static {
    /// The record that holds all the fields of such an object.
    type Record: Record;

    /// Whether knowing the reference gives access, so that it must not be printed. Only sessions.
    const SECRET_REF: bool = false;
}

/// All the fields of an object, as the server sent them at one moment.
///
/// A field that the server did not send (because it is older) has its default; one that this release of the crate
/// does not know (because the server is newer) is in [`unknown_fields`](Record::unknown_fields).
pub trait Record: DeserializeOwned + Clone + Default + PartialEq + std::fmt::Debug + Send + Sync + 'static {
    /// The class's name on the wire, for example `VM`.
    const CLASS: &'static str;

    /// The wire names of the fields this crate knows, in the datamodel's order.
    const FIELDS: &'static [&'static str];

    /// Fields that the server sent and this crate does not know, by their wire names.
    fn unknown_fields(&self) -> &Map<String, Value>;
}
