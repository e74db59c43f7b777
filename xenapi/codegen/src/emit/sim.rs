//! The tables of the simulator.

use std::fmt::Write;

use super::{Context, HEAD, indent};
use crate::expand::{self, Expanded};
use crate::model::{Change, Class, Derived, Field, Literal, Param, Qualifier, Type};
use crate::names;

/// The text of the file.
pub(super) fn file(context: Context<'_>) -> String {
    let model = context.model;
    let internal = if model
        .classes
        .iter()
        .flat_map(|item| &item.fields)
        .any(|field| field.internal)
    {
        "const fn internal(mut self) -> Self { self.internal = true; self }"
    } else {
        ""
    };
    let mut text = format!(
        "//! {HEAD}

        use crate::datamodel::{{Class, Enum, ErrorSignature, Field, HttpAction, Literal, Message, Operation, Param, Qualifier, Type}};

        /// A field without a default.
        const fn field(name: &'static str, ty: Type, qualifier: Qualifier) -> Field {{
            Field {{ name, ty, qualifier, default: None, internal: false, secret: false }}
        }}

        impl Field {{
            const fn or(mut self, default: Literal) -> Self {{ self.default = Some(default); self }}
            {internal}const fn secret(mut self) -> Self {{ self.secret = true; self }}
        }}

        /// A message with a session and without an `Async.` form, arguments, result and errors.
        const fn message(name: &'static str, operation: Operation, role: &'static str) -> Message {{
            Message {{
                name, operation, role, params: &[], result: None, has_async: false, session: true, removed: false, errors: &[],
            }}
        }}

        impl Message {{
            const fn takes(mut self, params: &'static [Param]) -> Self {{ self.params = params; self }}
            const fn answers(mut self, result: Type) -> Self {{ self.result = Some(result); self }}
            const fn has_async(mut self) -> Self {{ self.has_async = true; self }}
            const fn sessionless(mut self) -> Self {{ self.session = false; self }}
            const fn removed(mut self) -> Self {{ self.removed = true; self }}
            const fn errors(mut self, errors: &'static [&'static str]) -> Self {{ self.errors = errors; self }}
        }}

        /// A required argument.
        const fn arg(name: &'static str, ty: Type) -> Param {{ Param {{ name, ty, default: None, required: true }} }}

        /// An argument that may be left out.
        const fn opt(name: &'static str, ty: Type, default: Literal) -> Param {{
            Param {{ name, ty, default: Some(default), required: false }}
        }}

        "
    );
    let classes = model.classes.iter().map(class);
    text.push_str(&table("The classes.", "CLASSES: &[Class]", classes));
    let enums = model
        .enums
        .iter()
        .map(|item| format!("Enum {{ name: {:?}, values: &{:?} }}", item.name, item.values));
    text.push_str(&table("The enumerations.", "ENUMS: &[Enum]", enums));
    let errors = model.errors.iter();
    let errors = errors.map(|error| {
        format!(
            "ErrorSignature {{ code: {:?}, params: &{:?} }}",
            error.name, error.params
        )
    });
    text.push_str(&table(
        "The error codes with their parameters.",
        "ERRORS: &[ErrorSignature]",
        errors,
    ));
    let actions = model.http_actions.iter().map(|action| {
        let args: Vec<(&str, String)> = action
            .args
            .iter()
            .map(|(name, ty)| (name.as_str(), ty.to_string()))
            .collect();
        format!(
            "HttpAction {{ name: {:?}, method: {:?}, path: {:?}, sdk: {}, args: &{args:?}, role: {:?} }}",
            action.name,
            action.method,
            action.path,
            action.sdk,
            action.role.least.word()
        )
    });
    text.push_str(&table("The HTTP handlers.", "HTTP_ACTIONS: &[HttpAction]", actions));
    text
}

/// A table with an item a line, however long, since that is how it is compared and searched.
fn table(about: &str, name: &str, items: impl Iterator<Item = String>) -> String {
    let items: String = items.map(|item| format!("{item},\n")).collect();
    format!(
        "/// {about}\n#[rustfmt::skip]\npub static {name} = &[\n{}];\n\n",
        indent(&items)
    )
}

fn class(class: &Class) -> String {
    let fields: String = class.fields.iter().map(|each| field(class, each)).collect();
    let messages: String = expand::messages(class).iter().map(message).collect();
    format!(
        "Class {{\n    name: {:?}, gen_events: {}, in_database: {}, constructor: {},\n    fields: &[\n{}    ],\n    \
         messages: &[\n{}    ],\n}}",
        class.name,
        class.events,
        class.database,
        class.constructor,
        indent(&indent(&fields)),
        indent(&indent(&messages))
    )
}

fn field(class: &Class, field: &Field) -> String {
    let qualifier = match field.qualifier {
        Qualifier::ReadWrite => "Rw",
        Qualifier::Static => "StaticRo",
        Qualifier::Dynamic => "DynamicRo",
    };
    let mut text = format!("field({:?}, {}, Qualifier::{qualifier})", field.name, ty(&field.ty));
    if let Some(default) = &field.default {
        let _ = write!(text, ".or({})", literal(default, &field.ty));
    }
    if field.internal {
        text.push_str(".internal()");
    }
    if names::is_secret_field(&class.name, &field.name) {
        text.push_str(".secret()");
    }
    text + ",\n"
}

fn message(message: &Expanded<'_>) -> String {
    let operation = match message.operation {
        expand::Operation::Written(_) => "Custom".to_owned(),
        expand::Operation::Get(field) => format!("Getter({:?})", field.name),
        expand::Operation::Set(field) => format!("Setter({:?})", field.name),
        expand::Operation::Add(field) => format!("Add({:?})", field.name),
        expand::Operation::Remove(field) => format!("Remove({:?})", field.name),
        expand::Operation::Object(derived) => match derived {
            Derived::Get | Derived::Set => "Custom",
            Derived::GetRecord => "GetRecord",
            Derived::GetByUuid => "GetByUuid",
            Derived::GetByNameLabel => "GetByNameLabel",
            Derived::GetAll => "GetAll",
            Derived::GetAllRecords => "GetAllRecords",
            Derived::Create => "Create",
            Derived::Destroy => "Destroy",
        }
        .to_owned(),
    };
    let mut text = format!(
        "message({:?}, Operation::{operation}, {:?})",
        message.name,
        message.role.least.word()
    );
    if !message.params.is_empty() {
        let params: Vec<String> = message.params.iter().map(param).collect();
        let _ = write!(text, ".takes(&[{}])", params.join(", "));
    }
    if let Some(result) = &message.result {
        let _ = write!(text, ".answers({})", ty(result));
    }
    if message.has_async {
        text.push_str(".has_async()");
    }
    if message.lifecycle.state() == Change::Removed {
        text.push_str(".removed()");
    }
    if let expand::Operation::Written(written) = message.operation {
        if written.flags.sessionless {
            text.push_str(".sessionless()");
        }
        if !written.errors.is_empty() {
            let _ = write!(text, ".errors(&{:?})", written.errors);
        }
    }
    text + ",\n"
}

fn param(param: &Param) -> String {
    match &param.default {
        None => format!("arg({:?}, {})", param.name, ty(&param.ty)),
        Some(default) => format!(
            "opt({:?}, {}, {})",
            param.name,
            ty(&param.ty),
            literal(default, &param.ty)
        ),
    }
}

fn ty(of: &Type) -> String {
    let of = match of {
        Type::String | Type::Secret => "String".to_owned(),
        Type::Int => "Int".to_owned(),
        Type::Float => "Float".to_owned(),
        Type::Bool => "Bool".to_owned(),
        Type::DateTime => "DateTime".to_owned(),
        Type::Enum(name) => format!("Enum({name:?})"),
        Type::Ref(class) => format!("Ref({class:?})"),
        Type::Record(class) => format!("Record({class:?})"),
        Type::Set(item) => format!("Set(&{})", ty(item)),
        Type::Map(key, value) => format!("Map(&{}, &{})", ty(key), ty(value)),
        Type::Option(item) => format!("Option(&{})", ty(item)),
    };
    format!("Type::{of}")
}

fn literal(value: &Literal, of: &Type) -> String {
    let value = match (value, of) {
        (Literal::Null, _) => "Ref(\"\")".to_owned(),
        (Literal::String(text), Type::DateTime) => format!("DateTime({text:?})"),
        (Literal::String(text), Type::Ref(_)) => format!("Ref({text:?})"),
        (Literal::String(text), _) => format!("String({text:?})"),
        (Literal::Int(number), _) => format!("Int({number})"),
        (Literal::Float(number), _) => format!("Float({number:?})"),
        (Literal::Bool(truth), _) => format!("Bool({truth})"),
        (Literal::Set(items), Type::Set(item)) if !items.is_empty() => {
            let items: Vec<String> = items.iter().map(|value| literal(value, item)).collect();
            format!("Set(&[{}])", items.join(", "))
        }
        (Literal::Map(entries), Type::Map(_, item)) if !entries.is_empty() => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("({key:?}, {})", literal(value, item)))
                .collect();
            format!("Map(&[{}])", entries.join(", "))
        }
        (Literal::Set(_), _) => "EmptySet".to_owned(),
        (Literal::Map(..), _) => "EmptyMap".to_owned(),
    };
    format!("Literal::{value}")
}
