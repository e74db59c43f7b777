//! The disk, or its difference, on its way into the copy.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use vhd_mbr::cbt::ChangedBlocks;
use vhd_mbr::vhd::VhdStream;
use vhd_mbr::xen_disk::{ReadAt, WriteAt};
use xenapi::{DiskFormat, Ref, Vdi};
use xenapi_examples::{Interrupted, OpenDisk, Pool, Via, note, pumped};

/// How a difference comes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// The blocks that the server has tracked, read over NBD.
    Cbt,
    /// As a VHD of differences.
    Vhd,
}

/// What is to come.
#[derive(Clone, Copy)]
pub(crate) struct Change {
    /// What the copy has; nothing where there is none yet.
    pub(crate) base: Option<Ref<Vdi>>,
    /// What it is to have.
    pub(crate) snapshot: Ref<Vdi>,
    /// The disk's size in bytes.
    pub(crate) size: u64,
    pub(crate) way: Option<Way>,
    /// Whether an image that is there is an older copy of this disk, which may be overwritten.
    pub(crate) replaces: bool,
}

/// The copy in a folder.
const IMAGE: &str = "disk.raw";

/// Whether the image in a folder is as long as it was left.
pub(crate) fn is_as_left(folder: &Path, size: u64) -> bool {
    std::fs::metadata(folder.join(IMAGE)).is_ok_and(|image| image.is_file() && image.len() == size)
}

/// How much is read at once.
const PIECE: u64 = 1 << 20;

impl Change {
    /// Makes the copy what the snapshot is, and answers with how many bytes came over. `begin` is called before any of
    /// it is written.
    pub(crate) async fn bring(
        self,
        pool: &Pool,
        folder: &Path,
        begin: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<u64> {
        let file = || {
            begin()?;
            self.file(folder)
        };
        let Some(base) = self.base else {
            return self.by_vhd(pool, file, None).await;
        };
        let is_tracked = pool.vdi(base).cbt_enabled().await? && pool.vdi(self.snapshot).cbt_enabled().await?;
        let is_offered = async || {
            pool.vdi(self.snapshot)
                .nbd_info()
                .await
                .is_ok_and(|offers| !offers.is_empty())
        };
        match self.way {
            Some(Way::Cbt) => {
                ensure!(
                    is_tracked,
                    "the pool has not tracked what changed on the disk since the last time: call VDI.enable_cbt, and \
                     take the difference by --way vhd this time"
                );
                let blocks = self.blocks(pool, base).await?;
                self.by_blocks(blocks, file).await
            }
            None if is_tracked && is_offered().await => match self.blocks(pool, base).await {
                Ok(blocks) => self.by_blocks(blocks, file).await,
                Err(error) if error.is::<Interrupted>() => Err(error),
                Err(error) => {
                    note(format!(
                        "The difference comes as a VHD, as tracked blocks do not: {error:#}"
                    ));
                    self.by_vhd(pool, file, Some(base)).await
                }
            },
            Some(Way::Vhd) | None => self.by_vhd(pool, file, Some(base)).await,
        }
    }

    /// What has changed, and where to read it. In this order: the server tells nothing of a disk that is being read.
    async fn blocks(self, pool: &Pool, base: Ref<Vdi>) -> anyhow::Result<(ChangedBlocks, OpenDisk)> {
        let changed = pool.vdi(base).list_changed_blocks(self.snapshot).await?;
        let changed = ChangedBlocks::from_base64(&changed)?;
        let disk = OpenDisk::of_pool(pool, None, self.snapshot, Some(Via::Nbd)).await?;
        Ok((changed, disk))
    }

    /// The image, as long as the disk; empty where all of the disk comes.
    fn file(self, folder: &Path) -> anyhow::Result<File> {
        let path = folder.join(IMAGE);
        let mut options = File::options();
        options.read(true).write(true);
        match (self.base, self.replaces) {
            (Some(_), _) => {}
            (None, true) => drop(options.create(true).truncate(true)),
            // Whatever it is, it is not ours.
            (None, false) => drop(options.create_new(true)),
        }
        let file = options
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        file.set_len(self.size)?;
        Ok(file)
    }

    async fn by_vhd(
        self,
        pool: &Pool,
        file: impl FnOnce() -> anyhow::Result<File>,
        base: Option<Ref<Vdi>>,
    ) -> anyhow::Result<u64> {
        let export = pool.vdi(self.snapshot).export_raw(DiskFormat::Vhd);
        let export = match base {
            Some(base) => export.base(base),
            None => export,
        };
        let (size, download) = (self.size, export.await?);
        let mut file = file()?;
        pumped(download, move |pieces, count| {
            let mut stream = VhdStream::open(pieces)?;
            let of_disk = stream.footer().current_size;
            ensure!(of_disk >= size, "the VHD is of {of_disk} bytes, and the disk of {size}");
            // The size of a VHD may be rounded up.
            file.set_len(of_disk)?;
            stream.apply_to(&mut file)?;
            file.set_len(size)?;
            file.sync_all()?;
            Ok(count())
        })
        .await
    }

    async fn by_blocks(
        self,
        (changed, disk): (ChangedBlocks, OpenDisk),
        file: impl FnOnce() -> anyhow::Result<File>,
    ) -> anyhow::Result<u64> {
        let mut file = file()?;
        let copied = disk.work(move |disk| {
            let mut moved = 0;
            let mut piece = Vec::new();
            for range in changed.ranges(self.size)? {
                let mut at = range.start;
                while at < range.end {
                    let len = PIECE.min(range.end - at);
                    piece.resize(len as usize, 0);
                    disk.read_exact_at(at, &mut piece)?;
                    file.write_all_at(at, &piece)?;
                    (at, moved) = (at + len, moved + len);
                }
            }
            file.sync_all()?;
            Ok(moved)
        });
        let copied = copied.await;
        disk.close().await;
        copied
    }

    /// Compares the copy with all of the disk.
    pub(crate) async fn verify(self, pool: &Pool, folder: &Path) -> anyhow::Result<()> {
        let file = File::open(folder.join(IMAGE))?;
        let disk = OpenDisk::of_pool(pool, None, self.snapshot, Some(Via::Raw)).await?;
        let compared = disk.work(move |disk| {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            let mut at = 0;
            while at < self.size {
                let len = PIECE.min(self.size - at) as usize;
                ours.resize(len, 0);
                theirs.resize(len, 0);
                ReadAt::read_exact_at(&file, at, &mut ours)?;
                disk.read_exact_at(at, &mut theirs)?;
                if let Some(place) = (0..len).find(|&place| ours[place] != theirs[place]) {
                    bail!("byte {} of the copy is not that of the disk", at + place as u64);
                }
                at += len as u64;
            }
            Ok(())
        });
        let compared = compared.await;
        disk.close().await;
        compared
    }
}
