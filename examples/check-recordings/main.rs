//! Checks recordings of a real pool against the typed bindings and the archive reader.
//!
//!     cargo run --example check-recordings -- FOLDER
//!
//! - `NAME.xml.http` and `NAME.json.http` are whole HTTP replies to one call in both encodings: each is decoded into its
//!   type, the two are compared value by value, and nothing in them may be unknown. The name says what the call was:
//!   `CLASS.get_all_records`, `…-record`, `event-from-…`, `…-get-data-sources`, `listMethods`, `error-…`; the replies of
//!   the metrics handlers are compared by their values.
//! - `*.xva`, also compressed, are archives: every block is verified, and each disk is printed in the VM's order with its
//!   size, the SHA-256 of its raw image and its partition table.
//!
//! One line a name; exit code 1 on any difference, and where one of the two encodings is missing.

mod archive;
mod difference;
mod enums;
mod metrics;
mod recording;
mod typed;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use xenapi_examples::{arguments, finish};

/// Checks recordings of a real pool against the typed bindings and the archive reader
#[derive(Parser)]
struct Flags {
    /// A folder of recordings
    folder: PathBuf,
}

fn main() -> ExitCode {
    finish(check(&arguments::<Flags>().folder))
}

fn check(folder: &Path) -> anyhow::Result<ExitCode> {
    let files = file_names(folder)?;
    let recordings: BTreeSet<&str> = files.iter().filter_map(|name| recording::base_name(name)).collect();
    let archives = files.iter().filter(|name| name.ends_with(".xva"));

    let mut out = io::stdout();
    let mut wrong = 0;
    let mut report = |name: &str, outcome: anyhow::Result<String>| match outcome {
        Ok(said) => writeln!(out, "ok    {name}: {said}"),
        Err(error) => {
            wrong += 1;
            writeln!(out, "WRONG {name}: {error:#}")
        }
    };
    for name in &recordings {
        report(name, recording::check(folder, name))?;
    }
    let mut checked = recordings.len();
    for name in archives {
        report(name, archive::check(&folder.join(name)))?;
        checked += 1;
    }
    writeln!(out, "{checked} checked, {wrong} wrong")?;
    anyhow::ensure!(checked > 0, "{} holds no recording and no archive", folder.display());
    Ok(if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn file_names(folder: &Path) -> anyhow::Result<Vec<String>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}
