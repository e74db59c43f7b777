//! The names of the classes.

use std::fmt::Write;

use super::enums::open_enum;
use super::{Context, HEAD, alias, doc};
use crate::names;

/// The text of the file.
pub(super) fn file(context: Context<'_>) -> String {
    let mut values = String::new();
    let mut of_events: Vec<String> = Vec::new();
    for class in &context.model.classes {
        let variant = names::pascal(&class.name);
        values.push_str(&doc(&format!("`{}`.", class.name)));
        if !class.name.eq_ignore_ascii_case(&variant) {
            values.push_str(&alias(&class.name, &variant));
        }
        let _ = writeln!(values, "{variant} = {:?},", class.name);
        // The datamodel says so of roles too, but no server tells of them: they are part of its program.
        if class.events && class.name != "role" {
            of_events.push(format!("Self::{variant}"));
        }
    }
    let of_events = of_events.join(", ");
    let names = open_enum("/// The name of a class.\n", "Class", &values);
    format!(
        "//! {HEAD}

        use crate::open_enum;

        {names}

        impl Class {{
            /// The classes whose objects make events.
            pub const WITH_EVENTS: &'static [Self] = &[{of_events}];

            /// The class of that name in any case: events write it in lower case, calls do not.
            pub fn from_event_name(name: &str) -> Self {{
                let known = Self::VALUES.iter().find(|class| class.as_str().eq_ignore_ascii_case(name));
                known.cloned().unwrap_or_else(|| Self::from(name))
            }}

            /// The name as events write it.
            pub fn event_name(&self) -> String {{ self.as_str().to_ascii_lowercase() }}
        }}
        "
    )
}
