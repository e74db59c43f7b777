//! What a newer dump adds, removes and changes.

use std::collections::BTreeMap;

use crate::model::{Class, Datamodel, Enum};
use crate::print;

/// The differences, a line each: `+` added, `-` removed, `~` changed with its old and new facts.
pub fn changes(old: &Datamodel, new: &Datamodel) -> Vec<String> {
    let (old, new) = (items(old), items(new));
    let mut lines = Vec::new();
    for (name, facts) in &new {
        match old.get(name) {
            None => lines.push(format!("+ {name}")),
            Some(before) if before != facts => lines.push(format!("~ {name}\n    was {before}\n    is  {facts}")),
            Some(_) => {}
        }
    }
    lines.extend(
        old.keys()
            .filter(|name| !new.contains_key(*name))
            .map(|name| format!("- {name}")),
    );
    lines
}

/// Everything that has a name, with its facts on one line.
fn items(model: &Datamodel) -> BTreeMap<String, String> {
    let mut items = BTreeMap::new();
    let mut insert = |name: String, text: String| {
        items.insert(name, text.split_whitespace().collect::<Vec<_>>().join(" "));
    };
    for class in &model.classes {
        of_class(class, &mut insert);
    }
    for item in &model.enums {
        of_enum(item, &mut insert);
    }
    for error in &model.errors {
        insert(format!("error {}", error.name), print::error_code(error));
    }
    for action in &model.http_actions {
        insert(format!("http action {}", action.name), print::http_action(action));
    }
    for release in &model.releases {
        let name = release.code_name.as_ref().unwrap_or(&release.branding);
        insert(format!("release {name}"), print::release(release));
    }
    items
}

fn of_class(class: &Class, insert: &mut impl FnMut(String, String)) {
    insert(format!("class {}", class.name), print::class_head(class));
    for field in &class.fields {
        insert(format!("field {}.{}", class.name, field.name), print::field(field));
    }
    for message in &class.messages {
        insert(
            format!("message {}.{}", class.name, message.name),
            print::message(message),
        );
    }
}

fn of_enum(item: &Enum, insert: &mut impl FnMut(String, String)) {
    insert(format!("enum {}", item.name), String::new());
    for value in &item.values {
        insert(format!("enum value {}.{value}", item.name), String::new());
    }
}
