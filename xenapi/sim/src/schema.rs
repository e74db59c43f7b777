//! Look-ups in the datamodel's tables, and the types of values.

use std::collections::HashMap;
use std::sync::LazyLock;

use xenapi::{DateTime, ToValue, Value};

use crate::class_order::{self, CLASS_ORDER};
use crate::datamodel::{Class, Field, Literal, Message, Operation, Param, Qualifier, Type};
use crate::error::{ApiError, Result};
use crate::hidden::HIDDEN;
use crate::tables::{CLASSES, ENUMS};

pub(crate) const NULL: &str = "OpaqueRef:NULL";

/// A class with an index of its fields.
#[derive(Debug)]
pub(crate) struct ClassInfo {
    pub(crate) class: &'static Class,
    pub(crate) index: usize,
    /// The name as events spell it.
    pub(crate) event_name: String,
    fields: HashMap<&'static str, usize>,
}

impl ClassInfo {
    pub(crate) fn name(&self) -> &'static str {
        self.class.name
    }

    /// Whether its objects are rows that events report and counts count. Roles are not, whatever the datamodel says:
    /// they are part of the program. Messages are files.
    pub(crate) fn has_rows(&self) -> bool {
        self.class.in_database && self.name() != "role"
    }

    pub(crate) fn field(&self, name: &str) -> Option<usize> {
        self.fields.get(name).copied()
    }

    pub(crate) fn fields(&self) -> &'static [Field] {
        self.class.fields
    }

    /// The fields that a constructor takes.
    pub(crate) fn constructor_fields(&self) -> impl Iterator<Item = (usize, &'static Field)> {
        self.class
            .fields
            .iter()
            .enumerate()
            .filter(|(_, field)| field.qualifier != Qualifier::DynamicRo)
    }
}

/// A message together with its class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Method {
    pub(crate) class: &'static ClassInfo,
    pub(crate) message: &'static Message,
}

impl Method {
    /// The name on the wire.
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.class.name(), self.message.name)
    }
}

pub(crate) static CLASS_INFOS: LazyLock<Vec<ClassInfo>> = LazyLock::new(|| {
    let mut classes: Vec<_> = CLASSES.iter().collect();
    classes.sort_by_key(|class| class_order::position(class.name));
    classes
        .into_iter()
        .enumerate()
        .map(|(index, class)| ClassInfo {
            class,
            index,
            event_name: class.name.to_ascii_lowercase(),
            fields: class
                .fields
                .iter()
                .enumerate()
                .map(|(index, field)| (field.name, index))
                .collect(),
        })
        .collect()
});

static CLASS_BY_NAME: LazyLock<HashMap<&'static str, &'static ClassInfo>> =
    LazyLock::new(|| CLASS_INFOS.iter().map(|info| (info.name(), info)).collect());

/// The class that calls spell this way.
pub(crate) fn class(name: &str) -> Option<&'static ClassInfo> {
    CLASS_BY_NAME.get(name).copied()
}

/// The class that events spell this way, in whatever case.
pub(crate) fn class_by_event_name(name: &str) -> Option<&'static ClassInfo> {
    CLASS_INFOS
        .iter()
        .find(|info| info.event_name.eq_ignore_ascii_case(name))
}

const EXPRESSION: &[Param] = &[Param {
    name: "expr",
    ty: Type::String,
    default: None,
    required: true,
}];

/// Two messages that the server has for every listed class and that the datamodel leaves out.
static QUERIES: [Message; 2] = [
    query("get_all_where", Operation::GetAllWhere),
    query("get_all_records_where", Operation::GetAllRecordsWhere),
];

const fn query(name: &'static str, operation: Operation) -> Message {
    Message {
        name,
        operation,
        params: EXPRESSION,
        result: None,
        has_async: false,
        session: true,
        removed: false,
        role: "read-only",
        errors: &[],
    }
}

static METHODS: LazyLock<HashMap<String, Method>> = LazyLock::new(|| {
    let mut methods = HashMap::new();
    let mut add = |class: &'static ClassInfo, message: &'static Message| {
        let method = Method { class, message };
        methods.insert(format!("{}_{}", class.name(), message.name), method);
        methods.insert(method.name(), method);
    };
    for info in CLASS_INFOS.iter() {
        for message in info.class.messages {
            add(info, message);
        }
        if info
            .class
            .messages
            .iter()
            .any(|message| message.operation == Operation::GetAll)
        {
            for message in &QUERIES {
                add(info, message);
            }
        }
    }
    methods
});

/// The message of that name, spelled `Class.message` or `Class_message`.
pub(crate) fn method(name: &str) -> Option<Method> {
    METHODS.get(name).copied()
}

/// All documented messages, in the order of their classes.
pub(crate) fn methods() -> impl Iterator<Item = Method> {
    CLASS_INFOS.iter().flat_map(|class| {
        let messages = class.class.messages.iter();
        messages.map(move |message| Method { class, message })
    })
}

/// All names that `system.listMethods` gives.
pub(crate) fn method_names() -> Vec<String> {
    CLASS_ORDER.iter().flat_map(|name| method_names_of(name)).collect()
}

fn method_names_of(name: &str) -> impl Iterator<Item = String> {
    let messages = class(name).map_or(&[][..], |info| info.class.messages);
    let listed = messages.iter().any(|message| message.operation == Operation::GetAll);
    let queries = QUERIES.iter().filter(move |_| listed);
    let documented = messages.iter().chain(queries).map(|message| message.name);
    let hidden = HIDDEN.iter().filter_map(move |method| {
        let (class, message) = method.split_once('.')?;
        (class == name).then_some(message)
    });
    documented.chain(hidden).map(move |message| format!("{name}.{message}"))
}

/// The values of an enumeration.
pub(crate) fn enum_values(name: &str) -> &'static [&'static str] {
    ENUMS
        .iter()
        .find(|known| known.name == name)
        .map_or(&[], |known| known.values)
}

/// The value of a type that was given none.
pub(crate) fn zero(ty: Type) -> Value {
    match ty {
        Type::String => "".to_value(),
        Type::Int => Value::Int(0),
        Type::Float => Value::Float(0.0),
        Type::Bool => Value::Bool(false),
        Type::DateTime => Value::DateTime(DateTime::NEVER),
        Type::Enum(name) => enum_values(name).first().copied().unwrap_or_default().to_value(),
        Type::Ref(_) => NULL.to_value(),
        Type::Set(_) => Value::Array(Vec::new()),
        Type::Map(..) | Type::Record(_) => Value::Struct(Vec::new()),
        Type::Option(_) => Value::Null,
    }
}

/// The value that a default in the tables stands for.
pub(crate) fn literal(literal: Literal) -> Value {
    match literal {
        Literal::String(text) => text.to_value(),
        Literal::Int(number) => Value::Int(number),
        Literal::Float(number) => Value::Float(number),
        Literal::Bool(truth) => Value::Bool(truth),
        Literal::DateTime(text) => Value::DateTime(text.parse().unwrap_or_default()),
        Literal::Ref(text) => if text.is_empty() { NULL } else { text }.to_value(),
        Literal::EmptySet => Value::Array(Vec::new()),
        Literal::EmptyMap => Value::Struct(Vec::new()),
        Literal::Set(items) => Value::Array(items.iter().copied().map(self::literal).collect()),
        Literal::Map(entries) => Value::Struct(
            entries
                .iter()
                .map(|&(key, value)| (key.to_owned(), self::literal(value)))
                .collect(),
        ),
    }
}

/// What a field holds where nothing was said.
pub(crate) fn initial(field: &Field) -> Value {
    field.default.map_or_else(|| zero(field.ty), literal)
}

/// Reads an argument as its type, with the server's leniency: integers and floats may come as text, booleans may not.
pub(crate) fn convert(ty: Type, value: &Value) -> Result<Value> {
    let wrong = |wanted: &str| Err(ApiError::failure(&format!("Expected {wanted}, got '{}'", show(value))));
    match (ty, value) {
        (Type::String, Value::String(text)) => Ok(text.to_value()),
        (Type::String, _) => wrong("string"),
        (Type::Ref(_), Value::String(text)) => Ok(if text.is_empty() { NULL } else { text }.to_value()),
        (Type::Ref(_), _) => wrong("string"),
        (Type::Int, Value::Int(number)) => Ok(Value::Int(*number)),
        (Type::Int, Value::String(text)) => match text.trim().parse() {
            Ok(number) => Ok(Value::Int(number)),
            Err(_) => Err(ApiError::failure("Int64.of_string")),
        },
        (Type::Int, _) => wrong("int64"),
        (Type::Float, Value::Float(_) | Value::Int(_) | Value::String(_)) => match value.as_float() {
            Some(number) => Ok(Value::Float(number)),
            None => Err(ApiError::failure("float_of_string")),
        },
        (Type::Float, _) => wrong("float"),
        (Type::Bool, Value::Bool(truth)) => Ok(Value::Bool(*truth)),
        (Type::Bool, _) => wrong("bool"),
        (Type::DateTime, Value::DateTime(time)) => Ok(Value::DateTime(*time)),
        (Type::DateTime, Value::String(text)) => match text.parse() {
            Ok(time) => Ok(Value::DateTime(time)),
            Err(_) => Err(ApiError::failure(&format!("date.ml:of_iso8601: {text}"))),
        },
        (Type::DateTime, _) => wrong("dateTime"),
        (Type::Enum(name), Value::String(text)) if enum_values(name).contains(&text.as_str()) => Ok(text.to_value()),
        (Type::Enum(_), _) => Err(ApiError::failure("Unknown tag/contents")),
        (Type::Set(item), Value::Array(items)) => items
            .iter()
            .map(|value| convert(*item, value))
            .collect::<Result<_>>()
            .map(Value::Array),
        (Type::Set(_), _) => wrong("array"),
        (Type::Map(key, item), Value::Struct(entries)) => {
            let convert_entry = |(name, value): &(String, Value)| {
                convert(*key, &name.to_value())?;
                Ok((name.clone(), convert(*item, value)?))
            };
            entries
                .iter()
                .map(convert_entry)
                .collect::<Result<_>>()
                .map(Value::Struct)
        }
        (Type::Record(_), Value::Struct(_)) => Ok(value.clone()),
        (Type::Map(..) | Type::Record(_), _) => wrong("struct"),
        (Type::Option(_), Value::Null) => Ok(Value::Null),
        (Type::Option(inner), _) => convert(*inner, value),
    }
}

/// Reads the argument of a constructor: the class's fields with what they hold.
pub(crate) fn constructor_argument(info: &'static ClassInfo, argument: &Value) -> Result<Vec<(&'static str, Value)>> {
    info.constructor_fields()
        .map(|(_, field)| {
            let value = match (argument.get(field.name), field.default, field.ty) {
                (Some(value), _, _) => convert(field.ty, value)?,
                (None, Some(default), _) => literal(default),
                (None, None, Type::Set(Type::Ref(_))) => zero(field.ty),
                (None, None, _) => {
                    let text = format!("Server_helpers.Dispatcher_FieldNotFound({:?})", field.name);
                    return Err(ApiError::internal(&text));
                }
            };
            Ok((field.name, value))
        })
        .collect()
}

/// A value as the server prints it in errors about types.
fn show(value: &Value) -> String {
    match value {
        Value::Bool(truth) => format!("B({truth})"),
        Value::Int(number) => format!("I({number})"),
        Value::Float(number) => format!("F({number})"),
        Value::String(text) => format!("S({text})"),
        Value::DateTime(time) => format!("D({time})"),
        Value::Array(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(";")),
        Value::Struct(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(name, value)| format!("{name}:{}", show(value)))
                .collect();
            format!("{{{}}}", members.join(";"))
        }
        _ => "N".to_owned(),
    }
}
