//! One message: a small method, and where it has optional arguments a second one with their struct.

use std::fmt::Write;

use super::types::Imports;
use super::{Context, alias, debug, doc};
use crate::expand::{Expanded, Operation};
use crate::model::{Class, Param, Type};
use crate::names;

/// Whether a message is called on an object rather than on the collection.
pub(super) fn on_object(class: &Class, message: &Expanded<'_>) -> bool {
    message.params.first().is_some_and(|first| {
        matches!(&first.ty, Type::Ref(of) if *of == class.name)
            && (first.name == "self" || !message.name.starts_with("get_by_"))
    })
}

/// The methods of a message.
pub(super) fn methods(context: Context<'_>, class: &Class, message: &Expanded<'_>, imports: &mut Imports) -> String {
    let mut text = one(context, class, message, imports, false);
    if optional(message).next().is_some() {
        text.push_str(&one(context, class, message, imports, true));
    }
    text
}

fn one(context: Context<'_>, class: &Class, message: &Expanded<'_>, imports: &mut Imports, with: bool) -> String {
    let describe = context.describe;
    let wire = format!("{}.{}", class.name, message.name);
    let method = names::method(&class.name, &message.name);
    let mut text = doc(&if with {
        describe.message_with(class, message)
    } else {
        describe.message(class, message)
    });
    text.push_str(&alias(&wire, &method));
    if let Some(note) = describe.deprecation(message.lifecycle) {
        let _ = writeln!(text, "#[deprecated(note = {note:?})]");
    }
    let own = on_object(class, message);
    let mut params = String::from("&self");
    let secret = |param: &Param| is_secret(class, message, param);
    let arg = |secret: bool| if secret { "secret_arg" } else { "arg" };
    let call = imports.root(if message.has_async { "TaskCall" } else { "Call" });
    let begin = if message.has_async { "begin_task" } else { "begin" };
    let mut body = format!("self.{begin}({wire:?})");
    for param in message
        .params
        .iter()
        .skip(usize::from(own))
        .filter(|param| param.default.is_none())
    {
        let (name, ty) = (names::member(&param.name), imports.argument(context, &param.ty));
        let _ = write!(params, ", {name}: {ty}");
        let _ = write!(body, ".{}({name})", arg(secret(param)));
    }
    let name = if with {
        let _ = write!(params, ", optional: &{}", options_name(message));
        let arg = arg(optional(message).any(|(_, param)| secret(param)));
        body = format!("optional.arguments().into_iter().fold({body}, |call, value| call.{arg}(value))");
        format!("{method}_with")
    } else {
        method
    };
    let result = result(context, class, message, imports);
    let _ = writeln!(text, "pub fn {name}({params}) -> {call}<{result}> {{ {body} }}\n");
    text
}

fn is_secret(class: &Class, message: &Expanded<'_>, param: &Param) -> bool {
    names::is_secret(&class.name, message.name.as_str(), &param.name, &param.ty)
}

/// What the call answers with; two messages of the class `event` answer with types written by hand.
fn result(context: Context<'_>, class: &Class, message: &Expanded<'_>, imports: &mut Imports) -> String {
    match (class.name.as_str(), message.name.as_str(), &message.result) {
        ("event", "from", _) => imports.root("EventBatch"),
        (_, _, Some(Type::Set(item))) if **item == Type::Record("event".to_owned()) => {
            format!("Vec<{}>", imports.root("Event"))
        }
        (_, _, Some(ty)) => imports.owned(context, ty),
        (_, _, None) => "()".to_owned(),
    }
}

fn optional<'a>(message: &'a Expanded<'_>) -> impl Iterator<Item = (usize, &'a Param)> {
    message
        .params
        .iter()
        .enumerate()
        .filter(|(_, param)| param.default.is_some())
}

fn options_name(message: &Expanded<'_>) -> String {
    names::pascal(&message.name) + "Options"
}

/// The struct of the optional arguments, where there are any.
pub(super) fn options(
    context: Context<'_>,
    class: &Class,
    message: &Expanded<'_>,
    imports: &mut Imports,
) -> Option<String> {
    optional(message).next()?;
    let describe = context.describe;
    let name = options_name(message);
    let owner = if on_object(class, message) {
        names::handle(&class.name)
    } else {
        names::collection(&class.name)
    };
    let (mut fields, mut defaults, mut given, mut usual) = (String::new(), String::new(), String::new(), true);
    let mut printed = Vec::new();
    for (index, param) in optional(message) {
        let member = names::member(&param.name);
        fields.push_str(&doc(&describe.option(class, message, index)));
        fields.push_str(&alias(&param.name, &member));
        let _ = writeln!(fields, "pub {member}: {},", imports.owned(context, &param.ty));
        if let Some(default) = &param.default {
            usual &= names::is_type_default(default, &param.ty);
            let _ = writeln!(defaults, "{member}: {},", imports.value(context, default, &param.ty));
        }
        let _ = write!(given, "self.{member}.to_value(), ");
        printed.push((member, is_secret(class, message, param)));
    }
    let mut text = doc(&describe.options(class, message, &owner));
    let has_secrets = printed.iter().any(|(_, secret)| *secret);
    let derives = match (has_secrets, usual) {
        (false, true) => "Clone, Debug, Default",
        (false, false) => "Clone, Debug",
        (true, true) => "Clone, Default",
        (true, false) => "Clone",
    };
    let _ = writeln!(text, "#[derive({derives})]\npub struct {name} {{\n{fields}}}\n");
    if has_secrets {
        text.push_str(&debug::text(&name, &printed, imports));
    }
    if !usual {
        let _ = writeln!(
            text,
            "impl Default for {name} {{ fn default() -> Self {{ Self {{ {defaults} }} }} }}\n"
        );
    }
    imports.handle.insert("up_to_last_changed");
    let value = imports.root("Value");
    imports.root("ToValue");
    let _ = writeln!(
        text,
        "impl {name} {{
            fn values(&self) -> Vec<{value}> {{ vec![{given}] }}

            fn arguments(&self) -> Vec<{value}> {{ up_to_last_changed(self.values(), &Self::default().values()) }}
        }}\n"
    );
    Some(text)
}

/// Whether a message is in the Rust API at all.
pub(super) fn is_offered(message: &Expanded<'_>) -> bool {
    message.lifecycle.state() != crate::model::Change::Removed
        && !matches!(message.operation, Operation::Written(written) if written.flags.pool_internal)
}
