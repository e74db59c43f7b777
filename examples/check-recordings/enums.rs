//! Finds enum values that the datamodel does not list.

use anyhow::{Context, ensure};
use xenapi::Value;
use xenapi_sim::datamodel::{CLASSES, ENUMS, Type};

/// Walks a record as the datamodel types it.
pub(crate) fn known(class: &str, record: &Value) -> anyhow::Result<()> {
    let class = CLASSES
        .iter()
        .find(|known| known.name.eq_ignore_ascii_case(class))
        .context("no such class")?;
    for field in class.fields {
        if let Some(value) = record.get(field.name) {
            walk(&field.ty, value).with_context(|| format!("{}.{}", class.name, field.name))?;
        }
    }
    Ok(())
}

fn walk(ty: &Type, value: &Value) -> anyhow::Result<()> {
    match (ty, value) {
        (Type::Enum(name), Value::String(text)) => is_listed(name, text),
        (Type::Set(of), Value::Array(items)) => items.iter().try_for_each(|item| walk(of, item)),
        (Type::Map(key, of), Value::Struct(members)) => members.iter().try_for_each(|(name, member)| {
            if let Type::Enum(key) = key {
                is_listed(key, name)?;
            }
            walk(of, member)
        }),
        (Type::Option(of), value) => walk(of, value),
        (Type::Record(class), value) => known(class, value),
        _ => Ok(()),
    }
}

fn is_listed(name: &str, text: &str) -> anyhow::Result<()> {
    let known = ENUMS.iter().find(|known| known.name == name).context("no such enum")?;
    ensure!(
        known.values.contains(&text),
        "unknown value {text:?} of the enum {name}"
    );
    Ok(())
}
