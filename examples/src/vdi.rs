//! The disks of a pool, read anywhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use clap::ValueEnum;
use vhd_mbr::vhd::VhdStream;
use vhd_mbr::xen_disk::{RawForward, Spool, Spooled, Window};
use xenapi::vbd::VbdType;
use xenapi::{DiskFormat, Ref, Vdi, VdiRecord, Vm};
use xva::{Reader, StreamedDisk};

use crate::download::{Pieces, Pumped};
use crate::{AnyDisk, Pool, WithoutTls, note, open_nbd};

/// How a disk of a pool is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Via {
    /// Over NBD, where only what is needed is read; a network of the pool must have the purpose `nbd`.
    Nbd,
    /// As a raw export, from its start up to what is needed.
    Raw,
    /// As a VHD export, which leaves out what was never written; up to what is needed.
    Vhd,
    /// As a part of the VM's export, up to what is needed, with every block verified.
    Xva,
}

/// A disk that can be read anywhere while it is open.
pub struct OpenDisk {
    disk: Arc<AnyDisk>,
    pumped: Option<Pumped>,
    count: Arc<AtomicU64>,
}

impl OpenDisk {
    /// A disk on this machine.
    pub fn local(disk: AnyDisk, count: Arc<AtomicU64>) -> Self {
        Self {
            disk: Arc::new(disk),
            pumped: None,
            count,
        }
    }

    /// A disk of a pool, one that nobody writes; `vm` is whose it is. Without a way, over NBD where the pool offers
    /// that, else as a raw export.
    ///
    /// # Errors
    /// Where the pool refuses to give it.
    pub async fn of_pool(pool: &Pool, vm: Option<Ref<Vm>>, vdi: Ref<Vdi>, via: Option<Via>) -> anyhow::Result<Self> {
        let count = Arc::<AtomicU64>::default();
        let is_offered = async || pool.vdi(vdi).nbd_info().await.is_ok_and(|offers| !offers.is_empty());
        if via == Some(Via::Nbd) || via.is_none() && is_offered().await {
            match open_nbd(pool, vdi, WithoutTls::Refuse).await {
                Ok(disk) => return Ok(Self::local(Box::new(disk), count)),
                Err(error) if via.is_none() => note(format!("not over NBD, but as an export: {error:#}")),
                Err(error) => return Err(error),
            }
        }
        let via = via.unwrap_or(Via::Raw);
        let record = pool.vdi(vdi).record().await?;
        let size = u64::try_from(record.virtual_size).context("the disk has no size")?;
        let download = match via {
            Via::Xva => {
                let vm = vm.context("a disk without a VM is in no VM's export")?;
                pool.unless_interrupted(pool.vm(vm).export()).await?
            }
            _ => {
                let format = if via == Via::Vhd {
                    DiskFormat::Vhd
                } else {
                    DiskFormat::Raw
                };
                pool.unless_interrupted(pool.vdi(vdi).export_raw(format)).await?
            }
        };
        let (pumped, pieces) = Pumped::begin(download, count.clone());
        let opened = tokio::task::spawn_blocking(move || forward(pieces, via, &record, size)).await?;
        match opened {
            Ok(disk) => Ok(Self {
                disk: Arc::new(disk),
                pumped: Some(pumped),
                count,
            }),
            Err(error) => {
                pumped.end().await;
                Err(error)
            }
        }
    }

    /// Does some work with the disk that waits for its bytes.
    ///
    /// # Errors
    /// The work's own.
    pub async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&AnyDisk) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let disk = self.disk.clone();
        tokio::task::spawn_blocking(move || work(&disk)).await?
    }

    /// How many bytes were read of what a download or a file gave; 0 where nobody counts.
    pub fn bytes_read(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Has the server end what it is still sending.
    pub async fn close(self) {
        if let Some(pumped) = self.pumped {
            pumped.end().await;
        }
    }
}

fn forward(pieces: Pieces, via: Via, vdi: &VdiRecord, size: u64) -> anyhow::Result<AnyDisk> {
    let file = tempfile::tempfile().context("cannot create a temporary file")?;
    Ok(match via {
        Via::Vhd => {
            let stream = VhdStream::open(pieces)?;
            // What the virtual size is rounded up by is not of the disk.
            let whole = stream.footer().current_size.max(size);
            let disk = Spooled::new(stream, whole, Spool::new(file, u64::MAX));
            Box::new(Window::new(disk, 0, size))
        }
        Via::Xva => {
            let mut reader = Reader::new(pieces);
            let ova = reader.ova()?.context("the export has no metadata")?;
            let known = ova.vdis().iter().find(|known| known.uuid == vdi.uuid);
            let folder = known.context("the export lacks the disk")?.id.clone();
            Box::new(StreamedDisk::open(reader, Some(&folder), file)?)
        }
        _ => Box::new(Spooled::new(
            RawForward::new(pieces, size),
            size,
            Spool::new(file, u64::MAX),
        )),
    })
}

/// The disk of a VM at a position (0, 1, …), or the one that it boots from.
///
/// # Errors
/// Where it has none there; the positions that it has are in the message.
pub async fn disk_of_vm(pool: &Pool, vm: Ref<Vm>, position: Option<&str>) -> anyhow::Result<Ref<Vdi>> {
    let mut disks = Vec::new();
    for vbd in pool.vm(vm).vbds().await? {
        let vbd = pool.vbd(vbd).record().await?;
        if vbd.kind == VbdType::Disk && !vbd.empty {
            disks.push(vbd);
        }
    }
    disks.sort_by_key(|vbd| (!vbd.bootable, vbd.userdevice.parse().unwrap_or(u32::MAX)));
    let found = disks
        .iter()
        .find(|vbd| position.is_none_or(|position| vbd.userdevice == position));
    let positions: Vec<_> = disks.iter().map(|vbd| &*vbd.userdevice).collect();
    let found = found.with_context(|| format!("the VM has no such disk; it has {}", positions.join(", ")))?;
    if disks.len() > 1 && position.is_none() {
        note(format!("Disk {} of {}.", found.userdevice, positions.join(", ")));
    }
    Ok(found.vdi)
}
