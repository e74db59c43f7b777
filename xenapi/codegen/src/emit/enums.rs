//! Enums that stay open for values of newer servers.

use std::path::PathBuf;

use super::{Context, HEAD, alias, doc, indent, invoke};
use crate::model::{Class, Enum};
use crate::names;

/// The files of all enums: a module for each class that keeps some.
pub(super) fn files(context: Context<'_>) -> Vec<(PathBuf, String)> {
    let (mut files, mut modules) = (Vec::new(), String::new());
    for class in &context.model.classes {
        let enums: String = kept(context, class).map(|item| text(context, item)).collect();
        if !enums.is_empty() {
            let module = names::module(&class.name);
            modules.push_str(&format!("pub mod {module};\n"));
            let text = format!(
                "//! Of the class `{}`. {HEAD}\n\nuse crate::open_enum;\n\n{enums}",
                class.name
            );
            files.push((format!("wire/src/enums/{module}.rs").into(), text));
        }
    }
    let text = format!("//! The enums, in a module for the class that they belong to.\n//!\n//! {HEAD}\n\n{modules}");
    files.push(("wire/src/enums/mod.rs".into(), text));
    files
}

/// The enums that a class keeps, by their names in Rust.
pub(super) fn kept_names(context: Context<'_>, class: &Class) -> Vec<String> {
    let name = |item| names::enumeration(context.model, item);
    kept(context, class).map(name).collect()
}

fn kept<'a>(context: Context<'a>, class: &Class) -> impl Iterator<Item = &'a Enum> {
    let is_home = |item: &&Enum| names::home(context.model, &item.name).is_some_and(|home| home.name == class.name);
    context.model.enums.iter().filter(is_home)
}

/// The text of one enum.
fn text(context: Context<'_>, item: &Enum) -> String {
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
