//! The flags that say which disk is meant.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail, ensure};
use clap::Args;
use xenapi::{Ref, Vm, VmRecord};
use xva::{Reader, StreamedDisk};

use crate::{Connection, Image, ImageFormat, OpenDisk, Pool, Via, choose_vm, disk_of_vm, with_snapshot};

/// Which disk: of a VM, of an archive, or in an image.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Disk")]
pub struct WantedDisk {
    /// The name or UUID of a VM, snapshot or template
    #[arg(long, global = true, value_name = "NAME")]
    vm: Option<String>,
    /// The disk's position in the VM (0, 1, …); otherwise the one that it boots from
    #[arg(long, global = true, value_name = "POSITION")]
    disk: Option<String>,
    /// Take a snapshot of the VM, read that, and destroy it in the end: for a VM that runs
    #[arg(long, global = true, conflicts_with_all = ["image", "xva"])]
    snapshot: bool,
    /// How the disk is read; otherwise over NBD where the pool offers that, else as a raw export
    #[arg(long, global = true, conflicts_with_all = ["image", "xva"])]
    via: Option<Via>,
    /// An image in place of a pool: raw, VHD with its parents, qcow2 with its backing files
    #[arg(long, global = true, value_name = "FILE", conflicts_with_all = Connection::FLAGS, conflicts_with_all = ["vm", "xva", "disk"])]
    image: Option<PathBuf>,
    /// The format of the image, where its name does not tell
    #[arg(long, global = true, value_name = "FORMAT", requires = "image")]
    image_format: Option<ImageFormat>,
    /// An archive in place of a pool; - reads standard input
    #[arg(long, global = true, value_name = "FILE", conflicts_with_all = Connection::FLAGS, conflicts_with = "vm")]
    xva: Option<PathBuf>,
}

impl WantedDisk {
    /// Opens the disk, does some work with it that only reads, and closes it. `tool` is the name that a server sees.
    ///
    /// # Errors
    /// Where there is no such disk, it cannot be read, or the work fails.
    pub async fn read(
        &self,
        tool: &str,
        connection: &Connection,
        work: impl AsyncFnOnce(&OpenDisk) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if let Some(disk) = self.local().await? {
            return work(&disk).await;
        }
        connection
            .run(tool, async |pool: &Pool| {
                let (vm, record) = self.vm(pool).await?;
                if !self.snapshot {
                    return self.of_pool(pool, vm, work).await;
                }
                let name = format!("{tool} of {}", record.name_label);
                with_snapshot(pool, vm, &name, async |snapshot| {
                    self.of_pool(pool, snapshot, work).await
                })
                .await
            })
            .await
    }

    /// The image, where one is named.
    pub fn image(&self) -> Option<&Path> {
        self.image.as_deref()
    }

    /// Makes sure that it is a disk that can be written.
    ///
    /// # Errors
    /// Where a snapshot of it is to be taken.
    pub fn ensure_writable(&self) -> anyhow::Result<()> {
        ensure!(
            !self.snapshot,
            "a snapshot stays as it was taken: shut the VM down and leave --snapshot out"
        );
        Ok(())
    }

    /// The archive, where one is named.
    pub fn archive(&self) -> Option<&Path> {
        self.xva.as_deref()
    }

    /// How the disk is to be read.
    pub fn via(&self) -> Option<Via> {
        self.via
    }

    /// The format of the image, where it is said.
    pub fn image_format(&self) -> Option<ImageFormat> {
        self.image_format
    }

    /// The VM that is named.
    ///
    /// # Errors
    /// Where the pool has none, or several, of the name.
    pub async fn vm(&self, pool: &Pool) -> anyhow::Result<(Ref<Vm>, VmRecord)> {
        let vms = pool.unless_interrupted(pool.vms().all_records()).await?;
        let (vm, record) = choose_vm(&vms, self.vm.as_deref(), |_| false)?;
        Ok((vm, record.clone()))
    }

    /// The position of the disk in the VM, where one is named.
    pub fn position(&self) -> Option<&str> {
        self.disk.as_deref()
    }

    /// The disk on this machine, where one is named.
    async fn local(&self) -> anyhow::Result<Option<OpenDisk>> {
        if let Some(path) = &self.image {
            return Ok(Some(OpenDisk::local(
                Image::open(path, self.image_format)?.disk,
                Arc::default(),
            )));
        }
        let Some(path) = self.xva.clone() else { return Ok(None) };
        let position = self.disk.clone();
        let opened = tokio::task::spawn_blocking(move || archived(&path, position.as_deref()));
        opened.await?.map(Some)
    }

    async fn of_pool(
        &self,
        pool: &Pool,
        vm: Ref<Vm>,
        work: impl AsyncFnOnce(&OpenDisk) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let vdi = disk_of_vm(pool, vm, self.position()).await?;
        let disk = OpenDisk::of_pool(pool, Some(vm), vdi, self.via).await?;
        let outcome = pool.unless_interrupted(work(&disk)).await;
        disk.close().await;
        outcome
    }
}

/// A disk of an archive, read from the archive's start on.
fn archived(path: &Path, position: Option<&str>) -> anyhow::Result<OpenDisk> {
    let source: Box<dyn Read + Send> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).with_context(|| format!("cannot open {}", path.display()))?)
    };
    let count = Arc::default();
    let mut reader = Reader::new(Counted {
        source,
        count: Arc::clone(&count),
    });
    let ova = reader.ova()?.context("the archive has no metadata")?;
    let mut disks: Vec<_> = ova.vms().iter().flat_map(|vm| &vm.disks).collect();
    disks.sort_by_key(|disk| !disk.bootable);
    let found = disks
        .iter()
        .find(|disk| position.is_none_or(|position| disk.userdevice == position));
    let Some(found) = found else {
        let positions: Vec<_> = disks.iter().map(|disk| &*disk.userdevice).collect();
        bail!("the archive has no such disk; it has {}", positions.join(", "));
    };
    let folder = found.id.clone();
    let file = tempfile::tempfile().context("cannot create a temporary file")?;
    let disk = StreamedDisk::open(reader, Some(&folder), file)?;
    Ok(OpenDisk::local(Box::new(disk), count))
}

/// Counts what is read of a source.
struct Counted<R> {
    source: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buf)?;
        self.count.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}
