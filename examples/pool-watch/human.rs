//! News for people: one line each.

use std::io::{self, Write};

use jiff::Zoned;
use serde_json::{Map, Value};
use xenapi_examples::Printable;

use crate::tail::{Kind, News, Tail};

/// The longest value that is written out, and the most changes of one list or map.
const LONGEST: usize = 60;
const MOST: usize = 4;

/// What people look for comes first.
const FIRST: [&str; 4] = ["name_label", "power_state", "status", "progress"];
/// What only follows from the rest comes last.
const LAST: &str = "allowed_operations";

pub(crate) fn print(tail: &Tail, news: &News) -> anyhow::Result<()> {
    let what = match &news.kind {
        Kind::Added(record) => format!("new{}", state(record)),
        Kind::Deleted => "gone".to_owned(),
        Kind::Changed(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(field, ..)| rank(field));
            let changes = fields.iter();
            let changes: Vec<_> = changes.map(|(field, old, new)| change(tail, field, old, new)).collect();
            changes.join(", ")
        }
    };
    let name = if news.name.is_empty() {
        news.object.as_str()
    } else {
        &news.name
    };
    let time = Zoned::now().strftime("%H:%M:%S");
    let class = news.object.class().as_str();
    writeln!(
        io::stdout(),
        "{time} {:<16} {:<24} {}",
        Printable(class),
        Printable(name),
        Printable(&what)
    )?;
    Ok(())
}

fn rank(field: &str) -> usize {
    let first = FIRST.iter().position(|first| *first == field);
    first.unwrap_or(FIRST.len() + usize::from(field == LAST))
}

/// What a new object is busy with: most of the others are new for a reason that another line tells.
fn state(record: &Map<String, Value>) -> String {
    let state = ["power_state", "status"]
        .iter()
        .find_map(|field| record.get(*field)?.as_str());
    state.map_or_else(String::new, |state| format!(": {state}"))
}

fn change(tail: &Tail, field: &str, old: &Value, new: &Value) -> String {
    match (old, new) {
        (Value::Array(old), Value::Array(new)) => {
            let lost = old.iter().filter(|item| !new.contains(item)).map(|item| ("-", item));
            let won = new.iter().filter(|item| !old.contains(item)).map(|item| ("+", item));
            let changes = lost.chain(won).map(|(sign, item)| sign.to_owned() + &text(tail, item));
            listed(field, changes.collect())
        }
        (Value::Object(old), Value::Object(new)) => {
            let lost = old
                .keys()
                .filter(|key| !new.contains_key(*key))
                .map(|key| format!("-{key}"));
            let won = new.iter().filter(|(key, value)| old.get(*key) != Some(value));
            let won = won.map(|(key, value)| {
                let sign = if old.contains_key(key) { "" } else { "+" };
                format!("{sign}{key}={}", text(tail, value))
            });
            listed(field, lost.chain(won).collect())
        }
        _ => format!("{field}: {} -> {}", text(tail, old), text(tail, new)),
    }
}

fn listed(field: &str, changes: Vec<String>) -> String {
    match changes.len() {
        0 => format!("{field}: in another order"),
        count if count > MOST => format!("{field}: {} and {} more", changes[..MOST].join(" "), count - MOST),
        _ => format!("{field}: {}", changes.join(" ")),
    }
}

/// A value in short, with names in place of references.
fn text(tail: &Tail, value: &Value) -> String {
    let whole = match value {
        Value::String(text) if text == "OpaqueRef:NULL" => "nothing".to_owned(),
        Value::String(text) => match tail.name_of(text) {
            Some(name) => format!("{name:?}"),
            None if text.is_empty() => "\"\"".to_owned(),
            None => text.clone(),
        },
        other => other.to_string(),
    };
    match whole.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &whole[..end]),
        None => whole,
    }
}
