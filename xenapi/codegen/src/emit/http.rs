//! The HTTP actions.

use std::fmt::Write;

use super::{Context, HEAD, alias, doc};

/// The text of the file.
pub(super) fn file(context: Context<'_>) -> String {
    let (mut actions, mut all) = (String::new(), String::new());
    for action in &context.model.http_actions {
        let name = action.name.to_uppercase();
        let query: Vec<(String, String)> = action
            .args
            .iter()
            .map(|(name, ty)| (name.clone(), ty.to_string()))
            .collect();
        actions.push_str(&doc(&context.describe.http_action(action)));
        actions.push_str(&alias(&action.name, &name));
        let _ = writeln!(
            actions,
            "pub const {name}: Self = Self {{
                name: {:?}, method: {:?}, path: {:?}, query: &{query:?}, for_clients: {}, least_role: {:?},
            }};\n",
            action.name,
            action.method,
            action.path,
            action.sdk,
            action.role.least.word(),
        );
        let _ = writeln!(all, "HttpAction::{name},");
    }
    format!(
        "//! {HEAD}

        /// Something that the server offers over HTTP beside the calls.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct HttpAction {{
            /// The server's name for it, which is also the realm of its challenge.
            pub name: &'static str,
            /// The HTTP method.
            pub method: &'static str,
            /// The path, without the query.
            pub path: &'static str,
            /// The members of the query that the server documents, with the datamodel's names of their types.
            pub query: &'static [(&'static str, &'static str)],
            /// Whether it is meant for clients rather than for hosts among each other.
            pub for_clients: bool,
            /// The least role that may use it; `local-root` where no role may.
            pub least_role: &'static str,
        }}

        /// All of them.
        pub static HTTP_ACTIONS: &[HttpAction] = &[{all}];

        impl HttpAction {{\n{}}}\n",
        actions.trim_end()
    )
}
