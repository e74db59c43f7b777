//! The record of a class: the struct, its defaults, and how it is read and sent.

use std::fmt::Write;

use super::types::Imports;
use super::{Context, alias, class, debug, doc};
use crate::model::{Class, Field, Qualifier};
use crate::names;
use crate::secrets::{self, Hidden};

/// Fields that the server sends.
fn sent(class: &Class) -> impl Iterator<Item = &Field> {
    class.fields.iter().filter(|field| !field.internal)
}

/// The text of the record.
pub(super) fn text(context: Context<'_>, class: &Class, imports: &mut Imports) -> String {
    let name = names::record(&class.name);
    imports.handle.extend(["ReadFields", "deserialize_record", "next_into"]);
    imports
        .paths
        .insert("serde::de::{Deserialize, Deserializer, MapAccess}");
    let (map, record, value) = (imports.root("Map"), imports.root("Record"), imports.root("Value"));
    let usual = sent(class).all(|field| {
        field
            .default
            .as_ref()
            .is_none_or(|default| names::is_type_default(default, &field.ty))
    });
    let (mut fields, mut defaults, mut wire, mut arms) = (String::new(), String::new(), String::new(), String::new());
    let mut printed = Vec::new();
    for (place, field) in sent(class).enumerate() {
        let member = names::member(&field.name);
        fields.push_str(&doc(&context.describe.field(class, field)));
        fields.push_str(&alias(&field.name, &member));
        let _ = writeln!(fields, "pub {member}: {},", imports.owned(context, &field.ty));
        if !usual {
            let default = match &field.default {
                Some(default) => imports.value(context, default, &field.ty),
                None => imports.type_default(context, &field.ty),
            };
            let _ = writeln!(defaults, "{member}: {default},");
        }
        let hidden = matches!(secrets::hidden(&class.name, field), Some(Hidden::Whole(_)));
        printed.push((member.clone(), hidden));
        let _ = write!(wire, "{:?}, ", field.name);
        let _ = writeln!(arms, "{place} => next_into(&mut self.{member}, members),");
    }
    let mut text = doc(&context.describe.record(class, class::has_handle(class)));
    text.push_str(&alias(&class.name, &name));
    printed.push(("unknown".to_owned(), false));
    let has_secrets = printed.iter().any(|(_, hidden)| *hidden);
    let derives = match (has_secrets, usual) {
        (false, true) => "Clone, Debug, Default, PartialEq",
        (false, false) => "Clone, Debug, PartialEq",
        (true, true) => "Clone, Default, PartialEq",
        (true, false) => "Clone, PartialEq",
    };
    let _ = writeln!(
        text,
        "#[derive({derives})]\n#[non_exhaustive]\npub struct {name} {{\n{fields}unknown: {map}<String, {value}>,\n}}\n"
    );
    if has_secrets {
        text.push_str(&debug::text(&name, &printed, imports));
    }
    if !usual {
        let _ = writeln!(
            text,
            "impl Default for {name} {{ fn default() -> Self {{ Self {{ {defaults} unknown: {map}::new() }} }} }}\n"
        );
    }
    let _ = writeln!(
        text,
        "impl {record} for {name} {{
            const CLASS: &'static str = {:?};
            const FIELDS: &'static [&'static str] = &[{wire}];

            fn unknown_fields(&self) -> &{map}<String, {value}> {{ &self.unknown }}
        }}

        impl ReadFields for {name} {{
            fn read<'de, A: MapAccess<'de>>(&mut self, place: usize, members: &mut A) -> Result<(), A::Error> {{
                match place {{ {arms} _ => Ok(()) }}
            }}

            fn unknown(&mut self) -> &mut {map}<String, {value}> {{ &mut self.unknown }}
        }}

        impl<'de> Deserialize<'de> for {name} {{
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {{
                deserialize_record(deserializer)
            }}
        }}\n",
        class.name
    );
    if class::takes_record(context, class) {
        imports.root("ToValue");
        imports.handle.insert("members");
        let given = sent(class).filter(|field| field.qualifier != Qualifier::Dynamic);
        let given: String = given
            .map(|field| format!("({:?}, self.{}.to_value()),", field.name, names::member(&field.name)))
            .collect();
        let _ = writeln!(
            text,
            "impl ToValue for {name} {{
                /// The fields that can be given when an object is created.
                fn to_value(&self) -> {value} {{ members(vec![{given}]) }}
            }}\n"
        );
    }
    text
}
