//! A file out of a backup.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use xenapi_examples::{FoundVolume, WhichVolume};

use crate::Which;
use crate::store::Store;

#[derive(Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    which: Which,
    /// The file, such as /etc/fstab
    #[arg(value_name = "PATH")]
    path: String,
    /// The disk's position in the VM; otherwise the first that has the file
    #[arg(long, value_name = "POSITION")]
    disk: Option<String>,
    #[command(flatten)]
    volume: WhichVolume,
}

pub(crate) fn run(store: &Store, flags: &Flags) -> anyhow::Result<ExitCode> {
    let backup = store.find(&flags.which)?;
    let mut reasons = Vec::new();
    for disk in &backup.disks {
        if flags.disk.as_ref().is_some_and(|wanted| *wanted != disk.position) {
            continue;
        }
        let opened = store.open(&backup, disk)?;
        match FoundVolume::open(&opened, &flags.volume, Some(&flags.path)) {
            Ok(found) => {
                let content = found.volume.content(&flags.path)?;
                let mut out = io::stdout().lock();
                content.copy_to(&mut out)?;
                out.flush()?;
                return Ok(ExitCode::SUCCESS);
            }
            Err(error) => reasons.push(format!("disk {}: {error:#}", disk.position)),
        }
    }
    if reasons.is_empty() {
        return Err(anyhow::anyhow!("the backup {} has no such disk", backup.id)).context("nothing was read");
    }
    bail!("{} is in none of the disks:\n  {}", flags.path, reasons.join("\n  "))
}
