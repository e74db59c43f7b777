//! What backups there are, and whether they are whole.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use vhd_mbr::Size;
use xenapi_examples::{Printable, note};

use crate::store::{Store, check};

#[derive(Args)]
pub(crate) struct Flags {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(store: &Store, flags: &Flags) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout();
    let mut documents = Vec::new();
    let mut damaged = false;
    for backup in store.all()?.into_values().flatten() {
        let backup = match backup {
            Ok(backup) => backup,
            Err(error) => {
                damaged = true;
                note(format!("error: {error:#}"));
                continue;
            }
        };
        if flags.json {
            documents.push(serde_json::to_value(&backup)?);
            continue;
        }
        let bytes = backup.disks.iter().map(|disk| disk.file_bytes).sum();
        let is_whole = backup.disks.iter().all(|disk| disk.base.is_none());
        writeln!(
            out,
            "{:<24} {} {:<10} {}",
            Printable(&backup.name),
            backup.id,
            if is_whole { "all" } else { "difference" },
            Size(bytes)
        )?;
    }
    if flags.json {
        writeln!(out, "{:#}", json!(documents))?;
    }
    Ok(ExitCode::from(u8::from(damaged)))
}

/// Reads everything.
pub(crate) fn verify(store: &Store) -> anyhow::Result<ExitCode> {
    let (mut good, mut bad) = (0, 0);
    for (vm, backups) in store.all()? {
        for backup in backups {
            let checked = backup.and_then(|backup| {
                for disk in &backup.disks {
                    check(&store.of_backup(&vm, &backup.id).join(&disk.file), disk)?;
                    // What it is a difference to is there, and is checked by itself.
                    store.open(&backup, disk)?;
                }
                Ok(())
            });
            match checked {
                Ok(()) => good += 1,
                Err(error) => {
                    bad += 1;
                    note(format!("error: {error:#}"));
                }
            }
        }
    }
    note(match bad {
        0 => format!("{good} backups are whole"),
        _ => format!("{good} backups are whole, {bad} are not"),
    });
    Ok(ExitCode::from(u8::from(bad > 0)))
}
