//! Keeps a copy of a virtual machine's disk up to date, and moves only what has changed since the last time.
//!
//!     cargo run --release --example vdi-delta -- --vm web-01 /srv/copies/web-01
//!     cargo run --release --example vdi-delta -- --vm web-01 --disk 1 /srv/copies/web-01-data --verify
//!
//! The first time, the folder gets the whole disk as a raw image. Then a snapshot of the disk stays on the pool, and each
//! further time only the difference from it comes over: the blocks that the server has tracked (CBT), read over NBD, or a
//! VHD of differences. The VM may run meanwhile.

mod copy;
mod state;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Parser;
use vhd_mbr::Size;
use xenapi::{Ref, Vdi};
use xenapi_examples::{Connection, Pool, arguments, choose_vm, destroy_disk, disk_of_vm, finish, note};

use crate::copy::{Change, Way, is_as_left};
use crate::state::State;

/// Keeps a copy of a VM's disk up to date, and moves only what has changed since the last time
#[derive(Parser)]
struct Flags {
    /// Where the copy is: `disk.raw`, and a file that says of what
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The name or UUID of the VM
    #[arg(long, value_name = "NAME")]
    vm: Option<String>,
    /// The disk's position in the VM (0, 1, …); otherwise the one that it boots from
    #[arg(long, value_name = "POSITION")]
    disk: Option<String>,
    /// How the difference comes; otherwise by tracked blocks where the server has them, else as a VHD
    #[arg(long)]
    way: Option<Way>,
    /// Compare the copy with all of the disk afterwards
    #[arg(long)]
    verify: bool,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: Connection,
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags: Flags = arguments();
    let outcome = flags
        .connection
        .run("vdi-delta", async |pool: &Pool| run(pool, &flags).await)
        .await;
    finish(outcome.map(|()| ExitCode::SUCCESS))
}

async fn run(pool: &Pool, flags: &Flags) -> anyhow::Result<()> {
    let vms = pool.unless_interrupted(pool.vms().all_records()).await?;
    let (vm, _) = choose_vm(&vms, flags.vm.as_deref(), |_| false)?;
    let vdi = disk_of_vm(pool, vm, flags.disk.as_deref()).await?;
    let record = pool.vdi(vdi).record().await?;
    let size = u64::try_from(record.virtual_size).context("the disk has no size")?;
    let before = State::read(&flags.folder)?;
    if let Some(before) = &before {
        ensure!(
            before.vdi == record.uuid,
            "{} is a copy of another disk, {}",
            flags.folder.display(),
            before.vdi
        );
        ensure!(before.size <= size, "the disk has become smaller, which no disk does");
    }
    let mut taken = taken(pool, before.as_ref()).await?;
    if let Some(before) = &before
        && taken.base.is_some()
        && !is_as_left(&flags.folder, before.size)
    {
        note("The image is not as it was left: all of the disk comes over.");
        taken.base = None;
    }
    if flags.dry_run {
        note(match taken.base {
            Some(_) => "The difference from the last snapshot would come over.".to_owned(),
            None => format!("All of the disk would come over, {}.", Size(size)),
        });
        return Ok(());
    }
    std::fs::create_dir_all(&flags.folder)
        .with_context(|| format!("cannot make the folder {}", flags.folder.display()))?;
    let snapshot = pool.vdi(vdi).snapshot().await?;
    let uuid = pool.vdi(snapshot).uuid().await?;
    let state = |is_whole| State {
        vdi: record.uuid.clone(),
        snapshot: uuid.clone(),
        outdated: match is_whole {
            true => Vec::new(),
            false => taken.uuids.clone(),
        },
        size,
        is_whole,
    };
    let change = Change {
        base: taken.base,
        snapshot,
        size,
        way: flags.way,
        replaces: before.is_some(),
    };
    // From the first byte on, the copy is neither the old state nor the new one: should this break off, the next run
    // takes all of it again.
    let begin = || state(false).write(&flags.folder);
    let copied = pool.unless_interrupted(change.bring(pool, &flags.folder, begin)).await;
    let moved = match copied {
        Ok(moved) => moved,
        Err(error) => {
            discard(pool, snapshot).await;
            return Err(error);
        }
    };
    if flags.verify {
        let verified = pool.unless_interrupted(change.verify(pool, &flags.folder)).await;
        verified.context("the copy was taken, and the comparison failed: the next run takes all of the disk again")?;
    }
    state(true).write(&flags.folder)?;
    for outdated in taken.all {
        discard(pool, outdated).await;
    }
    note(format!("{} of {} came over.", Size(moved), Size(size)));
    if flags.verify {
        note("The copy is the disk, byte for byte.");
    }
    Ok(())
}

/// Snapshots of earlier times that are still there.
struct Taken {
    /// The one that the copy is of.
    base: Option<Ref<Vdi>>,
    all: Vec<Ref<Vdi>>,
    uuids: Vec<String>,
}

async fn taken(pool: &Pool, before: Option<&State>) -> anyhow::Result<Taken> {
    let mut taken = Taken {
        base: None,
        all: Vec::new(),
        uuids: Vec::new(),
    };
    let Some(before) = before else { return Ok(taken) };
    for (vdi, record) in pool.unless_interrupted(pool.vdis().all_records()).await? {
        let is_newest = record.uuid == before.snapshot;
        if is_newest && before.is_whole {
            taken.base = Some(vdi);
        }
        if is_newest || before.outdated.contains(&record.uuid) {
            taken.all.push(vdi);
            taken.uuids.push(record.uuid);
        }
    }
    if before.is_whole && taken.base.is_none() {
        note("The snapshot of the last time is gone: all of the disk comes over.");
    }
    Ok(taken)
}

/// Destroys a snapshot that is not needed any more; what is left is named.
async fn discard(pool: &Pool, snapshot: Ref<Vdi>) {
    if let Err(error) = destroy_disk(pool, snapshot).await {
        note(format!("The snapshot {snapshot} is left on the pool: {error}"));
    }
}
