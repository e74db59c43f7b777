//! The fields of any record, whatever its class.
//!
//! Records are types of their own and share no list of fields but what `Debug` writes. That has one merit here: it
//! hides secrets.

use serde_json::{Map, Value};
use xenapi::AnyRecord;

/// A record's fields as this crate names them.
pub(crate) type Fields = Map<String, Value>;

/// Deeper values than any record has are kept as text.
const DEEPEST: usize = 32;

pub(crate) fn fields(record: &AnyRecord) -> Fields {
    let text = format!("{record:?}");
    let mut reader = Reader { rest: &text, depth: 0 };
    let Some(Value::Object(mut fields)) = reader.value() else {
        return Map::from_iter([("record".to_owned(), Value::String(text))]);
    };
    // What is newer than the crate stands beside what it knows.
    if let Some(Value::Object(unknown)) = fields.remove("unknown") {
        fields.extend(unknown);
    }
    fields
}

/// Reads what `Debug` writes.
struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl Reader<'_> {
    fn value(&mut self) -> Option<Value> {
        self.depth += 1;
        let value = match self.rest.chars().next()? {
            _ if self.depth > DEEPEST => None,
            '"' => self.string().map(Value::String),
            '[' => self.list("]").map(Value::Array),
            '{' => self.members(),
            _ => self.word(),
        };
        self.depth -= 1;
        value
    }

    fn skip(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn string(&mut self) -> Option<String> {
        self.skip("\"");
        let mut text = String::new();
        loop {
            let special = self.rest.find(['"', '\\'])?;
            text.push_str(&self.rest[..special]);
            self.rest = &self.rest[special..];
            if self.skip("\"") {
                return Some(text);
            }
            text.push(self.escaped()?);
        }
    }

    fn escaped(&mut self) -> Option<char> {
        if self.skip("\\u{") {
            let (digits, rest) = self.rest.split_once('}')?;
            self.rest = rest;
            return char::from_u32(u32::from_str_radix(digits, 16).ok()?);
        }
        self.skip("\\");
        let mut rest = self.rest.chars();
        let escaped = match rest.next()? {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '0' => '\0',
            other => other,
        };
        self.rest = rest.as_str();
        Some(escaped)
    }

    fn list(&mut self, end: &str) -> Option<Vec<Value>> {
        let mut items = Vec::new();
        self.rest = self.rest.get(1..)?;
        while !self.skip(end) {
            items.push(self.value()?);
            self.skip(", ");
        }
        Some(items)
    }

    /// What is between braces: a map, or the fields of a record.
    fn members(&mut self) -> Option<Value> {
        let mut members = Map::new();
        self.skip("{");
        self.skip(" ");
        while !self.skip("}") {
            let key = match self.value()? {
                Value::String(text) => text,
                key => key.to_string(),
            };
            self.skip(": ").then_some(())?;
            members.insert(key, self.value()?);
            self.skip(", ");
            self.skip(" ");
        }
        Some(Value::Object(members))
    }

    /// A number, a reference, a time, an enum's value, or the name in front of a record or of what an enum holds.
    fn word(&mut self) -> Option<Value> {
        if self.skip("(hidden)") {
            return Some(Value::String("(hidden)".to_owned()));
        }
        let ends = |(at, c): (usize, char)| {
            let after = &self.rest[at..];
            matches!(c, ',' | ']' | '}' | ')' | '(' | ' ') || after.starts_with(": ")
        };
        let end = self.rest.char_indices().find(|&place| ends(place));
        let (word, rest) = self.rest.split_at(end.map_or(self.rest.len(), |(at, _)| at));
        self.rest = rest;
        if self.skip(" {") {
            self.rest = &rest[1..];
            return self.members();
        }
        if rest.starts_with('(') {
            // Of several values the last counts: it is the record of a class that the crate does not know.
            return self.list(")")?.pop();
        }
        if word.is_empty() {
            return None;
        }
        let number = word.parse::<i64>().map(Value::from).ok();
        let number = number.or_else(|| {
            Some(Value::from(
                word.parse::<f64>().ok().filter(|number| number.is_finite())?,
            ))
        });
        Some(match word {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "None" | "Null" => Value::Null,
            _ => number.unwrap_or_else(|| Value::String(word.to_owned())),
        })
    }
}
