//! What backups there are, what is in them, and whether they are whole.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::ensure;
use clap::Args;
use serde_json::json;
use vhd_mbr::Size;
use xenapi_examples::{EntryLine, Printable, note};

use crate::Which;
use crate::manifest::Manifest;
use crate::store::{Store, chain};
use crate::volume::{WhichPlace, with_volume};

#[derive(Args)]
pub(crate) struct Flags {
    /// Only those of this VM, by name or UUID
    #[arg(value_name = "VM")]
    vm: Option<String>,
    /// The files of this directory in one of them, such as /etc
    #[arg(value_name = "PATH", requires = "vm")]
    path: Option<String>,
    /// The backup that the files are in; otherwise the newest
    #[arg(long, value_name = "ID", requires = "path")]
    id: Option<String>,
    #[command(flatten)]
    place: WhichPlace,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(store: &Store, flags: &Flags) -> anyhow::Result<ExitCode> {
    match (&flags.vm, &flags.path) {
        (Some(vm), Some(path)) => {
            let which = Which {
                vm: vm.clone(),
                id: flags.id.clone(),
            };
            files(store, &which, path, flags).await
        }
        _ => backups(store, flags).await,
    }
}

/// The files of a directory.
async fn files(store: &Store, which: &Which, path: &str, flags: &Flags) -> anyhow::Result<ExitCode> {
    let backup = store.find(which).await?;
    with_volume(store, &backup, &flags.place, path, false, |found| {
        let mut out = io::stdout().lock();
        let mut documents = Vec::new();
        for entry in found.volume.list(path)? {
            let entry = entry?;
            match flags.json {
                true => documents.push(EntryLine(&entry).json()),
                false => writeln!(out, "{}", EntryLine(&entry))?,
            }
        }
        if flags.json {
            writeln!(out, "{:#}", json!(documents))?;
        }
        Ok(out.flush()?)
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

async fn backups(store: &Store, flags: &Flags) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout();
    let mut documents = Vec::new();
    let mut damaged = false;
    for backup in store.all().await?.into_values().flatten() {
        let backup = match backup {
            Ok(backup) => backup,
            Err(error) => {
                damaged = true;
                note(format!("error: {error:#}"));
                continue;
            }
        };
        if flags
            .vm
            .as_ref()
            .is_some_and(|vm| *vm != backup.name && *vm != backup.vm)
        {
            continue;
        }
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
pub(crate) async fn verify(store: &Store) -> anyhow::Result<ExitCode> {
    let (mut good, mut bad) = (0, 0);
    for backups in store.all().await?.into_values() {
        let known: Vec<_> = backups.iter().flatten().cloned().collect();
        let mut checked_files = BTreeMap::new();
        for backup in backups {
            let checked = match &backup {
                Ok(backup) => check(store, &known, backup, &mut checked_files).await,
                Err(_) => backup.map(|_| ()),
            };
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

/// A backup is as good as all that it is a difference to. Each file is read once.
async fn check(
    store: &Store,
    known: &[Manifest],
    backup: &Manifest,
    checked: &mut BTreeMap<String, bool>,
) -> anyhow::Result<()> {
    for disk in &backup.disks {
        for part in chain(known, backup, disk)? {
            let is_whole = match checked.get(&part.key) {
                Some(is_whole) => *is_whole,
                None => {
                    let outcome = store.check(&part).await;
                    checked.insert(part.key.clone(), outcome.is_ok());
                    outcome?;
                    true
                }
            };
            ensure!(
                is_whole,
                "{}: it is a difference to {}, which is damaged",
                backup.id,
                part.key
            );
        }
    }
    Ok(())
}
