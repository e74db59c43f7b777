//! The disks of a pool, read anywhere.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use tokio::sync::oneshot;
use vhd_mbr::nbd::Nbd;
use vhd_mbr::vhd::VhdStream;
use vhd_mbr::xen_disk::{RawForward, ReadAt, Spool, Spooled, Window};
use xenapi::vbd::{VbdMode, VbdType};
use xenapi::{Client, DiskFormat, Ref, Vbd, Vdi, VdiRecord, Vm};
use xva::{Reader, StreamedDisk};

use crate::download::{Pieces, Pumped};
use crate::{AnyDisk, Interrupted, Pool, WithoutTls, note, open_nbd};

/// How often, and with which pauses, to ask whether the pool has let go of a disk that was read over NBD.
const ATTEMPTS: u32 = 40;
const PAUSE: Duration = Duration::from_millis(250);

/// How a disk of a pool is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Via {
    /// Over NBD, where only what is needed is read; a network of the pool must have the purpose `nbd`.
    Nbd,
    /// Over NBD even without TLS, as with the purpose `insecure_nbd`: whoever is on the way reads the disk, and takes over
    /// the session.
    InsecureNbd,
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
    reading: Reading,
    held: Option<Held>,
}

impl OpenDisk {
    /// A disk on this machine.
    pub fn local(disk: AnyDisk, count: Arc<AtomicU64>) -> Self {
        Self {
            disk: Arc::new(disk),
            pumped: None,
            count,
            reading: Reading::default(),
            held: None,
        }
    }

    /// A disk of a pool, one that nobody writes; `vm` is whose it is. Without a way, over NBD where the pool offers
    /// that and it works, else as a raw export.
    ///
    /// # Errors
    /// Where the pool refuses to give it.
    pub async fn of_pool(pool: &Pool, vm: Option<Ref<Vm>>, vdi: Ref<Vdi>, via: Option<Via>) -> anyhow::Result<Self> {
        match via {
            Some(Via::Nbd) => Self::over_nbd(pool, vdi, WithoutTls::Refuse).await,
            Some(Via::InsecureNbd) => Self::over_nbd(pool, vdi, WithoutTls::Allow).await,
            Some(via) => Self::of_export(pool, vm, vdi, via).await,
            None if pool.vdi(vdi).nbd_info().await.is_ok_and(|offers| !offers.is_empty()) => {
                match Self::over_nbd(pool, vdi, WithoutTls::Refuse).await {
                    Err(error) if !error.is::<Interrupted>() => {
                        note(format!(
                            "The disk comes as a raw export, as NBD does not work: {error:#}"
                        ));
                        Self::of_export(pool, vm, vdi, Via::Raw).await
                    }
                    outcome => outcome,
                }
            }
            None => Self::of_export(pool, vm, vdi, Via::Raw).await,
        }
    }

    async fn over_nbd(pool: &Pool, vdi: Ref<Vdi>, without_tls: WithoutTls) -> anyhow::Result<Self> {
        let held = Held {
            pool: pool.client.clone(),
            vdi,
            others: pool.unless_interrupted(pool.vdi(vdi).vbds()).await?,
        };
        let opened = pool.unless_interrupted(open_nbd(pool, vdi, without_tls)).await;
        let opened = match opened {
            Err(error) if !error.is::<Interrupted>() && is_in_use(pool, vdi).await => Err(error).context(
                "the disk is attached to something that runs: read a snapshot with --snapshot, or shut the VM down",
            ),
            opened => opened,
        }?;
        let count = Arc::<AtomicU64>::default();
        let reading = Reading::default();
        let disk = WhileOpen {
            disk: opened,
            count: count.clone(),
            is_over: reading.0.clone(),
        };
        Ok(Self {
            reading,
            held: Some(held),
            ..Self::local(Box::new(disk), count)
        })
    }

    async fn of_export(pool: &Pool, vm: Option<Ref<Vm>>, vdi: Ref<Vdi>, via: Via) -> anyhow::Result<Self> {
        let count = Arc::<AtomicU64>::default();
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
                pumped: Some(pumped),
                ..Self::local(disk, count)
            }),
            Err(error) => {
                pumped.end().await;
                Err(error)
            }
        }
    }

    /// Does some work with the disk that waits for its bytes. Once nobody waits for the work any more, a server that is
    /// silent does not keep the program from ending.
    ///
    /// # Errors
    /// The work's own.
    pub async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&AnyDisk) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let disk = self.disk.clone();
        waiting(move || {
            let outcome = work(&disk);
            // The disk is let go of before anybody hears that the work is done.
            drop(disk);
            outcome
        })
        .await
    }

    /// How many bytes were read over NBD, or of what a download or a file gave; 0 where nobody counts.
    pub fn bytes_read(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Has the server end what it is still sending, and work that still reads fail; waits until the server has let go of
    /// the disk.
    pub async fn close(self) {
        drop(self.reading);
        if let Some(pumped) = self.pumped {
            pumped.end().await;
        }
        // Who still works with it does not let go of it at once.
        let is_last = Arc::into_inner(self.disk).is_some();
        if let Some(held) = self.held.filter(|_| is_last) {
            held.until_free().await;
        }
    }
}

/// Says when it is dropped that reading over NBD is over.
#[derive(Default)]
struct Reading(Arc<AtomicBool>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A disk that the pool attaches to a control domain for as long as it is read over NBD, and a little longer.
struct Held {
    pool: Client,
    vdi: Ref<Vdi>,
    /// What it was attached to before.
    others: Vec<Ref<Vbd>>,
}

impl Held {
    /// Waits until the disk is attached to nothing new any more, but not for long: others may be reading it.
    async fn until_free(&self) {
        for _ in 0..ATTEMPTS {
            match self.pool.vdi(self.vdi).vbds().await {
                Ok(vbds) if vbds.iter().any(|vbd| !self.others.contains(vbd)) => tokio::time::sleep(PAUSE).await,
                _ => return,
            }
        }
    }
}

/// A disk on a server that gives nothing more once it was closed.
struct WhileOpen {
    disk: Nbd,
    count: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
}

impl ReadAt for WhileOpen {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        if self.is_over.load(Ordering::Relaxed) {
            return Err(io::Error::other("the disk was closed"));
        }
        ReadAt::read_exact_at(&self.disk, offset, buf)?;
        self.count.fetch_add(buf.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        self.disk.size()
    }

    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        self.disk.next_data(from)
    }
}

/// Whether something that runs writes to the disk.
async fn is_in_use(pool: &Pool, vdi: Ref<Vdi>) -> bool {
    let Ok(vbds) = pool.vdi(vdi).vbds().await else {
        return false;
    };
    for vbd in vbds {
        let vbd = pool.vbd(vbd).record().await;
        if vbd.is_ok_and(|vbd| vbd.currently_attached && vbd.mode == VbdMode::Rw) {
            return true;
        }
    }
    false
}

/// Does some work that waits, in a thread that does not keep the program from ending.
pub(crate) async fn waiting<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let (done, outcome) = oneshot::channel();
    // Where nobody wants to hear of the outcome any more, there is nothing to do.
    std::thread::spawn(move || done.send(work()).is_ok());
    outcome.await.context("the work ended without an outcome")?
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
