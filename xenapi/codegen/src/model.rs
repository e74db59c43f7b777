//! The facts of the datamodel: what classes, messages and fields there are, since when, for whom.

/// Everything the server offers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Datamodel {
    /// The classes in alphabetical order, whatever the case of their letters.
    pub classes: Vec<Class>,
    /// The enums in alphabetical order.
    pub enums: Vec<Enum>,
    /// The error codes in alphabetical order.
    pub errors: Vec<ErrorCode>,
    /// What the HTTP server offers beside the calls, in the server's order.
    pub http_actions: Vec<HttpAction>,
    /// The releases, oldest first.
    pub releases: Vec<Release>,
}

impl Datamodel {
    /// The class of that wire name.
    pub fn class(&self, name: &str) -> Option<&Class> {
        self.classes.iter().find(|class| class.name == name)
    }

    /// The release of that code name.
    pub fn release(&self, code_name: &str) -> Option<&Release> {
        self.releases
            .iter()
            .find(|release| release.code_name.as_deref() == Some(code_name))
    }
}

/// A class of objects.
#[derive(Clone, Debug, PartialEq)]
pub struct Class {
    /// The name on the wire, for example `VM_guest_metrics`.
    pub name: String,
    /// What became of it in which release.
    pub lifecycle: Lifecycle,
    /// Whether the server keeps its objects in its database.
    pub database: bool,
    /// Whether changes of its objects are told by events.
    pub events: bool,
    /// Whether it has the `create` and `destroy` that the server derives from the fields.
    pub constructor: bool,
    /// The messages that follow from the class and its fields, with the role each needs.
    pub allows: Vec<(Derived, Role)>,
    /// The fields in the order of the record.
    pub fields: Vec<Field>,
    /// The messages that follow from nothing, in the server's order.
    pub messages: Vec<Message>,
}

impl Class {
    /// The role that this derived message needs, where the class has it.
    pub fn role_of(&self, derived: Derived) -> Option<Role> {
        self.allows
            .iter()
            .find(|(known, _)| *known == derived)
            .map(|&(_, role)| role)
    }
}

/// A message, or group of messages, that follows from a class or its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Derived {
    /// `get_FIELD` of all fields.
    Get,
    /// `set_FIELD`, `add_to_FIELD`, `remove_from_FIELD`, `add_FIELD` and `remove_FIELD` of the writable fields.
    Set,
    /// `get_record`.
    GetRecord,
    /// `get_by_uuid`.
    GetByUuid,
    /// `get_by_name_label`.
    GetByNameLabel,
    /// `get_all`.
    GetAll,
    /// `get_all_records`.
    GetAllRecords,
    /// `create` with a record.
    Create,
    /// `destroy`.
    Destroy,
}

impl Derived {
    /// All of them, in the order in which they are printed.
    pub const ALL: [Self; 9] = [
        Self::Get,
        Self::Set,
        Self::GetRecord,
        Self::GetByUuid,
        Self::GetByNameLabel,
        Self::GetAll,
        Self::GetAllRecords,
        Self::Create,
        Self::Destroy,
    ];

    /// The word in a class file, which is also the name on the wire for all but the first two.
    pub fn word(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::GetRecord => "get_record",
            Self::GetByUuid => "get_by_uuid",
            Self::GetByNameLabel => "get_by_name_label",
            Self::GetAll => "get_all",
            Self::GetAllRecords => "get_all_records",
            Self::Create => "create",
            Self::Destroy => "destroy",
        }
    }
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The name on the wire; `_` joins the parts of a grouped name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Who sets it.
    pub qualifier: Qualifier,
    /// What a new object has where nobody says otherwise.
    pub default: Option<Literal>,
    /// What became of it in which release.
    pub lifecycle: Lifecycle,
    /// The role its getter needs, where it is not the class's.
    pub get: Option<Role>,
    /// The role its setters need, where it is not the class's.
    pub set: Option<Role>,
    /// Whether its messages run code of their own instead of only touching the database.
    pub effect: bool,
    /// Whether it is lost when the toolstack restarts.
    pub transient: bool,
    /// Whether the server keeps it to itself.
    pub internal: bool,
}

/// Who sets a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qualifier {
    /// Clients, at any time.
    ReadWrite,
    /// Whoever creates the object, once.
    Static,
    /// The server.
    Dynamic,
}

/// A message that is written down rather than derived.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The name on the wire, without the class.
    pub name: String,
    /// The arguments without the session; one called `self` stands for the object.
    pub params: Vec<Param>,
    /// What it answers with, if anything.
    pub result: Option<Type>,
    /// The least role.
    pub role: Role,
    /// What became of it in which release.
    pub lifecycle: Lifecycle,
    /// The error codes it is known to fail with.
    pub errors: Vec<String>,
    /// What is unusual about it.
    pub flags: Flags,
}

/// What is unusual about a message; the usual one has none of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// It has no `Async.` form.
    pub sync: bool,
    /// It takes no session.
    pub sessionless: bool,
    /// Its arguments are kept out of the server's log.
    pub secret: bool,
    /// Only hosts of the pool may call it.
    pub pool_internal: bool,
    /// The server's own documentation leaves it out.
    pub hidden: bool,
    /// It touches the database only.
    pub db_only: bool,
    /// It has no effect outside of the database.
    pub no_effect: bool,
}

/// An argument.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// The name in the server's documentation; arguments travel by position.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// What the server takes where it is left out; without one it is required.
    pub default: Option<Literal>,
}

/// A type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// Text.
    String,
    /// Text that must not be logged.
    Secret,
    /// A 64-bit integer.
    Int,
    /// A double.
    Float,
    /// A boolean.
    Bool,
    /// A point in time.
    DateTime,
    /// One of the values of the enum of that name.
    Enum(String),
    /// A reference to an object of that class.
    Ref(String),
    /// A record of that class.
    Record(String),
    /// Any number of values.
    Set(Box<Self>),
    /// Values by key.
    Map(Box<Self>, Box<Self>),
    /// A value that may be absent from a record.
    Option(Box<Self>),
}

impl Type {
    /// Calls `visit` with this type and all it is made of.
    pub fn walk(&self, visit: &mut impl FnMut(&Self)) {
        visit(self);
        match self {
            Self::Set(item) | Self::Option(item) => item.walk(visit),
            Self::Map(key, value) => {
                key.walk(visit);
                value.walk(visit);
            }
            _ => {}
        }
    }
}

/// A default value.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// The reference to nothing.
    Null,
    /// Text, an enum's value, a time or a reference.
    String(String),
    /// An integer.
    Int(i64),
    /// A double.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// A set.
    Set(Vec<Self>),
    /// A map.
    Map(Vec<(String, Self)>),
}

/// Who may call a message: roles form a ladder, and each includes those below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Role {
    /// The lowest role that may.
    pub least: LeastRole,
    /// Whether a client that logged in with a certificate, which stands beside the ladder, may too.
    pub client_cert: bool,
}

/// A rung of the ladder of roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeastRole {
    /// Looks, and touches nothing.
    ReadOnly,
    /// Starts, stops and uses VMs.
    VmOperator,
    /// Makes and changes VMs.
    VmAdmin,
    /// Moves VMs, too.
    VmPowerAdmin,
    /// Runs hosts, storage and networks.
    PoolOperator,
    /// May do everything.
    PoolAdmin,
    /// None of the roles: only root on the host itself, or the hosts among each other.
    LocalRoot,
}

impl LeastRole {
    /// All rungs, the lowest first.
    pub const ALL: [Self; 7] = [
        Self::ReadOnly,
        Self::VmOperator,
        Self::VmAdmin,
        Self::VmPowerAdmin,
        Self::PoolOperator,
        Self::PoolAdmin,
        Self::LocalRoot,
    ];

    /// The role's name on the server, `local-root` where it has none.
    pub fn word(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::VmOperator => "vm-operator",
            Self::VmAdmin => "vm-admin",
            Self::VmPowerAdmin => "vm-power-admin",
            Self::PoolOperator => "pool-operator",
            Self::PoolAdmin => "pool-admin",
            Self::LocalRoot => "local-root",
        }
    }
}

/// What became of something, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lifecycle(pub Vec<Transition>);

/// A step in the life of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// What happened.
    pub change: Change,
    /// The release it happened in: a code name, or a version of xapi.
    pub release: String,
}

/// What can happen to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is there to be tried and may still change.
    Prototyped,
    /// It is there to be used.
    Published,
    /// It can do more.
    Extended,
    /// It behaves in another way.
    Changed,
    /// It is there, and better not used.
    Deprecated,
    /// It is gone.
    Removed,
}

impl Change {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Prototyped,
        Self::Published,
        Self::Extended,
        Self::Changed,
        Self::Deprecated,
        Self::Removed,
    ];

    /// The word in a class file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Prototyped => "prototyped",
            Self::Published => "published",
            Self::Extended => "extended",
            Self::Changed => "changed",
            Self::Deprecated => "deprecated",
            Self::Removed => "removed",
        }
    }
}

impl Lifecycle {
    /// The last change that is more than a detail.
    pub fn state(&self) -> Change {
        let details = [Change::Extended, Change::Changed];
        self.0
            .iter()
            .rev()
            .map(|step| step.change)
            .find(|change| !details.contains(change))
            .unwrap_or(Change::Published)
    }

    /// The release of the last such change.
    pub fn release_of(&self, change: Change) -> Option<&str> {
        self.0
            .iter()
            .rev()
            .find(|step| step.change == change)
            .map(|step| step.release.as_str())
    }

    /// The release it first appeared in.
    pub fn since(&self) -> Option<&str> {
        self.0.first().map(|step| step.release.as_str())
    }
}

/// An enum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enum {
    /// The server's name for it, which never travels.
    pub name: String,
    /// The values as they travel.
    pub values: Vec<String>,
}

/// A kind of failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorCode {
    /// The code, for example `VM_BAD_POWER_STATE`.
    pub name: String,
    /// What the texts after the code mean.
    pub params: Vec<String>,
}

/// Something the HTTP server offers beside the calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAction {
    /// The server's name for it.
    pub name: String,
    /// The HTTP method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The members of the query with their types.
    pub args: Vec<(String, Type)>,
    /// Whether it is meant for clients; the others are for hosts among each other.
    pub sdk: bool,
    /// The least role.
    pub role: Role,
}

/// A release of the product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The name that lifecycles use.
    pub code_name: Option<String>,
    /// The name on the box.
    pub branding: String,
    /// The major and minor version of the API.
    pub api: (i64, i64),
    /// Month and year.
    pub date: Option<String>,
}
