//! Enums that stay open for values of newer servers.

use super::{Context, alias, doc, indent, invoke};
use crate::model::Enum;
use crate::names;

/// The text of one enum.
pub(super) fn text(context: Context<'_>, item: &Enum) -> String {
    let name = names::enumeration(context.model, item);
    let head = doc(&context.describe.enumeration(item)) + &alias(&item.name, &name);
    let values = item.values.iter().map(|value| {
        let variant = names::variant(value);
        let alias = if value.eq_ignore_ascii_case(&variant) {
            String::new()
        } else {
            alias(value, &variant)
        };
        format!(
            "{}{alias}{variant} = {value:?},\n",
            doc(&context.describe.value(item, value))
        )
    });
    open_enum(&head, &name, &values.collect::<String>())
}

/// The invocation that makes an enum of values.
pub(super) fn open_enum(head: &str, name: &str, values: &str) -> String {
    invoke(
        "open_enum",
        &format!("{head}pub enum {name} {{\n{}}}\n", indent(values)),
    )
}
