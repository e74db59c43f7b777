//! What is known of each message without asking a server: the table behind `MessageFacts`.

use std::fmt::Write;

use super::{Context, HEAD};
use crate::expand;
use crate::model::Change;

/// The text of the file.
pub(super) fn file(context: Context<'_>) -> String {
    let mut rows: Vec<_> = context
        .model
        .classes
        .iter()
        .flat_map(|class| {
            expand::messages(class).into_iter().map(|message| {
                let gone = message.lifecycle.state() == Change::Removed;
                let removed = gone.then(|| message.lifecycle.release_of(Change::Removed)).flatten();
                (
                    format!("{}.{}", class.name, message.name),
                    message.role.least.word(),
                    message.lifecycle.since().unwrap_or_default().to_owned(),
                    removed.unwrap_or_default().to_owned(),
                )
            })
        })
        .collect();
    rows.sort();
    let mut messages = String::new();
    for (name, role, since, removed) in rows {
        let line = format!("{name} {role} {since} {removed}");
        let _ = writeln!(messages, "{}", line.trim_end());
    }
    let mut releases = String::new();
    for release in &context.model.releases {
        if let Some(name) = &release.code_name {
            let (major, minor) = release.api;
            let _ = writeln!(releases, "({name:?}, ({major}, {minor})),");
        }
    }
    format!(
        "//! {HEAD}

        /// A line a message: name, least role, first release, and the release without it where there is one.
        ///
        /// Text, because a table of tuples takes the compiler fifty times as long.
        pub(crate) static MESSAGES: &str = \"\\
{messages}\";

        /// The code names of releases with the version of the API, the oldest first. Later releases are known by the
        /// version of xapi.
        pub(crate) static RELEASES: &[(&str, (i64, i64))] = &[{releases}];
        "
    )
}
