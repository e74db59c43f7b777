//! Replies of the metrics handlers: the values of both encodings in their order.

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use xenapi::wire::Encoding;

use crate::recording::Body;

/// Whether a name is a handler's, not a call's.
pub(crate) fn is_metrics(name: &str) -> bool {
    name.starts_with("rrd_") || name.ends_with("_rrd")
}

/// Whether a handler's reply was recorded in one encoding only: a whole round-robin database is XML unless asked for
/// otherwise.
pub(crate) fn has_one_encoding(name: &str) -> bool {
    name.ends_with("_rrd")
}

/// Compares the leaves of what there is.
pub(crate) fn compare(bodies: &[Body]) -> anyhow::Result<String> {
    let leaves = bodies.iter().map(leaves).collect::<anyhow::Result<Vec<_>>>()?;
    let first = leaves.first().context("no reply")?;
    for other in &leaves[1..] {
        if let Some((at, (a, b))) = first.iter().zip(other).enumerate().find(|(_, (a, b))| a != b) {
            bail!("the encodings differ at value {at}: {a:?} != {b:?}");
        }
        ensure!(
            first.len() == other.len(),
            "the encodings hold {} and {} values",
            first.len(),
            other.len()
        );
    }
    Ok(format!("{} values", first.len()))
}

fn leaves(body: &Body) -> anyhow::Result<Vec<String>> {
    let text = std::str::from_utf8(&body.bytes)?;
    match body.encoding {
        Encoding::Json => {
            let mut found = Vec::new();
            of_json(&serde_json::from_str(text)?, &mut found);
            Ok(found)
        }
        Encoding::Xml => of_xml(text),
        _ => Ok(Vec::new()),
    }
}

/// The members of the JSON form, in the order in which the XML form has them.
const ORDER: [&str; 10] = [
    "meta", "start", "step", "end", "rows", "columns", "legend", "data", "t", "values",
];

fn of_json(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| of_json(item, found)),
        Value::Object(members) => ORDER
            .iter()
            .filter_map(|name| members.get(*name))
            .for_each(|it| of_json(it, found)),
        Value::String(text) => found.push(text.clone()),
        other => found.push(other.to_string()),
    }
}

fn of_xml(text: &str) -> anyhow::Result<Vec<String>> {
    let document = roxmltree::Document::parse_with_options(
        text,
        roxmltree::ParsingOptions {
            allow_dtd: true,
            ..roxmltree::ParsingOptions::default()
        },
    )?;
    let leaves = document
        .descendants()
        .filter(|node| node.is_element() && !node.children().any(|child| child.is_element()));
    Ok(leaves
        .map(|leaf| leaf.text().unwrap_or_default().trim().to_owned())
        .collect())
}
