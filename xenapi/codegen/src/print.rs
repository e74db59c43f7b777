//! Writes the datamodel files, in the one form that reading and writing leaves as it is.

use std::fmt::{self, Display, Write};

use crate::model::{
    Class, Derived, Enum, ErrorCode, Field, HttpAction, Lifecycle, Literal, Message, Param, Qualifier, Release, Role,
    Type,
};
use crate::scan::is_word;

/// The longest line before the arguments of a message get a line each.
const WIDTH: usize = 110;
/// The widest first column of the fields of a class.
const COLUMN: usize = 72;

/// The text of a file of `classes/`.
pub fn class(class: &Class) -> String {
    let mut text = class_head(class);
    if !class.fields.is_empty() {
        text.push_str("\nfields\n");
        let lines: Vec<_> = class.fields.iter().map(field_columns).collect();
        let width = lines
            .iter()
            .map(|(left, _)| left.len())
            .filter(|&length| length <= COLUMN)
            .max()
            .unwrap_or(0);
        for (left, right) in lines {
            let _ = writeln!(text, "  {left:width$} | {right}");
        }
    }
    if !class.messages.is_empty() {
        text.push_str("\nmessages");
        for each in &class.messages {
            text.push('\n');
            text.push_str(&message(each));
        }
    }
    text
}

/// The lines above the fields.
pub fn class_head(class: &Class) -> String {
    let mut text = format!("class {} | {}", class.name, class.lifecycle);
    let flags = [
        (class.database, "database"),
        (class.events, "events"),
        (class.constructor, "constructor"),
    ];
    for (_, flag) in flags.into_iter().filter(|(set, _)| *set) {
        let _ = write!(text, " | {flag}");
    }
    text.push('\n');
    let mut roles: Vec<Role> = Vec::new();
    for (_, role) in &class.allows {
        if !roles.contains(role) {
            roles.push(*role);
        }
    }
    for role in roles {
        let words = class
            .allows
            .iter()
            .filter(|(_, other)| *other == role)
            .map(|(derived, _)| derived.word());
        let _ = writeln!(text, "  allows {role}: {}", words.collect::<Vec<_>>().join(", "));
    }
    text
}

/// Sorts derived messages the way they are printed: by role of first appearance, then in the order of [`Derived::ALL`].
pub(crate) fn sort_allows(allows: &mut [(Derived, Role)]) {
    let place = |derived: Derived| Derived::ALL.iter().position(|known| *known == derived);
    allows.sort_by_key(|(derived, _)| place(*derived));
    let mut roles: Vec<Role> = Vec::new();
    for (_, role) in allows.iter() {
        if !roles.contains(role) {
            roles.push(*role);
        }
    }
    allows.sort_by_key(|(_, role)| roles.iter().position(|known| known == role));
}

/// One field on one line.
pub fn field(field: &Field) -> String {
    let (left, right) = field_columns(field);
    format!("{left} | {right}")
}

fn field_columns(field: &Field) -> (String, String) {
    let qualifier = match field.qualifier {
        Qualifier::ReadWrite => "rw",
        Qualifier::Static => "static",
        Qualifier::Dynamic => "dynamic",
    };
    let mut left = format!("{qualifier:7} {}: {}", field.name, field.ty);
    if let Some(default) = &field.default {
        let _ = write!(left, " = {default}");
    }
    let mut right = field.lifecycle.to_string();
    for (word, role) in [("get", field.get), ("set", field.set)] {
        if let Some(role) = role {
            let _ = write!(right, " | {word} {role}");
        }
    }
    for (set, flag) in [
        (field.effect, "effect"),
        (field.transient, "transient"),
        (field.internal, "internal"),
    ] {
        if set {
            let _ = write!(right, " | {flag}");
        }
    }
    (left, right)
}

/// A message on two or more lines.
pub fn message(message: &Message) -> String {
    let result = message
        .result
        .as_ref()
        .map(|ty| format!(" -> {ty}"))
        .unwrap_or_default();
    let params: Vec<String> = message.params.iter().map(Param::to_string).collect();
    let mut text = format!("  {}({}){result}\n", message.name, params.join(", "));
    if text.len() > WIDTH {
        text = format!("  {}(\n    {}\n  ){result}\n", message.name, params.join(",\n    "));
    }
    let _ = write!(text, "    by {} | {}", message.role, message.lifecycle);
    let flags = message.flags;
    let flags = [
        (flags.sync, "sync"),
        (flags.sessionless, "sessionless"),
        (flags.secret, "secret"),
        (flags.pool_internal, "pool-internal"),
        (flags.hidden, "hidden"),
        (flags.db_only, "db-only"),
        (flags.no_effect, "no-effect"),
    ];
    for (_, flag) in flags.into_iter().filter(|(set, _)| *set) {
        let _ = write!(text, " | {flag}");
    }
    text.push('\n');
    if !message.errors.is_empty() {
        let _ = writeln!(text, "    errors {}", message.errors.join(", "));
    }
    text
}

/// The text of `enums.model`.
pub fn enums(enums: &[Enum]) -> String {
    enums.iter().map(enumeration).collect::<Vec<_>>().join("\n")
}

/// One enum.
pub fn enumeration(item: &Enum) -> String {
    let values: String = item.values.iter().map(|value| format!("  {}\n", Name(value))).collect();
    format!("enum {} {{\n{values}}}\n", item.name)
}

/// The text of `errors.model`.
pub fn errors(errors: &[ErrorCode]) -> String {
    errors.iter().map(error_code).collect()
}

/// One error code.
pub fn error_code(error: &ErrorCode) -> String {
    let params: Vec<String> = error.params.iter().map(|param| Name(param).to_string()).collect();
    format!("{}({})\n", error.name, params.join(", "))
}

/// The text of `http_actions.model`.
pub fn http_actions(actions: &[HttpAction]) -> String {
    actions.iter().map(http_action).collect()
}

/// One HTTP action.
pub fn http_action(action: &HttpAction) -> String {
    let args: Vec<String> = action.args.iter().map(|(name, ty)| format!("{name}: {ty}")).collect();
    let sdk = if action.sdk { " | sdk" } else { "" };
    format!(
        "{} {} {} ({}) by {}{sdk}\n",
        action.name,
        action.method,
        action.path,
        args.join(", "),
        action.role
    )
}

/// The text of `releases.model`.
pub fn releases(releases: &[Release]) -> String {
    releases.iter().map(release).collect()
}

/// One release.
pub fn release(release: &Release) -> String {
    let (major, minor) = release.api;
    let date = release
        .date
        .as_ref()
        .map(|date| format!(" {}", Text(date)))
        .unwrap_or_default();
    let code_name = release.code_name.as_deref().unwrap_or("-");
    format!(
        "release {code_name} {} api {major}.{minor}{date}\n",
        Text(&release.branding)
    )
}

/// A word where it can be one, else quoted text.
struct Name<'a>(&'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_word(self.0) {
            f.write_str(self.0)
        } else {
            Text(self.0).fmt(f)
        }
    }
}

struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\"",
            self.0.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
        )
    }
}

impl Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.ty)?;
        self.default
            .as_ref()
            .map_or(Ok(()), |default| write!(f, " = {default}"))
    }
}

impl Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String => f.write_str("string"),
            Self::Secret => f.write_str("secret"),
            Self::Int => f.write_str("int"),
            Self::Float => f.write_str("float"),
            Self::Bool => f.write_str("bool"),
            Self::DateTime => f.write_str("datetime"),
            Self::Enum(name) => write!(f, "enum {name}"),
            Self::Ref(class) => write!(f, "ref {class}"),
            Self::Record(class) => write!(f, "record {class}"),
            Self::Set(item) => write!(f, "set({item})"),
            Self::Map(key, value) => write!(f, "map({key}, {value})"),
            Self::Option(item) => write!(f, "option({item})"),
        }
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::String(text) => Text(text).fmt(f),
            Self::Int(number) => number.fmt(f),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Bool(truth) => truth.fmt(f),
            Self::Set(items) => {
                let items: Vec<String> = items.iter().map(Self::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Self::Map(entries) => {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|(key, value)| format!("{}: {value}", Text(key)))
                    .collect();
                write!(f, "{{{}}}", entries.join(", "))
            }
        }
    }
}

impl Display for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<String> = self
            .0
            .iter()
            .map(|step| format!("{} {}", step.change.word(), step.release))
            .collect();
        f.write_str(&steps.join(", "))
    }
}

impl Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.least.word())?;
        f.write_str(if self.client_cert { "+client-cert" } else { "" })
    }
}
