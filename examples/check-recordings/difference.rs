//! Where two replies part.

use std::fmt;

use xenapi::{DateTime, Value};

/// The first place at which two values differ: `OpaqueRef:…/allowed_operations[3]: "start" != "stop"`.
pub(crate) struct Difference {
    path: String,
    left: String,
    right: String,
}

impl Difference {
    /// Finds it, looking past the ways in which the encodings write the same.
    pub(crate) fn first(left: &Value, right: &Value) -> Option<Self> {
        match (left, right) {
            (Value::Struct(members), Value::Struct(others)) => {
                let known = members.iter().map(|(name, value)| (name, Some(value), right.get(name)));
                let more = others
                    .iter()
                    .map(|(name, value)| (name, left.get(name), Some(value)))
                    .filter(|(_, left, _)| left.is_none());
                known
                    .chain(more)
                    .find_map(|(name, left, right)| Some(Self::of_items(left, right)?.below(name)))
            }
            (Value::Array(items), Value::Array(others)) => (0..items.len().max(others.len()))
                .find_map(|at| Some(Self::of_items(items.get(at), others.get(at))?.below(&format!("[{at}]")))),
            _ if is_same(left, right) => None,
            _ => Some(Self::new(Some(left), Some(right))),
        }
    }

    fn of_items(left: Option<&Value>, right: Option<&Value>) -> Option<Self> {
        match (left, right) {
            (Some(left), Some(right)) => Self::first(left, right),
            _ => Some(Self::new(left, right)),
        }
    }

    fn new(left: Option<&Value>, right: Option<&Value>) -> Self {
        let shown = |value: Option<&Value>| value.map_or("nothing".to_owned(), shown);
        Self {
            path: String::new(),
            left: shown(left),
            right: shown(right),
        }
    }

    fn below(mut self, step: &str) -> Self {
        let separator = if self.path.is_empty() || self.path.starts_with('[') {
            ""
        } else {
            "/"
        };
        self.path = format!("{step}{separator}{}", self.path);
        self
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} != {}", self.path, self.left, self.right)
    }
}

fn is_same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Int(number), other) | (other, Value::Int(number)) => other.as_int() == Some(*number),
        (Value::Float(number), other) | (other, Value::Float(number)) => other
            .as_float()
            .is_some_and(|other| other == *number || other.is_nan() && number.is_nan()),
        (Value::DateTime(time), Value::String(text)) | (Value::String(text), Value::DateTime(time)) => {
            text.parse::<DateTime>().is_ok_and(|other| other == *time)
        }
        _ => left == right,
    }
}

/// A value in a few words.
fn shown(value: &Value) -> String {
    const MOST: usize = 80;
    let text = match value {
        Value::Struct(members) => return format!("{} members", members.len()),
        Value::Array(items) => return format!("{} items", items.len()),
        Value::String(text) => format!("{text:?}"),
        Value::Int(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
