//! News for programs: one JSON object a line.

use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::tail::{Kind, News};

pub(crate) fn print(news: &News) -> anyhow::Result<()> {
    let mut line = json!({
        "time": Timestamp::now().to_string(),
        "kind": "deleted",
        "class": news.object.class().as_str(),
        "ref": news.object.as_str(),
        "name": news.name,
    });
    match &news.kind {
        Kind::Added(record) => {
            line["kind"] = "added".into();
            line["record"] = Value::Object(record.clone());
        }
        Kind::Changed(fields) => {
            line["kind"] = "changed".into();
            let fields = fields.iter();
            let fields = fields.map(|(field, old, new)| (field.clone(), json!({ "old": old, "new": new })));
            line["changed"] = Value::Object(Map::from_iter(fields));
        }
        Kind::Deleted => {}
    }
    Ok(writeln!(io::stdout(), "{line}")?)
}
