//! Types, arguments and defaults in Rust.

use std::collections::BTreeSet;

use super::Context;
use crate::model::{Literal, Type};
use crate::names;

/// The names that a file has to import.
#[derive(Default)]
pub(super) struct Imports {
    /// From the crate's root.
    pub(super) root: BTreeSet<String>,
    /// From the other classes.
    pub(super) classes: BTreeSet<String>,
    /// Enums that another class keeps: its module, the name.
    pub(super) shared: BTreeSet<(String, String)>,
    /// From `handle.rs`.
    pub(super) handle: BTreeSet<&'static str>,
    /// Paths of their own.
    pub(super) paths: BTreeSet<&'static str>,
    /// The name of the handle that methods are being written for, which is `Self` there.
    own: Option<String>,
    /// The class of the file.
    class: String,
}

impl Imports {
    pub(super) fn new(class: &str) -> Self {
        Self {
            class: class.to_owned(),
            ..Self::default()
        }
    }

    /// Says that what follows stands in an `impl` of this type.
    pub(super) fn inside(&mut self, own: Option<String>) {
        self.own = own;
    }

    pub(super) fn root(&mut self, name: &str) -> String {
        self.root.insert(name.to_owned());
        name.to_owned()
    }

    fn of_class(&mut self, class: &str, name: String) -> String {
        if self.own.as_ref() == Some(&name) {
            return "Self".to_owned();
        }
        if class != self.class {
            self.classes.insert(name.clone());
        }
        name
    }

    /// A type that owns its value.
    pub(super) fn owned(&mut self, context: Context<'_>, ty: &Type) -> String {
        match ty {
            Type::String | Type::Secret => "String".to_owned(),
            Type::Int => "i64".to_owned(),
            Type::Float => "f64".to_owned(),
            Type::Bool => "bool".to_owned(),
            Type::DateTime => self.root("DateTime"),
            Type::Enum(name) => self.enumeration(context, name),
            Type::Ref(class) => {
                let handle = self.of_class(class, names::handle(class));
                format!("{}<{handle}>", self.root("Ref"))
            }
            Type::Record(class) => self.of_class(class, names::record(class)),
            Type::Set(item) => format!("Vec<{}>", self.owned(context, item)),
            Type::Map(key, value) => {
                let (key, value) = (self.owned(context, key), self.owned(context, value));
                format!("{}<{key}, {value}>", self.root("Map"))
            }
            Type::Option(item) => format!("Option<{}>", self.owned(context, item)),
        }
    }

    /// The type of an argument.
    pub(super) fn argument(&mut self, context: Context<'_>, ty: &Type) -> String {
        match ty {
            Type::String | Type::Secret => "&str".to_owned(),
            Type::Set(item) => format!("&[{}]", self.argument(context, item)),
            Type::Map(..) | Type::Record(_) => format!("&{}", self.owned(context, ty)),
            _ => self.owned(context, ty),
        }
    }

    fn enumeration(&mut self, context: Context<'_>, name: &str) -> String {
        let item = context.model.enums.iter().find(|item| item.name == name);
        let rust = item.map_or_else(|| names::pascal(name), |item| names::enumeration(context.model, item));
        if let Some(home) = names::home(context.model, name).filter(|home| home.name != self.class) {
            self.shared.insert((names::module(&home.name), rust.clone()));
        }
        rust
    }

    /// A default as an expression of the owned type.
    pub(super) fn value(&mut self, context: Context<'_>, literal: &Literal, ty: &Type) -> String {
        if names::is_type_default(literal, ty) {
            return match ty {
                Type::Int => "0".to_owned(),
                Type::Float => "0.0".to_owned(),
                Type::Bool => "false".to_owned(),
                Type::String | Type::Secret => "String::new()".to_owned(),
                Type::Set(_) => "Vec::new()".to_owned(),
                Type::Map(..) => format!("{}::new()", self.root("Map")),
                Type::Ref(_) => format!("{}::NULL", self.root("Ref")),
                Type::DateTime => format!("{}::NEVER", self.root("DateTime")),
                Type::Enum(_) | Type::Record(_) | Type::Option(_) => "Default::default()".to_owned(),
            };
        }
        match (literal, ty) {
            (Literal::Int(number), _) => number.to_string(),
            (Literal::Float(number), _) => format!("{number:?}"),
            (Literal::Bool(truth), _) => truth.to_string(),
            (Literal::String(text), Type::Enum(name)) => {
                let rust = self.enumeration(context, name);
                let known = context
                    .model
                    .enums
                    .iter()
                    .any(|item| item.name == *name && item.values.contains(text));
                if known {
                    format!("{rust}::{}", names::variant(text))
                } else {
                    format!("{rust}::from({text:?})")
                }
            }
            (Literal::String(text), Type::String | Type::Secret) => format!("{text:?}.to_owned()"),
            (Literal::String(text), _) => format!("{text:?}.parse().unwrap_or_default()"),
            (Literal::Set(items), Type::Set(item)) => {
                let items: Vec<_> = items.iter().map(|literal| self.value(context, literal, item)).collect();
                format!("vec![{}]", items.join(", "))
            }
            (Literal::Map(entries), Type::Map(_, item)) => {
                let pair = |(key, literal): &(String, Literal)| match (literal, &**item) {
                    (Literal::String(text), Type::String) => format!("({key:?}, {text:?})"),
                    _ => format!("({key:?}, {})", self.value(context, literal, item)),
                };
                let entries: Vec<_> = entries.iter().map(pair).collect();
                format!("{}::from([{}])", self.root("Map"), entries.join(", "))
            }
            _ => "Default::default()".to_owned(),
        }
    }

    /// What a type has where nobody says otherwise.
    pub(super) fn type_default(&mut self, context: Context<'_>, ty: &Type) -> String {
        let literal = match ty {
            Type::Set(_) => Literal::Set(Vec::new()),
            Type::Map(..) => Literal::Map(Vec::new()),
            _ => Literal::Null,
        };
        self.value(context, &literal, ty)
    }

    /// The `use` lines.
    pub(super) fn lines(&self) -> String {
        let group = |path: &str, names: &BTreeSet<String>| match names.len() {
            0 => String::new(),
            1 => names.iter().map(|name| format!("use {path}::{name};\n")).collect(),
            _ => format!(
                "use {path}::{{{}}};\n",
                names.iter().cloned().collect::<Vec<_>>().join(", ")
            ),
        };
        let mut lines: String = self
            .shared
            .iter()
            .map(|(home, name)| format!("pub use super::{home}::{name};\n"))
            .collect();
        lines.push_str(&group("super", &self.classes));
        lines.push_str(&group(
            "crate::handle",
            &self.handle.iter().map(|name| (*name).to_owned()).collect(),
        ));
        lines.extend(self.paths.iter().map(|path| format!("use {path};\n")));
        lines.push_str(&group("crate", &self.root));
        lines
    }
}
