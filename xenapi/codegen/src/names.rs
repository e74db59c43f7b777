//! Names in Rust of what has another name on the wire.

use crate::model::{Class, Datamodel, Enum, Literal, Type};

/// Classes whose handle would be called like something of the runtime.
const HANDLES: [(&str, &str); 1] = [("secret", "PoolSecret")];

/// Classes whose plural is no word: wire name, plural.
const PLURALS: [(&str, &str); 6] = [
    ("auth", "auth"),
    ("VM_metrics", "all_vm_metrics"),
    ("VM_guest_metrics", "all_vm_guest_metrics"),
    ("VMSS", "all_vmss"),
    ("host_metrics", "all_host_metrics"),
    ("PIF_metrics", "all_pif_metrics"),
];

/// Messages that would be called like something else in Rust: class, message, name.
const MESSAGES: [(&str, &str, &str); 4] = [
    ("VM", "clone", "clone_as"),
    ("VDI", "clone", "clone_vdi"),
    ("event", "from", "changes_since"),
    ("VIF", "move", "move_to"),
];

/// Words that Rust keeps for itself, and what stands for them.
const KEYWORDS: [(&str, &str); 4] = [
    ("type", "kind"),
    ("fn", "function"),
    ("ref", "reference"),
    ("self", "object"),
];

/// Enums whose values are used by classes of another name: enum, class that keeps it.
const HOMES: [(&str, &str); 3] = [
    ("update_guidances", "host"),
    ("domain_type", "VM"),
    ("pci_dom0_access", "PCI"),
];

/// `VCPUs_max` and `restartHVM` become `vcpus_max` and `restart_hvm`.
pub fn snake(name: &str) -> String {
    words(name).join("_")
}

/// `VM_guest_metrics` becomes `VmGuestMetrics`.
pub fn pascal(name: &str) -> String {
    words(name).iter().map(|word| capital(word)).collect()
}

fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    for part in name
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty())
    {
        let mut word = String::new();
        let mut small = 0;
        for letter in part.chars() {
            if letter.is_ascii_uppercase() && small > 1 {
                words.push(std::mem::take(&mut word));
            }
            small = if letter.is_ascii_lowercase() { small + 1 } else { 0 };
            word.push(letter.to_ascii_lowercase());
        }
        words.push(word);
    }
    words
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
        .unwrap_or_default()
}

fn no_keyword(name: String) -> String {
    match KEYWORDS.iter().find(|(keyword, _)| *keyword == name) {
        Some((_, instead)) => (*instead).to_owned(),
        None => name,
    }
}

/// The module of a class, and the method of `Client` that makes its handle.
pub fn module(class: &str) -> String {
    snake(class)
}

/// The handle of a class.
pub fn handle(class: &str) -> String {
    match HANDLES.iter().find(|(wire, _)| *wire == class) {
        Some((_, name)) => (*name).to_owned(),
        None => pascal(class),
    }
}

/// The record of a class.
pub fn record(class: &str) -> String {
    handle(class) + "Record"
}

/// The method of `Client` that makes the collection of a class.
pub fn plural(class: &str) -> String {
    if let Some((_, plural)) = PLURALS.iter().find(|(wire, _)| *wire == class) {
        return (*plural).to_owned();
    }
    plural_of(&snake(class))
}

/// The collection of a class.
pub fn collection(class: &str) -> String {
    match HANDLES.iter().find(|(wire, _)| *wire == class) {
        Some((_, name)) => plural_of(name),
        None => pascal(&plural(class)),
    }
}

fn plural_of(name: &str) -> String {
    if let Some(stem) = name.strip_suffix("ry") {
        format!("{stem}ries")
    } else if let Some(stem) = name.strip_suffix("xy") {
        format!("{stem}xies")
    } else if name.ends_with("ch") || name.ends_with('s') {
        format!("{name}es")
    } else {
        format!("{name}s")
    }
}

/// A field, an argument.
pub fn member(name: &str) -> String {
    no_keyword(snake(name))
}

/// The method that sends a message.
pub fn method(class: &str, message: &str) -> String {
    if let Some((_, _, name)) = MESSAGES.iter().find(|known| (known.0, known.1) == (class, message)) {
        return (*name).to_owned();
    }
    let name = snake(message);
    match (name.strip_prefix("get_"), name.strip_prefix("set_")) {
        (Some(field), _) => no_keyword(field.to_owned()),
        (_, Some(field)) => format!("set_{}", no_keyword(field.to_owned())),
        _ => no_keyword(name),
    }
}

/// A value of an enum, or an error code.
pub fn variant(value: &str) -> String {
    pascal(value)
}

/// An enum: without its class's name, unless only one word would be left.
pub fn enumeration(model: &Datamodel, item: &Enum) -> String {
    let name = item
        .name
        .strip_suffix("s")
        .filter(|name| name.ends_with("operation") || name.ends_with("guidance"));
    let name = name.unwrap_or(&item.name);
    let home = home(model, &item.name)
        .map(|class| class.name.to_lowercase() + "_")
        .unwrap_or_default();
    match name.strip_prefix(&home).filter(|rest| rest.contains('_')) {
        Some(rest) => pascal(rest),
        None if name == "cls" => "MessageClass".to_owned(),
        None => pascal(name),
    }
}

/// The classes that use an enum, in the datamodel's order.
pub fn users<'a>(model: &'a Datamodel, name: &str) -> Vec<&'a Class> {
    model
        .classes
        .iter()
        .filter(|class| types(class).any(|ty| mentions(ty, name)))
        .collect()
}

/// The class whose module keeps an enum: the one it is named after, or the only one that uses it.
pub fn home<'a>(model: &'a Datamodel, name: &str) -> Option<&'a Class> {
    let users = users(model, name);
    let kept = HOMES.iter().find(|(known, _)| *known == name).map(|(_, class)| *class);
    let named = || {
        users
            .iter()
            .find(|class| name.starts_with(&(class.name.to_lowercase() + "_")))
            .copied()
    };
    kept.and_then(|class| model.class(class))
        .or_else(named)
        .or_else(|| users.first().copied())
}

fn types(class: &Class) -> impl Iterator<Item = &Type> {
    let fields = class.fields.iter().map(|field| &field.ty);
    let messages = class
        .messages
        .iter()
        .flat_map(|message| message.params.iter().map(|param| &param.ty).chain(&message.result));
    fields.chain(messages)
}

fn mentions(ty: &Type, name: &str) -> bool {
    let mut found = false;
    ty.walk(&mut |part| found |= matches!(part, Type::Enum(known) if known == name));
    found
}

/// Whether what a call sends there must not be shown.
pub fn is_secret(class: &str, message: &str, param: &str, ty: &Type) -> bool {
    let mut session = false;
    ty.walk(&mut |part| session |= matches!(part, Type::Ref(class) if class == "session") || *part == Type::Secret);
    let name = param.to_lowercase();
    session
        || ["password", "pwd", "private_key", "device_config"]
            .iter()
            .any(|word| name.contains(word))
        || name == "dest" && matches!(ty, Type::Map(..))
        || (class, message, param) == ("pool", "sync_updates", "token")
        || class == "secret" && (param == "value" || param == "args")
        || (class, param) == ("PBD", "args")
        || message.ends_with("able_external_auth") && param == "config"
}

/// Whether a field holds what must not be shown.
pub fn is_secret_field(class: &str, field: &str) -> bool {
    (class, field) == ("secret", "value")
}

/// Whether a default is what the Rust type has anyway.
pub fn is_type_default(literal: &Literal, ty: &Type) -> bool {
    match literal {
        Literal::Null => true,
        Literal::String(text) => match ty {
            Type::Enum(_) => false,
            Type::DateTime => text == "19700101T00:00:00Z",
            _ => text.is_empty(),
        },
        Literal::Int(number) => *number == 0,
        Literal::Float(number) => *number == 0.0,
        Literal::Bool(truth) => !truth,
        Literal::Set(items) => items.is_empty(),
        Literal::Map(entries) => entries.is_empty(),
    }
}
