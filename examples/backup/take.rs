//! Taking backups.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::Args;
use jiff::Timestamp;
use vhd_mbr::Size;
use xenapi::vbd::VbdType;
use xenapi::{Client, Ref, Vdi, Vm};
use xenapi_examples::{Afterwards, Batch, Chosen, Job, Pool, Selection, destroy_disk, note};

use crate::disk::Source;
use crate::manifest::{Disk, Manifest, Nic, is_plain};
use crate::store::Store;
use crate::thin::thin;

/// What the names of snapshots of backups begin with; the backup's name follows.
const SNAPSHOT: &str = "backup ";

#[derive(Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    vms: Selection,
    /// All of each disk, and no difference
    #[arg(long)]
    full: bool,
    /// Keep so many backups of each VM; after as many the next is whole, and those that others are differences to stay
    /// until then
    #[arg(long, value_name = "COUNT")]
    keep: Option<usize>,
    /// Go on where a run that was killed has left a lock in a bucket
    #[arg(long)]
    unlock: bool,
    #[command(flatten)]
    batch: Batch,
}

/// With so many files, a chain ends and a new one begins.
const LONGEST: usize = 30;

impl Flags {
    /// The backup that the next one is a difference to; none where that would not be read again, or where a new chain
    /// lets an old one go.
    async fn base<'a>(
        &self,
        store: &Store,
        known: &[Manifest],
        last: &'a Manifest,
        name: &str,
    ) -> Option<&'a Manifest> {
        match store.ensure_complete(known, last).await {
            Ok(length) => Some(last).filter(|_| length < self.keep.unwrap_or(LONGEST).clamp(1, LONGEST)),
            Err(error) => {
                note(format!("{name}: all of it comes: {error:#}"));
                None
            }
        }
    }
}

pub(crate) async fn run(pool: &Pool, store: &Store, flags: &Flags) -> anyhow::Result<ExitCode> {
    let vms = pool.unless_interrupted(pool.vms().all_records()).await?;
    let chosen = flags.vms.choose(&vms)?;
    let job = |vm: Ref<Vm>, chosen: &Chosen| {
        let chosen = chosen.clone();
        Job {
            plan: "back it up".to_owned(),
            work: Box::pin(async move { locked(pool, store, flags, vm, &chosen).await }),
        }
    };
    let outcome = flags.batch.run(pool, chosen, job).await;
    store.settle().await;
    outcome
}

/// Backs a VM up while nobody else does.
async fn locked(pool: &Pool, store: &Store, flags: &Flags, vm: Ref<Vm>, chosen: &Chosen) -> anyhow::Result<String> {
    let uuid = &chosen.record.uuid;
    ensure!(is_plain(uuid), "the VM's UUID {uuid:?} is none");
    if flags.unlock {
        store.unlock(uuid).await?;
    }
    let lock = store.lock(uuid).await?;
    let outcome = back_up(pool, store, flags, vm, chosen).await;
    if let Err(error) = lock.release().await {
        note(format!("{}: the lock is left: {error:#}", chosen.record.name_label));
    }
    outcome
}

async fn back_up(pool: &Pool, store: &Store, flags: &Flags, vm: Ref<Vm>, chosen: &Chosen) -> anyhow::Result<String> {
    let uuid = &chosen.record.uuid;
    for left in store.tidy(uuid).await? {
        note(format!(
            "{}: {left}, which was interrupted, is gone",
            chosen.record.name_label
        ));
    }
    let before = store.backups(uuid).await?;
    let id = Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ").to_string();
    if let Some(newest) = before.last() {
        ensure!(
            id > newest.id,
            "by the clock it is {id}, and the newest backup is of {}: which one is newer counts, so set the clock first",
            newest.id
        );
    }
    let last = match before.last().filter(|_| !flags.full) {
        Some(last) => flags.base(store, &before, last, &chosen.record.name_label).await,
        None => None,
    };
    let snapshot = pool
        .vm(vm)
        .snapshot(&format!("{SNAPSHOT}{id}"))
        .await
        .context("no snapshot can be taken")?;
    // Also where the work is given up: nobody would know of it.
    let mut unfinished = Unfinished {
        client: Client::clone(pool),
        afterwards: pool.afterwards(),
        snapshot: Some(snapshot),
    };
    let taken = take(pool, store, last, &id, snapshot, chosen).await;
    unfinished.snapshot = None;
    let (manifest, are_tracked) = match taken {
        Ok(taken) => taken,
        Err(error) => {
            // What there was before is as good as it was.
            if let Err(left) = destroy_snapshot(pool, snapshot).await {
                note(format!("the snapshot {SNAPSHOT}{id} is left on the pool: {left:#}"));
            }
            if let Err(left) = store.remove(uuid, &id).await {
                note(format!("what there is of {id} goes with the next run: {left:#}"));
            }
            return Err(error);
        }
    };
    let_go(pool, vm, snapshot, &before, &manifest).await?;
    if are_tracked && let Err(error) = keep_tracks_only(pool, snapshot).await {
        note(format!(
            "{}: the pool keeps all of the snapshot {SNAPSHOT}{id}: {error:#}",
            chosen.record.name_label
        ));
    }
    let bytes = manifest.disks.iter().map(|disk| disk.file_bytes).sum();
    let differences = manifest.disks.iter().filter(|disk| disk.base.is_some()).count();
    let mut said = format!(
        "{id}: {} disks, {differences} as differences{}, {}",
        manifest.disks.len(),
        if are_tracked && differences > 0 {
            " by tracked blocks"
        } else {
            ""
        },
        Size(bytes)
    );
    if let Some(keep) = flags.keep {
        let gone = thin(store, uuid, keep).await?;
        if gone > 0 {
            said = format!("{said}; {gone} older backups are gone");
        }
    }
    Ok(said)
}

/// The snapshot of a backup that is not there yet.
struct Unfinished {
    client: Client,
    afterwards: Afterwards,
    snapshot: Option<Ref<Vm>>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let Some(snapshot) = self.snapshot.take() else { return };
        let client = self.client.clone();
        self.afterwards.spawn(async move {
            if let Err(left) = destroy_snapshot(&client, snapshot).await {
                note(format!("a snapshot is left on the pool until the next run: {left:#}"));
            }
        });
    }
}

/// Writes the disks and what the backup is. Tells whether all disks came as the blocks that the pool has tracked.
async fn take(
    pool: &Pool,
    store: &Store,
    last: Option<&Manifest>,
    id: &str,
    snapshot: Ref<Vm>,
    chosen: &Chosen,
) -> anyhow::Result<(Manifest, bool)> {
    let record = pool.vm(snapshot).record().await?;
    let mut disks = Vec::new();
    let mut are_tracked = true;
    for vbd in &record.vbds {
        let vbd = pool.vbd(*vbd).record().await?;
        if vbd.kind != VbdType::Disk || vbd.empty {
            continue;
        }
        let vdi = pool.vdi(vbd.vdi).record().await?;
        let original = pool.vdi(vdi.snapshot_of).uuid().await?;
        let file = format!("disk-{}.vhd", vbd.userdevice);
        ensure!(is_plain(&file), "the disk's position {:?} is none", vbd.userdevice);
        let source = Source {
            pool,
            store,
            vm: &chosen.record.uuid,
            id,
            last,
            snapshot: vbd.vdi,
            record: &vdi,
            original: &original,
            file: &file,
        };
        let (written, size_bytes) = (source.write().await?, source.size()?);
        are_tracked &= written.is_tracked;
        disks.push(Disk {
            position: vbd.userdevice,
            name: vdi.name_label,
            vdi: original,
            size_bytes,
            snapshot: vdi.uuid,
            base: written.base,
            file,
            file_bytes: written.bytes,
            sha256: written.sha256,
        });
    }
    disks.sort_by_key(|disk| (disk.position.parse::<u32>().ok(), disk.position.clone()));
    let mut nics = Vec::new();
    for vif in &chosen.record.vifs {
        let vif = pool.vif(*vif).record().await?;
        let network = pool.network(vif.network).record().await?;
        nics.push(Nic {
            device: vif.device,
            mac: vif.mac,
            network: network.uuid,
            network_name: network.name_label,
        });
    }
    nics.sort_by_key(|nic| nic.device.parse::<u32>().ok());
    let firmware = record.hvm_boot_params.get("firmware").cloned();
    let manifest = Manifest {
        id: id.to_owned(),
        vm: chosen.record.uuid.clone(),
        name: chosen.record.name_label.clone(),
        cpus: record.vcpus_max,
        memory_bytes: record.memory_static_max,
        firmware: firmware.unwrap_or_else(|| "bios".to_owned()),
        snapshot: record.uuid,
        disks,
        nics,
    };
    store.write(&manifest).await?;
    Ok((manifest, are_tracked))
}

/// Whether a text names a backup: `20261124T001500123Z`.
fn is_id(text: &str) -> bool {
    text.len() == 19 && text.ends_with('Z') && text.chars().all(|c| c.is_ascii_digit() || matches!(c, 'T' | 'Z'))
}

/// Destroys what the pool has kept for differences to earlier backups; these are to this one.
async fn let_go(
    pool: &Pool,
    vm: Ref<Vm>,
    snapshot: Ref<Vm>,
    before: &[Manifest],
    now: &Manifest,
) -> anyhow::Result<()> {
    for (old, record) in pool.vms().all_records().await? {
        let is_ours = record.name_label.strip_prefix(SNAPSHOT).is_some_and(is_id);
        if record.is_a_snapshot && record.snapshot_of == vm && is_ours && old != snapshot {
            destroy_snapshot(pool, old).await?;
        }
    }
    // Disks whose snapshot went before them.
    let uuids = |backup: &Manifest| -> Vec<String> { backup.disks.iter().map(|disk| disk.snapshot.clone()).collect() };
    let (before, now): (BTreeSet<_>, _) = (before.iter().flat_map(uuids).collect(), uuids(now));
    for (vdi, record) in pool.vdis().all_records().await? {
        if record.is_a_snapshot && before.contains(&record.uuid) && !now.contains(&record.uuid) {
            destroy_disk(pool, vdi).await?;
        }
    }
    Ok(())
}

/// Keeps of a snapshot's disks only which blocks change from now on, which is all that the next difference takes.
async fn keep_tracks_only(pool: &Pool, snapshot: Ref<Vm>) -> anyhow::Result<()> {
    let disks = disks(pool, snapshot).await?;
    // The data of a disk stays for as long as a VM shows it.
    pool.vm(snapshot).destroy().await?;
    for disk in disks {
        pool.vdi(disk).data_destroy().await?;
    }
    Ok(())
}

async fn destroy_snapshot(pool: &Client, snapshot: Ref<Vm>) -> anyhow::Result<()> {
    let disks = disks(pool, snapshot).await?;
    pool.vm(snapshot).destroy().await?;
    for disk in disks {
        destroy_disk(pool, disk).await?;
    }
    Ok(())
}

async fn disks(pool: &Client, snapshot: Ref<Vm>) -> anyhow::Result<BTreeSet<Ref<Vdi>>> {
    let mut disks = BTreeSet::new();
    for vbd in pool.vm(snapshot).vbds().await? {
        let vbd = pool.vbd(vbd).record().await?;
        if vbd.kind == VbdType::Disk && !vbd.empty {
            disks.insert(vbd.vdi);
        }
    }
    Ok(disks)
}
