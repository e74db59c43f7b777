//! A snapshot for the time of one look.

use std::time::Duration;

use anyhow::Context;
use xenapi::vbd::VbdType;
use xenapi::{ErrorCode, Ref, Vdi, Vm};
use xenapi_examples::Pool;

use crate::choose::Choice;

/// How often, and with which pauses, to ask for what an export that has just been cancelled still forbids.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// Takes a snapshot. This is not given up on ctrl-c: nobody would know of it afterwards.
pub(crate) async fn take(pool: &Pool, choice: &Choice<'_>) -> anyhow::Result<Ref<Vm>> {
    let name = format!("vm-mbr of {}", choice.record.name_label);
    pool.vm(choice.vm)
        .snapshot(&name)
        .await
        .with_context(|| format!("cannot take a snapshot of {:?}", choice.record.name_label))
}

/// Destroys a snapshot and its disks.
pub(crate) async fn destroy(pool: &Pool, snapshot: Ref<Vm>) -> anyhow::Result<()> {
    remove(pool, snapshot)
        .await
        .with_context(|| format!("the snapshot {snapshot} is left on the pool"))
}

async fn remove(pool: &Pool, snapshot: Ref<Vm>) -> xenapi::Result<()> {
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
        pool.vdi(disk).destroy().await?;
    }
    Ok(())
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
