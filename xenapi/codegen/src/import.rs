//! Reads a dump of the server's datamodel, leaving out every sentence.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::expand;
use crate::model::{
    Change, Class, Datamodel, Derived, Enum, ErrorCode, Field, Flags, HttpAction, LeastRole, Lifecycle, Literal,
    Message, Param, Qualifier, Release, Role, Transition, Type,
};
use crate::print::sort_allows;

/// Why a dump cannot become a datamodel.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is no JSON.
    #[error("the dump is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A member is missing or has another type.
    #[error("{place}: expected {expected}")]
    Shape {
        /// Where in the dump.
        place: String,
        /// What was expected there.
        expected: String,
    },
    /// A fact that our files have no words for: extend the model, or nothing would tell that it got lost.
    #[error("{place}: cannot be written down: {reason}")]
    Inexpressible {
        /// The class and member.
        place: String,
        /// What is unusual.
        reason: String,
    },
}

type Result<T> = std::result::Result<T, ImportError>;

/// The facts of a dump.
///
/// # Errors
/// Where the text is no such dump, or says something that the model cannot hold.
pub fn datamodel(text: &str) -> Result<Datamodel> {
    let json: Json = serde_json::from_str(text)?;
    let root = Node {
        json: &json,
        place: "dump".to_owned(),
    };
    let mut classes = root.list("classes", class)?;
    classes.sort_by_key(|class| class.name.to_lowercase());
    let mut enums = root.list("enums", |item| {
        Ok(Enum {
            name: item.text("name")?,
            values: item.list("values", |value| value.text("name"))?,
        })
    })?;
    enums.sort_by(|a, b| a.name.cmp(&b.name));
    let mut errors = root.list("errors", |item| {
        let params = item.list("params", |param| param.as_text().map(|name| name.trim().to_owned()))?;
        Ok(ErrorCode {
            name: item.text("name")?,
            params,
        })
    })?;
    errors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Datamodel {
        classes,
        enums,
        errors,
        http_actions: root.list("http_actions", http_action)?,
        releases: root.list("releases", release)?,
    })
}

fn class(node: &Node<'_>) -> Result<Class> {
    let name = node.text("name")?;
    let mut class = Class {
        lifecycle: lifecycle(&node.get("lifecycle")?)?,
        database: node.truth("in_database")?,
        events: node.truth("gen_events")?,
        constructor: node.truth("gen_constructor_destructor")?,
        allows: Vec::new(),
        fields: node.list("fields", field)?,
        messages: Vec::new(),
        name,
    };
    let mut derived = Vec::new();
    for message in node.nodes("messages")? {
        let tag = message.get("tag")?;
        if tag.text("origin")? == "custom" {
            class.messages.push(written(&message)?);
        } else {
            derived.push((tag.text("op")?, message));
        }
    }
    allow(&mut class, &derived)?;
    verify(&class, &derived)?;
    Ok(class)
}

/// Works out which derived messages the class has and what role they need; a field's own role stays with the field.
fn allow(class: &mut Class, derived: &[(String, Node<'_>)]) -> Result<()> {
    let mut of_fields: BTreeMap<(bool, String), Role> = BTreeMap::new();
    for (op, message) in derived {
        let role = role(&message.get("roles")?)?;
        match Derived::ALL[2..].iter().find(|derived| derived.word() == op) {
            Some(derived) => class.allows.push((*derived, role)),
            None => {
                let writes = op != "getter";
                of_fields.insert((writes, message.get("tag")?.text("field")?), role);
            }
        }
    }
    for (derived, writes) in [(Derived::Get, false), (Derived::Set, true)] {
        let roles: Vec<Role> = of_fields
            .iter()
            .filter(|((other, _), _)| *other == writes)
            .map(|(_, role)| *role)
            .collect();
        let usual = roles
            .iter()
            .max_by_key(|role| roles.iter().filter(|other| other == role).count());
        let Some(usual) = usual.copied() else { continue };
        class.allows.push((derived, usual));
        for field in &mut class.fields {
            let own = of_fields
                .get(&(writes, field.name.clone()))
                .copied()
                .filter(|role| *role != usual);
            *(if writes { &mut field.set } else { &mut field.get }) = own;
        }
    }
    sort_allows(&mut class.allows);
    for (_, message) in derived {
        let tag = message.get("tag")?;
        if message.truth("has_effect")? && tag.text("origin")? == "field" {
            let name = tag.text("field")?;
            class
                .fields
                .iter_mut()
                .filter(|field| field.name == name)
                .for_each(|field| field.effect = true);
        }
    }
    Ok(())
}

/// Makes sure that what follows from the class is what the dump says.
fn verify(class: &Class, derived: &[(String, Node<'_>)]) -> Result<()> {
    let follows: BTreeMap<String, _> = expand::messages(class)
        .into_iter()
        .filter(|message| !matches!(message.operation, expand::Operation::Written(_)))
        .map(|message| (message.name.clone(), message))
        .collect();
    let place = |name: &str| format!("{}.{name}", class.name);
    let wrong = |name: &str, reason: &str| ImportError::Inexpressible {
        place: place(name),
        reason: reason.to_owned(),
    };
    for (_, node) in derived {
        let dumped = written(node)?;
        let name = dumped.name.as_str();
        let message = follows
            .get(name)
            .ok_or_else(|| wrong(name, "it does not follow from the class"))?;
        let usual = Flags {
            sync: !message.has_async,
            no_effect: !message.effect,
            ..Flags::default()
        };
        let facts = [
            (
                dumped.params == message.params,
                "its arguments do not follow from the class",
            ),
            (
                dumped.result == message.result,
                "its result does not follow from the class",
            ),
            (dumped.role == message.role, "its role is its own"),
            (dumped.lifecycle == *message.lifecycle, "its lifecycle is its own"),
            (dumped.errors.is_empty(), "it names errors"),
            (dumped.flags == usual, "a flag is unusual"),
        ];
        if let Some((_, reason)) = facts.iter().find(|(holds, _)| !holds) {
            return Err(wrong(name, reason));
        }
    }
    match follows.keys().find(|name| {
        !derived
            .iter()
            .any(|(_, node)| node.text("name").is_ok_and(|n| n == **name))
    }) {
        Some(name) => Err(wrong(name, "it follows from the class, and the dump does not have it")),
        None => Ok(()),
    }
}

fn field(node: &Node<'_>) -> Result<Field> {
    let ty = ty(&node.get("type")?)?;
    Ok(Field {
        name: node.text("name")?,
        default: default(node, &ty)?,
        ty,
        qualifier: match node.text("qualifier")?.as_str() {
            "RW" => Qualifier::ReadWrite,
            "StaticRO" => Qualifier::Static,
            "DynamicRO" => Qualifier::Dynamic,
            _ => return Err(node.wrong("the qualifier RW, StaticRO or DynamicRO")),
        },
        lifecycle: lifecycle(&node.get("lifecycle")?)?,
        get: None,
        set: None,
        effect: false,
        transient: !node.truth("persist")?,
        internal: node.truth("internal_only")?,
    })
}

fn written(node: &Node<'_>) -> Result<Message> {
    let result = match node.json.get("result") {
        None | Some(Json::Null) => None,
        Some(_) => Some(ty(&node.get("result")?.get("type")?)?),
    };
    Ok(Message {
        name: node.text("name")?,
        params: node.list("params", param)?,
        result,
        role: role(&node.get("roles")?)?,
        lifecycle: lifecycle(&node.get("lifecycle")?)?,
        errors: node.list("errors", Node::as_text)?,
        flags: Flags {
            sync: !node.truth("async")?,
            sessionless: !node.truth("session")?,
            secret: node.truth("secret")?,
            pool_internal: node.truth("pool_internal")?,
            hidden: node.truth("hide_from_docs")?,
            db_only: node.truth("db_only")?,
            no_effect: !node.truth("has_effect")?,
        },
    })
}

fn param(node: &Node<'_>) -> Result<Param> {
    let ty = ty(&node.get("type")?)?;
    let default = default(node, &ty)?;
    if node.truth("required")? == default.is_some() {
        return Err(node.wrong("a default where the argument is optional, and only there"));
    }
    Ok(Param {
        name: node.text("name")?,
        ty,
        default,
    })
}

fn http_action(node: &Node<'_>) -> Result<HttpAction> {
    Ok(HttpAction {
        name: node.text("name")?,
        method: node.text("method")?,
        path: node.text("path")?,
        args: node.list("args", |arg| Ok((arg.text("name")?, basic(arg, &arg.text("type")?)?)))?,
        sdk: node.truth("sdk")?,
        role: role(&node.get("roles")?)?,
    })
}

fn release(node: &Node<'_>) -> Result<Release> {
    let text = |name: &str| {
        node.json
            .get(name)
            .and_then(Json::as_str)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    Ok(Release {
        code_name: text("code_name"),
        branding: node.text("branding")?,
        api: (node.whole("major")?, node.whole("minor")?),
        date: text("date"),
    })
}

fn ty(node: &Node<'_>) -> Result<Type> {
    Ok(match node.text("kind")?.as_str() {
        "enum" => Type::Enum(node.text("name")?),
        "ref" => Type::Ref(node.text("class")?),
        "record" => Type::Record(node.text("class")?),
        "set" => Type::Set(ty(&node.get("of")?)?.into()),
        "option" => Type::Option(ty(&node.get("of")?)?.into()),
        "map" => Type::Map(ty(&node.get("key")?)?.into(), ty(&node.get("value")?)?.into()),
        basic_kind => basic(node, basic_kind)?,
    })
}

fn basic(node: &Node<'_>, kind: &str) -> Result<Type> {
    Ok(match kind {
        "string" => Type::String,
        "secret" => Type::Secret,
        "int" => Type::Int,
        "float" => Type::Float,
        "bool" => Type::Bool,
        "datetime" => Type::DateTime,
        _ => return Err(node.wrong("a known type")),
    })
}

fn default(node: &Node<'_>, ty: &Type) -> Result<Option<Literal>> {
    node.json
        .get("default")
        .map(|value| literal(node, value, ty))
        .transpose()
}

fn literal(node: &Node<'_>, value: &Json, ty: &Type) -> Result<Literal> {
    let wrong = || node.wrong(&format!("a default of type {ty}"));
    Ok(match (ty, value) {
        (Type::Ref(_), Json::String(text)) if text == "OpaqueRef:NULL" => Literal::Null,
        (Type::Set(item), Json::Array(values)) => Literal::Set(
            values
                .iter()
                .map(|value| literal(node, value, item))
                .collect::<Result<_>>()?,
        ),
        (Type::Map(_, item), Json::Array(entries)) => {
            let entry = |entry: &Json| match entry.as_array().map(Vec::as_slice) {
                Some([Json::String(key), value]) => Ok((key.clone(), literal(node, value, item)?)),
                _ => Err(wrong()),
            };
            Literal::Map(entries.iter().map(entry).collect::<Result<_>>()?)
        }
        (Type::Float, Json::Number(number)) => Literal::Float(number.as_f64().ok_or_else(wrong)?),
        (Type::Int, Json::Number(number)) => Literal::Int(number.as_i64().ok_or_else(wrong)?),
        (Type::Bool, Json::Bool(truth)) => Literal::Bool(*truth),
        (Type::Set(_) | Type::Map(..) | Type::Float | Type::Int | Type::Bool, _) => return Err(wrong()),
        (_, Json::String(text)) => Literal::String(text.clone()),
        _ => return Err(wrong()),
    })
}

fn lifecycle(node: &Node<'_>) -> Result<Lifecycle> {
    let steps = node.list("transitions", |step| {
        let word = step.text("change")?;
        let change = Change::ALL.into_iter().find(|change| change.word() == word);
        Ok(Transition {
            change: change.ok_or_else(|| step.wrong("a known change"))?,
            release: step.text("release")?,
        })
    })?;
    let lifecycle = Lifecycle(steps);
    let state = node.text("state")?.trim_end_matches("_s").to_lowercase();
    if lifecycle.0.is_empty() || lifecycle.state().word() != state {
        return Err(node.wrong(&format!("a history that ends in {state}")));
    }
    Ok(lifecycle)
}

fn role(node: &Node<'_>) -> Result<Role> {
    let names = node.items()?.iter().map(Node::as_text).collect::<Result<Vec<_>>>()?;
    let client_cert = names.iter().any(|name| name == "client-cert");
    let ladder = &LeastRole::ALL[..LeastRole::ALL.len() - 1];
    let has = |role: &&LeastRole| names.iter().any(|name| name == role.word());
    let least = ladder.iter().find(has).copied().unwrap_or(LeastRole::LocalRoot);
    let expected = ladder.iter().filter(|role| **role >= least).count() + usize::from(client_cert);
    if names.len() != expected || ladder.iter().filter(has).count() + usize::from(client_cert) != expected {
        let reason = format!("the roles {} are not one role and all above it", names.join(", "));
        return Err(ImportError::Inexpressible {
            place: node.place.clone(),
            reason,
        });
    }
    Ok(Role { least, client_cert })
}

/// A place in the dump that knows where it is.
struct Node<'a> {
    json: &'a Json,
    place: String,
}

impl<'a> Node<'a> {
    fn wrong(&self, expected: &str) -> ImportError {
        ImportError::Shape {
            place: self.place.clone(),
            expected: expected.to_owned(),
        }
    }

    fn get(&self, name: &str) -> Result<Self> {
        let json = self
            .json
            .get(name)
            .ok_or_else(|| self.wrong(&format!("a member {name}")))?;
        Ok(Self {
            json,
            place: format!("{}.{name}", self.place),
        })
    }

    fn items(&self) -> Result<Vec<Self>> {
        let items = self.json.as_array().ok_or_else(|| self.wrong("a list"))?;
        let place = |item: &Json, index: usize| match item.get("name").and_then(Json::as_str) {
            Some(name) => format!("{}/{name}", self.place),
            None => format!("{}[{index}]", self.place),
        };
        Ok(items
            .iter()
            .enumerate()
            .map(|(index, item)| Self {
                json: item,
                place: place(item, index),
            })
            .collect())
    }

    fn nodes(&self, name: &str) -> Result<Vec<Self>> {
        self.get(name)?.items()
    }

    fn list<T>(&self, name: &str, item: impl Fn(&Self) -> Result<T>) -> Result<Vec<T>> {
        self.nodes(name)?.iter().map(item).collect()
    }

    fn as_text(&self) -> Result<String> {
        self.json
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| self.wrong("a text"))
    }

    fn text(&self, name: &str) -> Result<String> {
        self.get(name)?.as_text()
    }

    fn truth(&self, name: &str) -> Result<bool> {
        let node = self.get(name)?;
        node.json.as_bool().ok_or_else(|| node.wrong("true or false"))
    }

    fn whole(&self, name: &str) -> Result<i64> {
        let node = self.get(name)?;
        node.json.as_i64().ok_or_else(|| node.wrong("a whole number"))
    }
}
