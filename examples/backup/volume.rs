//! Files in a backup.

use anyhow::bail;
use clap::Args;
use tokio::task::block_in_place;
use xenapi_examples::{FoundVolume, WhichVolume};

use crate::manifest::Manifest;
use crate::store::Store;

/// Which disk, and which volume on it.
#[derive(Args)]
pub(crate) struct WhichPlace {
    /// The disk's position in the VM; otherwise the first that has the file
    #[arg(long, value_name = "POSITION")]
    disk: Option<String>,
    #[command(flatten)]
    volume: WhichVolume,
}

/// Does some work, which waits for the disk, with the volume of a backup that has this path; once all that the disk is made
/// of was held against its checksums, where that is wanted.
pub(crate) async fn with_volume<T>(
    store: &Store,
    backup: &Manifest,
    place: &WhichPlace,
    path: &str,
    checked: bool,
    work: impl FnOnce(&FoundVolume<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut reasons = Vec::new();
    for disk in &backup.disks {
        if place.disk.as_ref().is_some_and(|wanted| *wanted != disk.position) {
            continue;
        }
        let opened = store.open(backup, disk).await?;
        match block_in_place(|| FoundVolume::open(&opened, &place.volume, Some(path))) {
            Ok(found) => {
                if checked {
                    for part in store.parts(backup, disk).await? {
                        store.check(&part).await?;
                    }
                }
                return block_in_place(|| work(&found));
            }
            Err(error) => reasons.push(format!("disk {}: {error:#}", disk.position)),
        }
    }
    if reasons.is_empty() {
        bail!("the backup {} has no such disk: nothing was read", backup.id);
    }
    bail!("{path} is in none of the disks:\n  {}", reasons.join("\n  "))
}
