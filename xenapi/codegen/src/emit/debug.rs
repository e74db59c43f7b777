//! How a struct with secrets prints itself.

use std::fmt::Write;

use super::types::Imports;

/// An implementation of `Debug` like the derived one, but for the members that are to be hidden.
pub(super) fn text(name: &str, members: &[(String, bool)], imports: &mut Imports) -> String {
    imports.paths.insert("std::fmt");
    let mut fields = String::new();
    for (member, hidden) in members {
        let _ = if *hidden {
            write!(fields, ".field({member:?}, &format_args!(\"(hidden)\"))")
        } else {
            write!(fields, ".field({member:?}, &self.{member})")
        };
    }
    format!(
        "impl fmt::Debug for {name} {{
            /// Without its secrets.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {{
                f.debug_struct({name:?}){fields}.finish()
            }}
        }}\n\n"
    )
}
