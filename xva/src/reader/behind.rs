//! Writes an image on a second thread, behind the one that reads and verifies.

use std::io::{Seek, Write};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread;

use super::image;
use crate::error::Result;

/// As many pieces wait for the target at most. One more is being written and one being read.
const WAITING: usize = 2;

/// A piece of an image on its way to the target.
enum Piece {
    Data { offset: u64, len: usize, buffer: Vec<u8> },
    Hole { end: u64 },
}

/// Where the reading side puts what it found.
pub(super) struct Pieces {
    pieces: SyncSender<Piece>,
    written: Receiver<Vec<u8>>,
}

/// The target has failed, which is told where the writing side is waited for.
pub(super) struct TargetFailed;

impl Pieces {
    /// A buffer to read the next block into, one that was written before where there is any.
    pub(super) fn spare(&self) -> Vec<u8> {
        self.written.try_recv().unwrap_or_default()
    }

    /// Passes on the first `len` bytes of a buffer.
    pub(super) fn data(&self, offset: u64, len: usize, buffer: Vec<u8>) -> std::result::Result<(), TargetFailed> {
        self.send(Piece::Data { offset, len, buffer })
    }

    /// Leaves zeros up to `end`.
    pub(super) fn hole(&self, end: u64) -> std::result::Result<(), TargetFailed> {
        self.send(Piece::Hole { end })
    }

    fn send(&self, piece: Piece) -> std::result::Result<(), TargetFailed> {
        self.pieces.send(piece).map_err(|_| TargetFailed)
    }
}

/// Runs `read` here and writes what it finds on another thread; gives the image's length. `None` where there can be no
/// other thread, and then nothing was read.
pub(super) fn write<W: Write + Seek + Send>(
    target: &mut W,
    read: impl FnOnce(&Pieces) -> Result<()>,
) -> Result<Option<u64>> {
    let (pieces, arriving) = mpsc::sync_channel(WAITING);
    let (done, written) = mpsc::channel();
    thread::scope(|scope| {
        let writer = thread::Builder::new()
            .name("xva image".to_owned())
            .spawn_scoped(scope, move || write_all(target, &arriving, &done));
        let Ok(writer) = writer else { return Ok(None) };
        let outcome = read(&Pieces { pieces, written });
        let image = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        outcome?;
        image?.finish().map(Some)
    })
}

/// Writes pieces until the reading side is done, and hands their buffers back.
fn write_all<'a, W: Write + Seek>(
    target: &'a mut W,
    pieces: &Receiver<Piece>,
    done: &Sender<Vec<u8>>,
) -> Result<image::Writer<'a, W>> {
    let mut image = image::Writer::new(target);
    for piece in pieces {
        match piece {
            Piece::Hole { end } => image.hole(end),
            Piece::Data { offset, len, buffer } => {
                image.data(offset, &buffer[..len])?;
                // The reading side may be done already.
                let _ = done.send(buffer);
            }
        }
    }
    Ok(image)
}
