//! A file out of a backup.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Args;

use crate::Which;
use crate::store::Store;
use crate::volume::{WhichPlace, with_volume};

#[derive(Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    which: Which,
    /// The file, such as /etc/fstab
    #[arg(value_name = "PATH")]
    path: String,
    #[command(flatten)]
    place: WhichPlace,
    /// Do not read all of the disk's backups first, to hold them against their checksums
    #[arg(long)]
    unchecked: bool,
}

pub(crate) async fn run(store: &Store, flags: &Flags) -> anyhow::Result<ExitCode> {
    let backup = store.find(&flags.which).await?;
    with_volume(store, &backup, &flags.place, &flags.path, !flags.unchecked, |found| {
        let content = found.volume.content(&flags.path)?;
        let mut out = io::stdout().lock();
        content.copy_to(&mut out)?;
        Ok(out.flush()?)
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}
