//! What has changed of a disk, as the pool has tracked it (CBT), read over NBD.

use std::io::Read as _;

use bytes::Bytes;
use tokio::sync::mpsc;
use vhd_mbr::cbt::ChangedBlocks;
use vhd_mbr::vhd::{Parent, Writer};
use vhd_mbr::xen_disk::Window;
use xenapi_examples::{OpenDisk, Via};

use crate::disk::{Base, Sink, Source};

/// How much is handed on at once, and how many such pieces may lie between the pool and the backup.
const PIECE: usize = 256 << 10;
const BETWEEN: usize = 16;

pub(crate) struct Tracked {
    changed: ChangedBlocks,
    disk: OpenDisk,
    size: u64,
    /// What the VHD says that it is a difference to.
    parent: Parent,
}

impl Tracked {
    /// In this order: the server tells nothing of a disk that is being read.
    pub(crate) async fn open(source: &Source<'_>, base: &Base<'_>) -> anyhow::Result<Self> {
        let footer = source.store.footer(source.vm, base.id, &base.disk.file).await?;
        let parent = Parent::vhd(&footer).path(format!("../{}/{}", base.id, base.disk.file));
        let changed = source.pool.vdi(base.vdi).list_changed_blocks(source.snapshot).await?;
        let changed = ChangedBlocks::from_base64(&changed)?;
        let size = source.size()?;
        let disk = OpenDisk::of_pool(source.pool, None, source.snapshot, Some(Via::Nbd)).await?;
        Ok(Self {
            changed,
            disk,
            size,
            parent,
        })
    }

    /// As a VHD, of which only what has changed is read.
    pub(crate) async fn write(self, sink: &mut Sink) -> anyhow::Result<()> {
        let Self {
            changed,
            disk,
            size,
            parent,
        } = self;
        let (sender, mut received) = mpsc::channel::<Bytes>(BETWEEN);
        let reading = disk.work(move |disk| {
            let changed: Vec<_> = changed.ranges(size)?.collect();
            let mut vhd = Writer::differencing(Window::new(disk, 0, size), parent, changed)
                .plan()?
                .into_reader();
            let mut piece = vec![0; PIECE];
            loop {
                match vhd.read(&mut piece)? {
                    0 => return Ok(()),
                    // Whoever takes the pieces says why it does not any more.
                    count if sender.blocking_send(Bytes::copy_from_slice(&piece[..count])).is_err() => return Ok(()),
                    _ => {}
                }
            }
        });
        let writing = async move {
            while let Some(piece) = received.recv().await {
                sink.put(piece).await?;
            }
            anyhow::Ok(())
        };
        let (read, written) = tokio::join!(reading, writing);
        disk.close().await;
        written.and(read)
    }
}
