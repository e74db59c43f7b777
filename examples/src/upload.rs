//! A disk's bytes on their way to a pool.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use vhd_mbr::xen_disk::ReadAt;
use xenapi::{DiskFormat, Ref, Source, Vdi};

use crate::{AnyDisk, Meter, OpenDisk, Pool, Total};

/// What is compared at a time.
const PIECE: usize = 1 << 20;

/// Sends what a disk holds to a new one, and answers how many bytes that is.
///
/// # Errors
/// Where it cannot be read, or the server does not take it.
pub async fn upload(pool: &Pool, vdi: Ref<Vdi>, disk: &Arc<AnyDisk>) -> anyhow::Result<u64> {
    let read = disk.clone();
    let extents = tokio::task::spawn_blocking(move || data(&*read)).await??;
    let bytes = extents.iter().map(|extent| extent.end - extent.start).sum();
    let meter = Meter::new(Total::Known(bytes));
    let read = disk.clone();
    let source = Source::sparse(extents, move |wanted| {
        let disk = read.clone();
        async move {
            let piece = move || {
                let mut piece = vec![0; (wanted.end - wanted.start) as usize];
                disk.read_exact_at(wanted.start, &mut piece)?;
                Ok(Bytes::from(piece))
            };
            tokio::task::spawn_blocking(piece).await.map_err(io::Error::other)?
        }
    });
    let shown = meter.clone();
    let sent = pool
        .vdi(vdi)
        .import_raw(DiskFormat::Raw, source)
        .on_sent(move |bytes| shown.set(bytes));
    sent.await.context("the disk cannot be sent")?;
    Ok(bytes)
}

/// Where a disk has something.
fn data(disk: &dyn ReadAt) -> io::Result<Vec<Range<u64>>> {
    let mut extents: Vec<Range<u64>> = Vec::new();
    let mut at = 0;
    while let Some(extent) = disk.next_data(at)? {
        at = extent.end;
        match extents.last_mut() {
            Some(last) if last.end == extent.start => last.end = extent.end,
            _ => extents.push(extent),
        }
    }
    Ok(extents)
}

/// Reads all of it back, holes too.
///
/// # Errors
/// Where a byte differs.
pub async fn ensure_equal(pool: &Pool, vdi: Ref<Vdi>, disk: &Arc<AnyDisk>) -> anyhow::Result<()> {
    let there = OpenDisk::of_pool(pool, None, vdi, None).await?;
    let original = disk.clone();
    let compared = there
        .work(move |there| {
            let (mut ours, mut theirs) = (vec![0; PIECE], vec![0; PIECE]);
            let size = original.size()?;
            let mut at = 0;
            while at < size {
                let length = PIECE.min((size - at) as usize);
                original.read_exact_at(at, &mut ours[..length])?;
                there.read_exact_at(at, &mut theirs[..length])?;
                ensure!(
                    ours[..length] == theirs[..length],
                    "the pool's disk differs from the image between {at} and {}",
                    at + length as u64
                );
                at += length as u64;
            }
            Ok(())
        })
        .await;
    there.close().await;
    compared
}
