//! Letting go of old backups.

use std::collections::BTreeSet;

use crate::manifest::Manifest;
use crate::store::Store;

/// Removes the backups of a VM that are neither among the newest so many nor what one of those is a difference to.
/// Answers how many are gone.
pub(crate) async fn thin(store: &Store, vm: &str, keep: usize) -> anyhow::Result<usize> {
    let backups = store.backups(vm).await?;
    let needed = needed(&backups, keep.max(1));
    let mut gone = 0;
    // The newest first: what is left where this is interrupted needs nothing that is gone.
    for backup in backups.iter().rev().filter(|backup| !needed.contains(&backup.id)) {
        store.remove(vm, &backup.id).await?;
        gone += 1;
    }
    Ok(gone)
}

fn needed(backups: &[Manifest], keep: usize) -> BTreeSet<String> {
    let newest = backups.iter().rev().take(keep);
    let mut needed: BTreeSet<String> = newest.map(|backup| backup.id.clone()).collect();
    for backup in backups.iter().rev() {
        if needed.contains(&backup.id) {
            needed.extend(backup.disks.iter().filter_map(|disk| disk.base.clone()));
        }
    }
    needed
}
