//! A value as it travels, without a type from the datamodel.

use std::fmt;

use crate::{DateTime, Map, names_secret};

/// Any value that XenAPI can send or take, in neither of its two encodings yet.
///
/// Arguments of a call become `Value`s at once; `Client::call` of the crate `xenapi` also answers with one.
///
/// Over XML-RPC the server writes an integer, an enum and a reference like a string, so a value that was read
/// without a type is [`String`](Value::String) there where JSON says [`Int`](Value::Int); [`as_int`](Value::as_int)
/// reads both.
#[derive(Clone, Default, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// No value. The server never sends it; it is what an absent member reads as.
    #[default]
    Null,
    /// A boolean.
    Bool(bool),
    /// A 64-bit integer, exact.
    Int(i64),
    /// A double; NaN and the infinities are legal in both encodings.
    Float(f64),
    /// Text, an enum value, a reference, or (over XML-RPC) an integer.
    String(String),
    /// A time. JSON sends it as text, so there it reads as [`String`](Value::String).
    DateTime(DateTime),
    /// A set, in the server's order.
    Array(Vec<Self>),
    /// A map or a record, in the server's order.
    Struct(Vec<(String, Self)>),
}

impl fmt::Debug for Value {
    /// Shows no member of a struct whose name says that it is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Bool(truth) => fmt::Debug::fmt(truth, f),
            Self::Int(number) => fmt::Debug::fmt(number, f),
            Self::Float(number) => fmt::Debug::fmt(number, f),
            Self::String(text) => fmt::Debug::fmt(text, f),
            Self::DateTime(time) => fmt::Debug::fmt(time, f),
            Self::Array(items) => fmt::Debug::fmt(items, f),
            Self::Struct(members) => {
                let mut map = f.debug_map();
                for (name, value) in members {
                    if names_secret(name) {
                        map.entry(name, &format_args!("(hidden)"));
                    } else {
                        map.entry(name, value);
                    }
                }
                map.finish()
            }
        }
    }
}

impl Value {
    /// The text of a string, an enum or a reference.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, also where it came as text.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The number, also where it came as an integer or as text (`nan`, `inf` and `-inf` included).
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            Self::Int(number) => Some(*number as f64),
            Self::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The elements of a set.
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The members of a map or record.
    pub fn as_struct(&self) -> Option<&[(String, Self)]> {
        match self {
            Self::Struct(members) => Some(members),
            _ => None,
        }
    }

    /// The member of a map or record with this name; the last one where the server repeated it.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_struct()?
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }
}

/// Turns an argument into a [`Value`].
///
/// Implemented for everything that a generated method takes; implement it for your own types to pass them to
/// `Client::call` of the crate `xenapi`.
pub trait ToValue {
    /// The value to send.
    fn to_value(&self) -> Value;

    /// The text to send where the value is the key of a map: XenAPI has only text keys.
    fn to_key(&self) -> String {
        match self.to_value() {
            Value::String(text) => text,
            Value::Int(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            Value::Float(number) => number.to_string(),
            Value::DateTime(time) => time.to_string(),
            Value::Null | Value::Array(_) | Value::Struct(_) => String::new(),
        }
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> Value {
        (**self).to_value()
    }
}

impl ToValue for Value {
    fn to_value(&self) -> Value {
        self.clone()
    }
}

impl ToValue for bool {
    fn to_value(&self) -> Value {
        Value::Bool(*self)
    }
}

impl ToValue for i64 {
    fn to_value(&self) -> Value {
        Value::Int(*self)
    }
}

impl ToValue for f64 {
    fn to_value(&self) -> Value {
        Value::Float(*self)
    }
}

impl ToValue for str {
    fn to_value(&self) -> Value {
        Value::String(self.to_owned())
    }
}

impl ToValue for String {
    fn to_value(&self) -> Value {
        Value::String(self.clone())
    }
}

impl ToValue for DateTime {
    fn to_value(&self) -> Value {
        Value::DateTime(*self)
    }
}

impl<T: ToValue> ToValue for [T] {
    fn to_value(&self) -> Value {
        Value::Array(self.iter().map(ToValue::to_value).collect())
    }
}

impl<T: ToValue> ToValue for Vec<T> {
    fn to_value(&self) -> Value {
        self.as_slice().to_value()
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, ToValue::to_value)
    }
}

impl<K: ToValue, V: ToValue> ToValue for Map<K, V> {
    fn to_value(&self) -> Value {
        Value::Struct(
            self.iter()
                .map(|(key, value)| (key.to_key(), value.to_value()))
                .collect(),
        )
    }
}
