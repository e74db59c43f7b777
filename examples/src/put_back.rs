//! Changes put back to a disk of a pool.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use vhd_mbr::patch::{SectorRange, WritePlan};
use vhd_mbr::xen_disk::ReadAt;
use xenapi::vm::PowerState;
use xenapi::{DiskFormat, Error, ErrorCode, Ref, Source, Vdi, Vm};

use crate::{OpenDisk, Pool, Printable, Via};

/// How often, and with which pauses, to try where the server has not let go of the disk yet.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);
/// What the server writes is whole sectors of disks of either kind.
const SECTOR: u32 = 4096;

/// A moment of a disk that nobody writes; where it has passed, what was read of the disk may be old.
#[derive(Debug, PartialEq)]
pub struct Untouched {
    /// When each VM that has the disk was started last, in seconds.
    started: Vec<(Ref<Vm>, Option<String>)>,
}

/// Makes sure that a disk may be written behind the back of its VM: it is the VM's own, the VM is halted, and no
/// snapshot depends on it.
///
/// # Errors
/// Where it may not, with what to do.
pub async fn ensure_untouched(pool: &Pool, vdi: Ref<Vdi>) -> anyhow::Result<Untouched> {
    let disk = pool.vdi(vdi).record().await?;
    let name = Printable(&disk.name_label);
    ensure!(
        !disk.is_a_snapshot,
        "the disk {name} is a snapshot, which stays as it was taken"
    );
    ensure!(!disk.read_only, "the disk {name} is read-only");
    ensure!(
        !disk.missing,
        "the disk {name} is not on its SR: scan the SR, or repair it"
    );
    ensure!(
        disk.snapshots.is_empty(),
        "the disk {name} has {} snapshots, which a change behind the VM's back would belie: delete them first",
        disk.snapshots.len()
    );
    let mut started = Vec::new();
    for vbd in &disk.vbds {
        let vbd = pool.vbd(*vbd).record().await?;
        let vm = pool.vm(vbd.vm).record().await?;
        let owner = Printable(&vm.name_label);
        ensure!(
            vm.power_state == PowerState::Halted,
            "the VM {owner} is {}, and what it holds in memory does not fit a changed disk: shut it down first",
            vm.power_state.as_str().to_lowercase()
        );
        ensure!(
            !vbd.currently_attached,
            "the disk {name} is attached to {owner}: unplug it first"
        );
        let metrics = pool.vm_metrics(vm.metrics).start_time().await;
        started.push((vbd.vm, metrics.ok().map(|time| time.to_string())));
    }
    Ok(Untouched { started })
}

/// Sends what a plan changes to a disk of a pool, in whole sectors and nothing else, and reads it back. `read` is the
/// disk that the plan was made with, and `before` the moment at which that was opened. It is closed first: the server
/// writes to no disk that is being read.
///
/// Answers with the number of bytes that were sent.
///
/// # Errors
/// Where the disk was touched meanwhile, the server refuses it, or something else stands there afterwards.
pub async fn put_back(
    pool: &Pool,
    vdi: Ref<Vdi>,
    read: OpenDisk,
    before: &Untouched,
    plan: Arc<WritePlan>,
    via: Option<Via>,
) -> anyhow::Result<u64> {
    let ranges = read
        .work(move |disk| Ok(plan.sectors(disk, SECTOR).collect::<Result<Vec<_>, _>>()?))
        .await;
    read.close().await;
    let ranges = ranges?;
    ensure!(
        ensure_untouched(pool, vdi).await? == *before,
        "the VM ran while its disk was read: try again"
    );
    let length = source(&ranges).length();
    send(pool, vdi, &ranges)
        .await
        .context("the change may be there in part: undo it when the disk can be reached again")?;
    let again = OpenDisk::of_pool(pool, None, vdi, via.filter(|&via| via != Via::Xva)).await?;
    let compared = again.work(move |disk| compare(disk, &ranges)).await;
    again.close().await;
    compared?;
    Ok(length)
}

/// Sends the ranges, as soon as the server has let go of the disk that was read.
async fn send(pool: &Pool, vdi: Ref<Vdi>, ranges: &[SectorRange]) -> xenapi::Result<()> {
    let mut attempt = 1;
    loop {
        match pool.vdi(vdi).import_raw(DiskFormat::Raw, source(ranges)).await {
            Err(error) if is_busy(&error) && attempt < ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(PAUSE).await;
            }
            outcome => return outcome.map(drop),
        }
    }
}

/// Whether nothing was written because something still has the disk.
fn is_busy(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(ErrorCode::VdiInUse | ErrorCode::OtherOperationInProgress | ErrorCode::DeviceAlreadyAttached)
    )
}

fn source(ranges: &[SectorRange]) -> Source {
    let places: Vec<_> = ranges
        .iter()
        .map(|range| range.offset..range.offset + range.bytes.len() as u64)
        .collect();
    let contents: BTreeMap<u64, Bytes> = ranges
        .iter()
        .map(|range| (range.offset, Bytes::copy_from_slice(&range.bytes)))
        .collect();
    Source::sparse(places, move |wanted| {
        let found = contents.range(..=wanted.start).next_back();
        let piece = found.and_then(|(start, bytes)| {
            let within = (wanted.start - start) as usize..(wanted.end - start) as usize;
            (within.end <= bytes.len()).then(|| bytes.slice(within))
        });
        async move { piece.ok_or_else(|| io::Error::other("a range that is not of the change")) }
    })
}

fn compare(disk: &dyn ReadAt, ranges: &[SectorRange]) -> anyhow::Result<()> {
    for range in ranges {
        let mut found = vec![0; range.bytes.len()];
        disk.read_exact_at(range.offset, &mut found)?;
        ensure!(
            found == range.bytes,
            "the server took the change, but other bytes stand at {} of the disk: undo it, and check the SR",
            range.offset
        );
    }
    Ok(())
}
