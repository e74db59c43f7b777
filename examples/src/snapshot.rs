//! A snapshot for as long as some work takes.

use std::time::Duration;

use anyhow::Context;
use xenapi::vbd::VbdType;
use xenapi::{Client, Error, ErrorCode, Ref, Vdi, Vm};

use crate::{Pool, note};

/// How often, and with which pauses, to ask for what an export that has just been cancelled, or a server of NBD that has
/// not let go of the disk yet, still forbids.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// Takes a snapshot of a VM, does some work with it, and destroys it and its disks, however the work ended.
///
/// Neither the taking nor the destroying is given up on ctrl-c: nobody would know of the snapshot afterwards.
///
/// # Errors
/// The work's own, and where the snapshot cannot be taken or destroyed.
pub async fn with_snapshot<T>(
    pool: &Pool,
    vm: Ref<Vm>,
    name: &str,
    work: impl AsyncFnOnce(Ref<Vm>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let snapshot = pool.vm(vm).snapshot(name).await.context("cannot take a snapshot")?;
    let outcome = work(snapshot).await;
    let destroyed = destroy(pool, snapshot)
        .await
        .with_context(|| format!("the snapshot {name:?} ({snapshot}) is left on the pool"));
    match (outcome, destroyed) {
        (Ok(value), destroyed) => destroyed.map(|()| value),
        (Err(error), destroyed) => {
            if let Err(left) = destroyed {
                note(format!("{left:#}"));
            }
            Err(error)
        }
    }
}

async fn destroy(pool: &Pool, snapshot: Ref<Vm>) -> xenapi::Result<()> {
    let disks = disks(pool, snapshot).await?;
    let mut attempt = 1;
    loop {
        match pool.vm(snapshot).destroy().await {
            Err(error) if error.code() == Some(&ErrorCode::OtherOperationInProgress) && attempt < ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(PAUSE).await;
            }
            outcome => break outcome?,
        }
    }
    for disk in disks {
        destroy_disk(pool, disk).await?;
    }
    Ok(())
}

/// Destroys a disk as soon as the server has let go of it.
///
/// # Errors
/// Where the server refuses, or still has it after a while.
pub async fn destroy_disk(pool: &Client, disk: Ref<Vdi>) -> xenapi::Result<()> {
    let mut attempt = 1;
    loop {
        match pool.vdi(disk).destroy().await {
            Err(error) if is_held(&error) && attempt < ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

fn is_held(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(ErrorCode::VdiInUse | ErrorCode::OtherOperationInProgress)
    )
}

/// The disks that belong to the snapshot alone: not an ISO in its drive.
async fn disks(pool: &Pool, snapshot: Ref<Vm>) -> xenapi::Result<Vec<Ref<Vdi>>> {
    let mut disks = Vec::new();
    for vbd in pool.vm(snapshot).vbds().await? {
        let vbd = pool.vbd(vbd).record().await?;
        if vbd.kind == VbdType::Disk && pool.vdi(vbd.vdi).is_a_snapshot().await? {
            disks.push(vbd.vdi);
        }
    }
    Ok(disks)
}
