//! What the documentation of an item says: our own sentences where there are any, and the facts in any case.

use crate::docs::{Docs, Topic};
use crate::expand::{self, Expanded, Operation};
use crate::model::{
    Change, Class, Datamodel, Derived, Enum, ErrorCode, Field, HttpAction, LeastRole, Lifecycle, Qualifier, Role, Type,
};
use crate::names;
use crate::secrets::{self, Hidden};

/// Composes documentation in Markdown, with links that resolve from anywhere in the crate.
#[derive(Clone, Copy, Debug)]
pub struct Describe<'a> {
    model: &'a Datamodel,
    docs: &'a Docs,
}

impl<'a> Describe<'a> {
    /// From the facts and the sentences.
    pub fn new(model: &'a Datamodel, docs: &'a Docs) -> Self {
        Self { model, docs }
    }

    fn sentence(&self, topic: Topic) -> Option<String> {
        self.docs
            .text(&topic)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    }

    /// A handle.
    pub fn handle(&self, class: &Class) -> String {
        paragraphs([
            self.class_sentence(class),
            format!("Class `{}`, {}", class.name, self.history(&class.lifecycle)),
            self.docs.page(&class.name).unwrap_or_default().to_owned(),
        ])
    }

    fn class_sentence(&self, class: &Class) -> String {
        let composed = || format!("An object of class `{}`.", class.name);
        self.sentence(Topic::Class(class.name.clone())).unwrap_or_else(composed)
    }

    /// A collection.
    pub fn collection(&self, class: &Class) -> String {
        let plural = names::plural(&class.name);
        let accessor = format!("[`Client::{plural}`](crate::Client::{plural})");
        format!(
            "The messages of class `{}` that need no object of it; from {accessor}.",
            class.name
        )
    }

    /// A record.
    pub fn record(&self, class: &Class, has_handle: bool) -> String {
        let head = format!("All the fields of one `{}`.", class.name);
        let handle = names::handle(&class.name);
        let source = if class.lifecycle.state() == Change::Removed {
            "The class is gone from the API; its records are only kept for what old servers send.".to_owned()
        } else {
            let collection = names::collection(&class.name);
            let all = format!(" and [`{collection}::all_records`](crate::{collection}::all_records)");
            let listed = expand::messages(class)
                .iter()
                .any(|message| message.name == "get_all_records");
            let all = if listed { all.as_str() } else { "" };
            format!("From [`{handle}::record`](crate::{handle}::record){all}.")
        };
        let page = self.docs.page(&class.name).unwrap_or_default().to_owned();
        if has_handle {
            paragraphs([head, source])
        } else {
            paragraphs([self.class_sentence(class), head, page])
        }
    }

    /// A field of a record.
    pub fn field(&self, class: &Class, field: &Field) -> String {
        let sentence = self.sentence(Topic::Field(class.name.clone(), field.name.clone()));
        let mut facts = Vec::new();
        facts.extend(
            self.docs
                .unit(&format!("{}.{}", class.name, field.name))
                .map(|unit| format!("In {unit}.")),
        );
        match field.qualifier {
            Qualifier::ReadWrite => facts.push("Can be changed at any time.".to_owned()),
            Qualifier::Static if class.constructor => facts.push("Given when the object is created.".to_owned()),
            Qualifier::Static | Qualifier::Dynamic => {}
        }
        facts.push(self.history_sentence(&field.lifecycle));
        paragraphs([
            sentence.unwrap_or_else(|| format!("The field `{}`{}.", field.name, kind(&field.ty))),
            secrecy(class, field),
            facts.join(" "),
        ])
    }

    /// A message.
    pub fn message(&self, class: &Class, message: &Expanded<'_>) -> String {
        let sentence = self.sentence(Topic::Message(class.name.clone(), message.name.clone()));
        let head = sentence.unwrap_or_else(|| self.composed(class, message));
        let facts = self.facts(class, message);
        let units = self.units(class, message);
        paragraphs([head, units, facts, self.errors(message), self.seen(class, message)])
    }

    /// The name on the wire, the history and the least role of a message.
    fn facts(&self, class: &Class, message: &Expanded<'_>) -> String {
        let mut facts = format!("`{}.{}`, {}", class.name, message.name, self.history(message.lifecycle));
        facts.push_str(&format!(" Least role: {}.", role(message.role)));
        if message.has_async {
            facts.push_str(" Runs as a task.");
        }
        facts
    }

    /// A message with its optional arguments.
    pub fn message_with(&self, class: &Class, message: &Expanded<'_>) -> String {
        let method = names::method(&class.name, &message.name);
        let head = format!(
            "[`{method}`](Self::{method}) with its optional arguments; those at the end that have their default are not sent."
        );
        paragraphs([head, String::new(), self.facts(class, message), String::new()])
    }

    /// The optional arguments of a message.
    pub fn options(&self, class: &Class, message: &Expanded<'_>, owner: &str) -> String {
        let method = names::method(&class.name, &message.name);
        format!(
            "The optional arguments of `{}.{}`, for [`{owner}::{method}_with`](crate::{owner}::{method}_with).",
            class.name, message.name
        )
    }

    /// An optional argument.
    pub fn option(&self, class: &Class, message: &Expanded<'_>, index: usize) -> String {
        let param = &message.params[index];
        let unit = self
            .docs
            .unit(&format!("{}.{}({})", class.name, message.name, param.name));
        let unit = unit.map(|unit| format!(", in {unit}")).unwrap_or_default();
        let default = param
            .default
            .as_ref()
            .map(|default| format!("; left out it is `{default}`"))
            .unwrap_or_default();
        let secrecy = if names::is_secret(&class.name, &message.name, &param.name, &param.ty) {
            " `Debug` prints `(hidden)` in its place."
        } else {
            ""
        };
        format!("The argument `{}`{unit}{default}.{secrecy}", param.name)
    }

    /// What a message does, from its name and place.
    fn composed(&self, class: &Class, message: &Expanded<'_>) -> String {
        let wire = &class.name;
        let of_record = |field: &Field| {
            let (record, member) = (names::record(wire), names::member(&field.name));
            format!("[`{member}`](crate::{record}::{member})")
        };
        let first = |name: &Field| {
            self.sentence(Topic::Field(wire.clone(), name.name.clone()))
                .and_then(|text| text.split("\n\n").next().map(|first| format!(": {}", uncapital(first))))
                .unwrap_or_else(|| ".".to_owned())
        };
        match touched(class, message) {
            Operation::Get(of) => format!("Reads the field {}{}", of_record(of), first(of)),
            Operation::Set(of) => format!("Sets the field {}{}", of_record(of), first(of)),
            Operation::Add(of) if matches!(of.ty, Type::Map(..)) => format!(
                "Adds an entry to the map {}. A key that is there already is refused with \
                 [`MAP_DUPLICATE_KEY`](crate::ErrorCode::MapDuplicateKey).",
                of_record(of)
            ),
            Operation::Add(of) => format!("Adds a value to the set {}, unless it is there already.", of_record(of)),
            Operation::Remove(of) if matches!(of.ty, Type::Map(..)) => {
                format!(
                    "Takes the entry of `key` out of the map {}; no failure where there is none.",
                    of_record(of)
                )
            }
            Operation::Remove(of) => {
                format!(
                    "Takes a value out of the set {}; no failure where it is not there.",
                    of_record(of)
                )
            }
            Operation::Object(derived) => match derived {
                Derived::GetRecord => "Reads all fields at once.".to_owned(),
                Derived::GetByUuid => format!(
                    "Finds the `{wire}` of that UUID; [`UUID_INVALID`](crate::ErrorCode::UuidInvalid) where there is none."
                ),
                Derived::GetByNameLabel => {
                    format!(
                        "Finds each `{wire}` of that name: names need not be unique, so there may be several or none."
                    )
                }
                Derived::GetAll => format!("Lists the references of each `{wire}` that the pool has."),
                Derived::GetAllRecords => {
                    format!("Reads each `{wire}` that the pool has, with all fields, in one call.")
                }
                Derived::Create => {
                    let head =
                        format!("Makes a new `{wire}` from the fields of a record that can be given at creation.");
                    let needed = class.fields.iter().filter(|field| must_be_given(field));
                    let needed: Vec<_> = needed.map(of_record).collect();
                    if needed.is_empty() {
                        head
                    } else {
                        format!("{head} These have no default: {}.", list(&needed))
                    }
                }
                Derived::Destroy => format!("Removes this `{wire}`."),
                Derived::Get | Derived::Set => String::new(),
            },
            Operation::Written(_) => self.written(class, message),
        }
    }

    /// What a written message does, as far as its name and types tell.
    fn written(&self, class: &Class, message: &Expanded<'_>) -> String {
        let name = message.name.as_str();
        let subject = format!("of class `{}`", class.name);
        let given: Vec<_> = message
            .params
            .iter()
            .filter(|param| param.name != "self")
            .map(|param| format!("`{}`", param.name))
            .collect();
        let given = if given.is_empty() {
            String::new()
        } else {
            format!(", given {}", list(&given))
        };
        let answer = message
            .result
            .as_ref()
            .map(|ty| format!("; answers with {}", noun(ty)))
            .unwrap_or_default();
        let prefixes = [
            ("get_", "Asks for"),
            ("set_", "Sets"),
            ("add_to_", "Adds to"),
            ("remove_from_", "Takes out of"),
            ("assert_", "Fails unless this holds:"),
        ];
        match prefixes
            .iter()
            .find_map(|(prefix, verb)| Some((verb, name.strip_prefix(prefix)?)))
        {
            Some((verb, rest)) => format!("{verb} `{rest}`{given}{answer}."),
            None => format!("Sends the message `{name}` {subject}{given}{answer}."),
        }
    }

    fn units(&self, class: &Class, message: &Expanded<'_>) -> String {
        let call = format!("{}.{}", class.name, message.name);
        let mut units: Vec<String> = match touched(class, message) {
            Operation::Get(field) | Operation::Set(field) => {
                let unit = self.docs.unit(&format!("{}.{}", class.name, field.name));
                unit.map(|unit| format!("In {unit}.")).into_iter().collect()
            }
            _ => Vec::new(),
        };
        for param in message.params.iter().filter(|param| param.default.is_none()) {
            let unit = self.docs.unit(&format!("{call}({})", param.name));
            units.extend(unit.map(|unit| format!("`{}` is in {unit}.", names::member(&param.name))));
        }
        units.extend(
            self.docs
                .unit(&format!("{call}()"))
                .map(|unit| format!("The answer is in {unit}.")),
        );
        units.join(" ")
    }

    fn errors(&self, message: &Expanded<'_>) -> String {
        let Operation::Written(written) = message.operation else {
            return String::new();
        };
        if written.errors.is_empty() {
            return String::new();
        }
        let link = |code: &String| format!("[`{code}`](crate::ErrorCode::{})", names::variant(code));
        format!(
            "Errors: {}.",
            written.errors.iter().map(link).collect::<Vec<_>>().join(", ")
        )
    }

    /// Where the message leaves traces: in events, and in tools of this project.
    fn seen(&self, class: &Class, message: &Expanded<'_>) -> String {
        let link = |topic: &Topic| match topic {
            Topic::Field(class, field) => {
                let (record, member) = (names::record(class), names::member(field));
                Some(format!("[`{class}.{field}`](crate::{record}::{member})"))
            }
            Topic::Class(class) => Some(format!("[`{class}`](crate::{})", names::record(class))),
            _ => None,
        };
        let topic = Topic::Message(class.name.clone(), message.name.clone());
        let events: Vec<_> = self.docs.events(&topic).iter().filter_map(link).collect();
        let tools = self.docs.tools(&format!("{}.{}", class.name, message.name));
        let tools: Vec<_> = tools.iter().map(|tool| format!("`{tool}`")).collect();
        let mut lines = Vec::new();
        if !events.is_empty() {
            lines.push(format!("Events: {}.", events.join(", ")));
        }
        if !tools.is_empty() {
            let example = if tools.len() == 1 { "example" } else { "examples" };
            lines.push(format!("In use by the {example} {}.", list(&tools)));
        }
        lines.join("\n\n")
    }

    /// An enum.
    pub fn enumeration(&self, item: &Enum) -> String {
        let users: Vec<String> = names::users(self.model, &item.name)
            .iter()
            .map(|class| format!("`{}`", class.name))
            .collect();
        let composed = || format!("A value of the enum `{}`, which {} uses.", item.name, list(&users));
        self.sentence(Topic::Enum(item.name.clone())).unwrap_or_else(composed)
    }

    /// A value of an enum.
    pub fn value(&self, item: &Enum, value: &str) -> String {
        self.sentence(Topic::Value(item.name.clone(), value.to_owned()))
            .unwrap_or_else(|| format!("`{value}`."))
    }

    /// An error code.
    pub fn error(&self, error: &ErrorCode) -> String {
        let sentence = self
            .sentence(Topic::Error(error.name.clone()))
            .unwrap_or_else(|| format!("`{}`.", error.name));
        if error.params.is_empty() {
            return sentence;
        }
        let params: Vec<String> = error.params.iter().map(|param| format!("`{param}`")).collect();
        paragraphs([sentence, format!("Parameters: {}.", params.join(", "))])
    }

    /// An HTTP action.
    pub fn http_action(&self, action: &HttpAction) -> String {
        let head = format!("`{} {}`.", action.method, action.path);
        let sentence = self.sentence(Topic::HttpAction(action.name.clone()));
        let mut facts = format!("Least role: {}.", role(action.role));
        if !action.sdk {
            facts.push_str(" Not meant for clients.");
        }
        match sentence {
            Some(sentence) => paragraphs([
                format!("`{} {}`: {}", action.method, action.path, uncapital(&sentence)),
                facts,
            ]),
            None => paragraphs([head, facts]),
        }
    }

    /// Why a message is better not used, where that is so.
    pub fn deprecation(&self, lifecycle: &Lifecycle) -> Option<String> {
        (lifecycle.state() == Change::Deprecated).then(|| {
            format!(
                "since {}",
                self.release(lifecycle.release_of(Change::Deprecated).unwrap_or_default())
            )
        })
    }

    fn history_sentence(&self, lifecycle: &Lifecycle) -> String {
        let text = self.history(lifecycle);
        text.strip_prefix("since")
            .map(|rest| format!("Since{rest}"))
            .unwrap_or(text)
    }

    /// `since XenServer 4.0 (rio).` and what came after.
    fn history(&self, lifecycle: &Lifecycle) -> String {
        let mut text = format!("since {}.", self.release(lifecycle.since().unwrap_or_default()));
        let release = |change| self.release(lifecycle.release_of(change).unwrap_or_default());
        match lifecycle.state() {
            Change::Prototyped => text.push_str(" A prototype: it may still change."),
            Change::Deprecated => text.push_str(&format!(" Deprecated since {}.", release(Change::Deprecated))),
            Change::Removed => text.push_str(&format!(" Removed in {}.", release(Change::Removed))),
            Change::Published | Change::Extended | Change::Changed => {}
        }
        text
    }

    /// `XenServer 4.0 (rio)` or `xapi 24.17.0`.
    fn release(&self, name: &str) -> String {
        match self.model.release(name) {
            Some(release) if release.branding == "Unreleased" => format!("the unreleased `{name}`"),
            Some(release) => format!("{} ({name})", release.branding),
            None => format!("xapi {name}"),
        }
    }
}

/// Whether an object cannot be made without the field: it can be given, and neither the server nor its type has a value
/// that makes sense for it.
fn must_be_given(field: &Field) -> bool {
    field.qualifier != Qualifier::Dynamic && field.default.is_none() && matches!(field.ty, Type::Enum(_) | Type::Ref(_))
}

/// Where a message comes from; a written one that is called like those of a field is one of that field.
fn touched<'a>(class: &'a Class, message: &Expanded<'a>) -> Operation<'a> {
    let of = |prefix: &str| {
        let name = message.name.strip_prefix(prefix)?;
        class.fields.iter().find(|field| field.name == name)
    };
    let found = || {
        of("get_")
            .map(Operation::Get)
            .or_else(|| of("set_").map(Operation::Set))
            .or_else(|| {
                of("add_to_")
                    .map(Operation::Add)
                    .or_else(|| of("remove_from_").map(Operation::Remove))
            })
    };
    match message.operation {
        Operation::Written(_) => found().unwrap_or(message.operation),
        derived => derived,
    }
}

/// What a field holds that is not printed.
fn secrecy(class: &Class, field: &Field) -> String {
    match secrets::hidden(&class.name, field) {
        Some(Hidden::Whole(what)) => format!("Holds {what}: `Debug` prints `(hidden)` in its place."),
        Some(Hidden::Some(what)) => {
            format!("May hold {what}: [`Debug`](crate::Map#printing) hides the values whose key names a secret.")
        }
        None => String::new(),
    }
}

/// A role in words.
fn role(role: Role) -> String {
    let least = match role.least {
        LeastRole::LocalRoot => "none, only root on the host itself".to_owned(),
        least => format!("`{}`", least.word()),
    };
    if role.client_cert && role.least != LeastRole::ReadOnly {
        least + ", and client certificates"
    } else {
        least
    }
}

/// ", a set of references" and the like, where it tells more than the Rust type.
fn kind(ty: &Type) -> &'static str {
    match ty {
        Type::Ref(_) => "; it may refer to nothing",
        Type::DateTime => "; the epoch stands for never",
        _ => "",
    }
}

/// What a call answers with.
fn noun(ty: &Type) -> String {
    match ty {
        Type::String | Type::Secret => "text".to_owned(),
        Type::Int => "a whole number".to_owned(),
        Type::Float => "a number".to_owned(),
        Type::Bool => "yes or no".to_owned(),
        Type::DateTime => "a time".to_owned(),
        Type::Enum(_) => "one of a few values".to_owned(),
        Type::Ref(class) => format!("a `{class}`"),
        Type::Record(class) => format!("the record of a `{class}`"),
        Type::Set(item) => format!("a set, each item {}", noun(item)),
        Type::Map(..) => "a map".to_owned(),
        Type::Option(item) => format!("{}, or nothing", noun(item)),
    }
}

fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// Starts a sentence in lower case, unless its first word is a name.
fn uncapital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if first.is_ascii_uppercase() && (second.is_ascii_lowercase() || second == ' ') => {
            first.to_ascii_lowercase().to_string() + &sentence[1..]
        }
        _ => sentence.to_owned(),
    }
}

fn paragraphs<const N: usize>(parts: [String; N]) -> String {
    parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("\n\n")
}
