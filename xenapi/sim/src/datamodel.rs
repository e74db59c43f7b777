//! The datamodel as static tables: every class, field and message that the simulator knows.
//!
//! The tables are generated from the project's datamodel for exactly these types.

pub use crate::tables::{CLASSES, ENUMS, ERRORS, HTTP_ACTIONS};

/// A class of the datamodel.
#[derive(Debug)]
pub struct Class {
    /// The name as calls spell it, for example `VM`.
    pub name: &'static str,
    /// Whether `event.from` reports its objects.
    pub gen_events: bool,
    /// Whether its objects are rows of the database.
    pub in_database: bool,
    /// Whether it has `create` and `destroy` made from its fields.
    pub constructor: bool,
    /// Its fields, in the order of a record on the wire.
    pub fields: &'static [Field],
    /// Its documented messages.
    pub messages: &'static [Message],
}

/// A field of a class.
#[derive(Debug)]
pub struct Field {
    /// The wire name; namespaced fields are joined by `_`.
    pub name: &'static str,
    /// Its type.
    pub ty: Type,
    /// Who may write it.
    pub qualifier: Qualifier,
    /// What it holds where a constructor was not given it.
    pub default: Option<Literal>,
    /// Whether records leave it out.
    pub internal: bool,
    /// Whether it holds a secret.
    pub secret: bool,
}

/// Who may write a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qualifier {
    /// The client, at any time.
    Rw,
    /// The client, when it creates the object.
    StaticRo,
    /// Only the server.
    DynamicRo,
}

/// The type of a field, parameter or result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Type {
    /// Text.
    String,
    /// A 64-bit integer.
    Int,
    /// A double.
    Float,
    /// A boolean.
    Bool,
    /// A time.
    DateTime,
    /// One of the values of the named [`Enum`].
    Enum(&'static str),
    /// A reference to an object of the named class.
    Ref(&'static str),
    /// A set of values of one type.
    Set(&'static Self),
    /// A map; its keys travel as text.
    Map(&'static Self, &'static Self),
    /// A member that may be absent.
    Option(&'static Self),
    /// The record of the named class.
    Record(&'static str),
}

/// A default value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Literal {
    /// Text or the value of an enum.
    String(&'static str),
    /// An integer.
    Int(i64),
    /// A double.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// A time as XenAPI writes it.
    DateTime(&'static str),
    /// A reference; empty text stands for none.
    Ref(&'static str),
    /// A set without elements.
    EmptySet,
    /// A map without entries.
    EmptyMap,
    /// A set.
    Set(&'static [Self]),
    /// A map with text keys.
    Map(&'static [(&'static str, Self)]),
}

/// What a message does, where that follows from the class's shape alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Code of its own.
    Custom,
    /// Reads the named field.
    Getter(&'static str),
    /// Writes the named field.
    Setter(&'static str),
    /// Adds to the named set or map.
    Add(&'static str),
    /// Removes from the named set or map.
    Remove(&'static str),
    /// Reads all fields.
    GetRecord,
    /// Lists the references.
    GetAll,
    /// Lists references with their records.
    GetAllRecords,
    /// Lists the records that satisfy an expression.
    GetAllRecordsWhere,
    /// Lists the references of objects that satisfy an expression.
    GetAllWhere,
    /// Finds an object by its UUID.
    GetByUuid,
    /// Finds objects by their name.
    GetByNameLabel,
    /// Makes an object from a record.
    Create,
    /// Removes an object.
    Destroy,
}

/// A message of a class.
#[derive(Debug)]
pub struct Message {
    /// The name without the class.
    pub name: &'static str,
    /// What it does.
    pub operation: Operation,
    /// The parameters after the session; the object itself, where there is one, comes first.
    pub params: &'static [Param],
    /// The type of the answer; none for void.
    pub result: Option<Type>,
    /// Whether `Async.Class.name` exists.
    pub has_async: bool,
    /// Whether the first argument is a session.
    pub session: bool,
    /// Whether the server only answers that it is gone.
    pub removed: bool,
    /// The least role that may call it.
    pub role: &'static str,
    /// The error codes it documents.
    pub errors: &'static [&'static str],
}

/// A parameter of a message.
#[derive(Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub ty: Type,
    /// What it is where the caller left it out.
    pub default: Option<Literal>,
    /// Whether the caller must give it.
    pub required: bool,
}

/// An enumeration.
#[derive(Debug)]
pub struct Enum {
    /// Its name in the datamodel.
    pub name: &'static str,
    /// Its values, spelled as on the wire.
    pub values: &'static [&'static str],
}

/// The parameters that come with an error code.
#[derive(Debug)]
pub struct ErrorSignature {
    /// The code.
    pub code: &'static str,
    /// The names of the parameters, in order.
    pub params: &'static [&'static str],
}

/// An HTTP handler of the server.
#[derive(Debug)]
pub struct HttpAction {
    /// Its name, which is also the realm of its 401.
    pub name: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// Whether the official bindings offer it.
    pub sdk: bool,
    /// The documented query arguments, with their types.
    pub args: &'static [(&'static str, &'static str)],
    /// The least role that may use it.
    pub role: &'static str,
}
