//! The error codes.

use std::fmt::Write;

use super::enums::open_enum;
use super::{Context, HEAD, alias, doc};
use crate::names;

/// The text of the file.
pub(super) fn file(context: Context<'_>) -> String {
    let head = doc("Why XenAPI refused a call.\n\nA code that is newer than this crate is kept as it came.");
    let (mut values, mut params) = (String::new(), String::new());
    for error in &context.model.errors {
        let variant = names::variant(&error.name);
        values.push_str(&doc(&context.describe.error(error)));
        values.push_str(&alias(&error.name, &variant));
        let _ = writeln!(values, "{variant} = {:?},", error.name);
        if !error.params.is_empty() {
            let _ = writeln!(params, "Self::{variant} => &{:?},", error.params);
        }
    }
    let codes = open_enum(&head, "ErrorCode", &values);
    let about = doc(
        "What the texts that come with this code mean, in their order.\n\nEmpty for codes without, and for unknown ones.",
    );
    format!(
        "//! {HEAD}

        use crate::open_enum;

        {codes}

        impl ErrorCode {{
            {about}pub fn params(&self) -> &'static [&'static str] {{ match self {{ {params} _ => &[] }} }}
        }}"
    )
}
