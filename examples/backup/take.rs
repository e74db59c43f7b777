//! Taking backups.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::Args;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use vhd_mbr::Size;
use xenapi::vbd::VbdType;
use xenapi::{DiskFormat, Ref, Vdi, Vm};
use xenapi_examples::{Batch, Chosen, Job, Meter, Pool, Selection, Total, destroy_disk, note};

use crate::manifest::{Disk, Manifest, hex, is_plain};
use crate::place::Upload;
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
    /// Keep so many backups of each VM; older ones that others are differences to stay with them
    #[arg(long, value_name = "COUNT")]
    keep: Option<usize>,
    /// Go on where a run that was killed has left a lock in a bucket
    #[arg(long)]
    unlock: bool,
    #[command(flatten)]
    batch: Batch,
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
    let snapshot = pool
        .vm(vm)
        .snapshot(&format!("{SNAPSHOT}{id}"))
        .await
        .context("no snapshot can be taken")?;
    let last = before.last().filter(|_| !flags.full);
    let taken = take(pool, store, last, &id, snapshot, chosen).await;
    let manifest = match taken {
        Ok(manifest) => manifest,
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
    // The next difference is to this one; those before have had their use.
    for (old, record) in pool.vms().all_records().await? {
        let is_ours = record.name_label.strip_prefix(SNAPSHOT).is_some_and(is_id);
        if record.is_a_snapshot && record.snapshot_of == vm && is_ours && old != snapshot {
            destroy_snapshot(pool, old).await?;
        }
    }
    let bytes = manifest.disks.iter().map(|disk| disk.file_bytes).sum();
    let differences = manifest.disks.iter().filter(|disk| disk.base.is_some()).count();
    let mut said = format!(
        "{id}: {} disks, {differences} as differences, {}",
        manifest.disks.len(),
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

async fn take(
    pool: &Pool,
    store: &Store,
    last: Option<&Manifest>,
    id: &str,
    snapshot: Ref<Vm>,
    chosen: &Chosen,
) -> anyhow::Result<Manifest> {
    let vm = pool.vm(snapshot);
    let record = vm.record().await?;
    let mut disks = Vec::new();
    for vbd in &record.vbds {
        let vbd = pool.vbd(*vbd).record().await?;
        if vbd.kind != VbdType::Disk || vbd.empty {
            continue;
        }
        let vdi = pool.vdi(vbd.vdi).record().await?;
        let original = pool.vdi(vdi.snapshot_of).uuid().await?;
        let base = match last.and_then(|last| Some((last, last.disks.iter().find(|disk| disk.vdi == original)?))) {
            Some((last, disk)) => still_there(pool, &disk.snapshot)
                .await?
                .map(|base| (last.id.clone(), base)),
            None => None,
        };
        let file = format!("disk-{}.vhd", vbd.userdevice);
        ensure!(is_plain(&file), "the disk's position {:?} is none", vbd.userdevice);
        let size_bytes = u64::try_from(vdi.virtual_size).context("the disk has no size")?;
        let upload = store.create(&chosen.record.uuid, id, &file, size_bytes).await?;
        let (file_bytes, sha256) = export(pool, vbd.vdi, base.as_ref().map(|(_, base)| *base), upload).await?;
        disks.push(Disk {
            position: vbd.userdevice,
            name: vdi.name_label,
            vdi: original,
            size_bytes,
            snapshot: vdi.uuid,
            base: base.map(|(id, _)| id),
            file,
            file_bytes,
            sha256,
        });
    }
    disks.sort_by(|a, b| a.position.cmp(&b.position));
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
    };
    store.write(&manifest).await?;
    Ok(manifest)
}

/// Whether a text names a backup: `20261124T001500123Z`.
fn is_id(text: &str) -> bool {
    text.len() == 19 && text.ends_with('Z') && text.chars().all(|c| c.is_ascii_digit() || matches!(c, 'T' | 'Z'))
}

async fn still_there(pool: &Pool, uuid: &str) -> anyhow::Result<Option<Ref<Vdi>>> {
    let vdis = pool.vdis().all_records().await?;
    Ok(vdis.iter().find(|(_, vdi)| vdi.uuid == uuid).map(|(vdi, _)| *vdi))
}

/// Writes the disk, or its difference, and tells the length and the checksum of what was written.
async fn export(
    pool: &Pool,
    vdi: Ref<Vdi>,
    base: Option<Ref<Vdi>>,
    mut upload: Upload,
) -> anyhow::Result<(u64, String)> {
    let export = pool.vdi(vdi).export_raw(DiskFormat::Vhd);
    let mut download = match base {
        Some(base) => export.base(base).await,
        None => export.await,
    }
    .context("the disk cannot be exported")?;
    let meter = Meter::new(Total::Unknown);
    let (mut hasher, mut length) = (Sha256::new(), 0);
    while let Some(piece) = download.next().await {
        let piece = piece.context("the export broke off")?;
        hasher.update(&piece);
        length += piece.len() as u64;
        upload.write(piece).await?;
        meter.set(length);
    }
    upload.finish().await?;
    Ok((length, hex(&hasher.finalize())))
}

async fn destroy_snapshot(pool: &Pool, snapshot: Ref<Vm>) -> anyhow::Result<()> {
    let mut disks: BTreeMap<String, Ref<Vdi>> = BTreeMap::new();
    for vbd in pool.vm(snapshot).vbds().await? {
        let vbd = pool.vbd(vbd).record().await?;
        if vbd.kind == VbdType::Disk && !vbd.empty {
            disks.insert(vbd.userdevice, vbd.vdi);
        }
    }
    pool.vm(snapshot).destroy().await?;
    for disk in disks.into_values() {
        destroy_disk(pool, disk).await?;
    }
    Ok(())
}
