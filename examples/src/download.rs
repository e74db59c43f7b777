//! Downloads read by code that waits.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use xenapi::Download;

/// How many pieces may lie between the network and the reader; each is 256 KiB at most.
const BETWEEN: usize = 16;

/// A download that goes on in a task of its own for as long as it is read.
#[derive(Debug)]
pub(crate) struct Pumped {
    enough: oneshot::Sender<()>,
    pump: JoinHandle<()>,
}

/// The reading end of a download, for code that waits.
#[derive(Debug)]
pub struct Pieces {
    received: mpsc::Receiver<io::Result<Bytes>>,
    held: Bytes,
    count: Arc<AtomicU64>,
}

impl Pumped {
    /// Begins to hand on what comes in; `count` follows how many bytes were taken.
    pub(crate) fn begin(download: Download, count: Arc<AtomicU64>) -> (Self, Pieces) {
        let (sender, received) = mpsc::channel(BETWEEN);
        let (enough, is_enough) = oneshot::channel();
        let pump = tokio::spawn(pump(download, sender, is_enough));
        let pieces = Pieces {
            received,
            held: Bytes::new(),
            count,
        };
        (Self { enough, pump }, pieces)
    }

    /// Leaves the download off, and waits until the server knows.
    pub(crate) async fn end(self) {
        // A download that is over does not listen any more.
        let _ = self.enough.send(());
        let _ = self.pump.await;
    }
}

/// Does some work with what a download gives, in code that waits for it; the work can ask how many bytes came.
///
/// # Errors
/// The work's own, with what broke the download inside.
pub async fn pumped<T: Send + 'static>(
    download: Download,
    work: impl FnOnce(Pieces, &dyn Fn() -> u64) -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let count = Arc::<AtomicU64>::default();
    let (pumped, pieces) = Pumped::begin(download, count.clone());
    let done = tokio::task::spawn_blocking(move || work(pieces, &|| count.load(Ordering::Relaxed))).await;
    pumped.end().await;
    done?
}

async fn pump(mut download: Download, pieces: mpsc::Sender<io::Result<Bytes>>, mut enough: oneshot::Receiver<()>) {
    loop {
        let piece = tokio::select! {
            _ = &mut enough => break,
            piece = download.next() => piece,
        };
        let Some(piece) = piece else { return };
        let is_last = piece.is_err();
        let sent = tokio::select! {
            _ = &mut enough => break,
            sent = pieces.send(piece.map_err(io::Error::other)) => sent,
        };
        if sent.is_err() {
            break;
        }
        if is_last {
            return;
        }
    }
    download.cancel().await;
}

impl Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.held.is_empty() {
            match self.received.blocking_recv() {
                Some(piece) => self.held = piece?,
                None => return Ok(0),
            }
        }
        let length = self.held.len().min(buf.len());
        self.held.copy_to_slice(&mut buf[..length]);
        self.count.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}
