//! Archives that are checked while they pass by.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, ensure};
use tokio::io::{AsyncRead, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use xva::{AsyncReader, Options, Summary, Verify};

/// How far the check may lag behind the transfer, in bytes.
const LAG: usize = 4 << 20;

/// Checks an archive, plain or compressed, beside its transfer: structure, completeness and every checksum.
#[derive(Debug)]
pub struct Inspection {
    feed: DuplexStream,
    verdict: JoinHandle<xva::Result<Summary>>,
    blocks: Arc<AtomicU64>,
}

impl Inspection {
    /// Begins with an archive of which nothing has passed yet.
    pub fn begin(verify: Verify) -> Self {
        let (feed, archive) = tokio::io::duplex(LAG);
        let blocks = Arc::<AtomicU64>::default();
        let archive = AsyncReader::with_options(archive, Options::new().verify(verify));
        let verdict = tokio::spawn(read(archive, blocks.clone()));
        Self { feed, verdict, blocks }
    }

    /// Shows it the next bytes. `false` says that it needs no more of them: [`finish`](Inspection::finish) tells why.
    pub async fn show(&mut self, bytes: &[u8]) -> bool {
        self.feed.write_all(bytes).await.is_ok()
    }

    /// How many bytes of the disks it has seen, uncompressed.
    pub fn disk_bytes(&self) -> u64 {
        self.blocks.load(Ordering::Relaxed)
    }

    /// What it found, after the last byte.
    ///
    /// # Errors
    /// Where the archive is damaged, cut off, or lacks a disk.
    pub async fn finish(self) -> anyhow::Result<Summary> {
        drop(self.feed);
        let summary = self.verdict.await.context("the archive was not checked to its end")??;
        ensure!(
            summary.missing.is_empty(),
            "the archive lacks these disks: {}",
            summary.missing.join(", ")
        );
        ensure!(summary.is_complete(), "the archive ends before its end mark");
        Ok(summary)
    }
}

async fn read(mut archive: AsyncReader<impl AsyncRead + Unpin + Send>, blocks: Arc<AtomicU64>) -> xva::Result<Summary> {
    while let Some(mut disk) = archive.next_disk().await? {
        while let Some(block) = disk.next_block().await? {
            blocks.fetch_add(block.data.len() as u64, Ordering::Relaxed);
        }
    }
    Ok(archive.finish().await?.clone())
}
