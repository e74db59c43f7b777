//! A file out of a backup.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::task::block_in_place;
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

pub(crate) async fn run(store: &Store, flags: &Flags) -> anyhow::Result<ExitCode> {
    let backup = store.find(&flags.which).await?;
    let mut reasons = Vec::new();
    for disk in &backup.disks {
        if flags.disk.as_ref().is_some_and(|wanted| *wanted != disk.position) {
            continue;
        }
        let opened = store.open(&backup, disk).await?;
        let found = match block_in_place(|| FoundVolume::open(&opened, &flags.volume, Some(&flags.path))) {
            Ok(found) => found,
            Err(error) => {
                reasons.push(format!("disk {}: {error:#}", disk.position));
                continue;
            }
        };
        block_in_place(|| copy(&found, &flags.path))?;
        return Ok(ExitCode::SUCCESS);
    }
    if reasons.is_empty() {
        return Err(anyhow::anyhow!("the backup {} has no such disk", backup.id)).context("nothing was read");
    }
    bail!("{} is in none of the disks:\n  {}", flags.path, reasons.join("\n  "))
}

fn copy(found: &FoundVolume<'_>, path: &str) -> anyhow::Result<()> {
    let content = found.volume.content(path)?;
    let mut out = io::stdout().lock();
    content.copy_to(&mut out)?;
    Ok(out.flush()?)
}
