//! The file of a class: its handle and collection with their messages, its record and enums.

use std::fmt::Write;

use super::types::Imports;
use super::{Context, HEAD, alias, doc, enums, invoke, message, record};
use crate::expand::{self, Expanded};
use crate::model::{Class, Type};
use crate::names;

/// Whether objects of a class have references.
pub(super) fn has_handle(class: &Class) -> bool {
    class.database
        || expand::messages(class)
            .iter()
            .any(|message| message.name == "get_record")
}

/// Whether a class has a record of ours; the one of `event` is written by hand.
pub(super) fn has_record(class: &Class) -> bool {
    !class.fields.is_empty() && class.name != "event"
}

/// Whether a class has messages that need no object.
pub(super) fn has_collection(class: &Class) -> bool {
    expand::messages(class)
        .iter()
        .any(|each| message::is_offered(each) && !message::on_object(class, each))
}

/// The text of the file.
pub(super) fn file(context: Context<'_>, class: &Class) -> String {
    let mut imports = Imports::new(&class.name);
    let messages: Vec<Expanded<'_>> = expand::messages(class)
        .into_iter()
        .filter(message::is_offered)
        .collect();
    let (own, shared): (Vec<_>, Vec<_>) = messages.iter().partition(|each| message::on_object(class, each));
    let mut text = String::new();
    if has_handle(class) {
        text.push_str(&handle(context, class, &mut imports, &own));
    }
    if has_collection(class) {
        text.push_str(&collection(context, class, &mut imports, &shared));
    }
    for each in &messages {
        text.push_str(&message::options(context, class, each, &mut imports).unwrap_or_default());
    }
    if has_record(class) {
        text.push_str(&record::text(context, class, &mut imports));
    }
    let enums = enums::kept_names(context, class).join(", ");
    let enums = match names::module(&class.name) {
        _ if enums.is_empty() => enums,
        module => format!("#[doc(inline)]\npub use crate::wire::enums::{module}::{{{enums}}};\n"),
    };
    format!("//! {HEAD}\n\n{enums}{}\n{text}", imports.lines())
}

fn handle(context: Context<'_>, class: &Class, imports: &mut Imports, messages: &[&Expanded<'_>]) -> String {
    imports.handle.insert("handle");
    let (name, record) = (names::handle(&class.name), names::record(&class.name));
    let mut item = doc(&context.describe.handle(class)) + &alias(&class.name, &name);
    let secret = if class.name == "session" { ", secret" } else { "" };
    let _ = writeln!(item, "{name}: {record}, {}{secret}", names::module(&class.name));
    let mut text = invoke("handle", &item);
    imports.inside(Some(name.clone()));
    text.push_str(&implementation(context, class, imports, &name, messages));
    imports.inside(None);
    text
}

fn collection(context: Context<'_>, class: &Class, imports: &mut Imports, messages: &[&Expanded<'_>]) -> String {
    imports.handle.insert("collection");
    let name = names::collection(&class.name);
    let mut item = doc(&context.describe.collection(class)) + &alias(&class.name, &name);
    let _ = writeln!(item, "{name}, {}", names::plural(&class.name));
    let mut text = invoke("collection", &item);
    text.push_str(&implementation(context, class, imports, &name, messages));
    text
}

fn implementation(
    context: Context<'_>,
    class: &Class,
    imports: &mut Imports,
    name: &str,
    messages: &[&Expanded<'_>],
) -> String {
    if messages.is_empty() {
        return String::new();
    }
    let methods: String = messages
        .iter()
        .map(|each| message::methods(context, class, each, imports))
        .collect();
    format!("impl {name} {{\n{}}}\n\n", methods.trim_end())
}

/// Whether some message takes the record of a class.
pub(super) fn takes_record(context: Context<'_>, class: &Class) -> bool {
    let record = Type::Record(class.name.clone());
    context
        .model
        .classes
        .iter()
        .flat_map(expand::messages)
        .any(|each| message::is_offered(&each) && each.params.iter().any(|param| param.ty == record))
}
