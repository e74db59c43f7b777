use std::io::{Seek, SeekFrom, Write};
use std::panic::resume_unwind;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use xen_disk::ReadAt;

use super::Error;
use super::read::{read_into, size_of};

/// Zeros are looked for in pieces of this size, the smallest that file systems leave out.
const PIECE: usize = 4096;
/// How much is read at once.
const BATCH: u64 = 1 << 20;
/// How many such pieces wait to be written.
const AHEAD: usize = 4;

static ZEROS: [u8; PIECE] = [0; PIECE];

/// Writes a disk as a raw image that has holes where it is zero, and gives its size.
///
/// `target` must be empty, or zero wherever the disk is; it is written by a thread of its own. A chain of VHDs comes out as the one disk that it is.
///
/// ```
/// use std::io::Cursor;
/// use vhd_mbr::vhd::{Vhd, Writer, copy_to_raw};
///
/// let image = vec![9; 3 << 20];
/// let mut file = Vec::new();
/// Writer::dynamic(&image).plan()?.write_to(&mut file)?;
/// let mut raw = Cursor::new(Vec::new());
/// copy_to_raw(&Vhd::open(&file)?, &mut raw)?;
/// assert_eq!(raw.into_inner(), image);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Where the disk cannot be read or the target not be written.
pub fn copy_to_raw(disk: &(impl ReadAt + ?Sized), target: &mut (impl Write + Seek + Send)) -> Result<u64, Error> {
    let size = size_of(disk)?;
    let (filled, pieces) = mpsc::sync_channel::<Piece>(AHEAD);
    let (used, spare) = mpsc::channel();
    thread::scope(|scope| {
        let writer = scope.spawn(move || {
            let mut image = Sparse::new(target);
            for piece in pieces {
                image.put(piece.offset, &piece.data)?;
                // Where reading is over, nobody wants it back.
                used.send(piece.data).ok();
            }
            Ok(image)
        });
        let read = read_pieces(disk, &filled, &spare);
        drop(filled);
        let image = writer.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        read?;
        image.finish(size)
    })?;
    Ok(size)
}

/// A part of a disk on its way from one thread to the other.
struct Piece {
    offset: u64,
    data: Vec<u8>,
}

/// Reads all data of a disk, or until nobody takes it.
fn read_pieces(
    disk: &(impl ReadAt + ?Sized),
    filled: &SyncSender<Piece>,
    spare: &Receiver<Vec<u8>>,
) -> Result<(), Error> {
    let mut at = 0;
    while let Some(data) = disk.next_data(at).map_err(|source| Error::Read {
        offset: at,
        len: 0,
        source,
    })? {
        at = at.max(data.start);
        while at < data.end {
            let len = BATCH.min(data.end - at);
            let mut part = spare.try_recv().unwrap_or_default();
            part.resize(len as usize, 0);
            read_into(disk, at, &mut part)?;
            let piece = Piece { offset: at, data: part };
            if filled.send(piece).is_err() {
                return Ok(());
            }
            at += len;
        }
    }
    Ok(())
}

/// Whether there are only zeros.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(PIECE).all(|piece| *piece == ZEROS[..piece.len()])
}

/// A raw image whose zeros are left out. Data comes in the disk's order or any other.
pub(super) struct Sparse<'a, W> {
    target: &'a mut W,
    /// Where the target stands; unknown before the first write.
    position: Option<u64>,
    /// Up to where something was written.
    written: u64,
}

impl<'a, W: Write + Seek> Sparse<'a, W> {
    pub(super) fn new(target: &'a mut W) -> Self {
        Self {
            target,
            position: None,
            written: 0,
        }
    }

    pub(super) fn put(&mut self, offset: u64, data: &[u8]) -> Result<(), Error> {
        let mut start = 0;
        while start < data.len() {
            let piece = |at: usize| &data[at..data.len().min(at + PIECE)];
            let zero = is_zero(piece(start));
            let rest = (start..data.len()).step_by(PIECE);
            let end = rest.skip(1).find(|&at| is_zero(piece(at)) != zero);
            let end = end.unwrap_or(data.len());
            if !zero {
                self.write(offset + start as u64, &data[start..end])?;
            }
            start = end;
        }
        Ok(())
    }

    /// Gives the image its size.
    pub(super) fn finish(mut self, size: u64) -> Result<(), Error> {
        if self.written < size {
            self.write(size - 1, &[0])?;
        }
        self.target
            .flush()
            .map_err(|source| Error::Write { offset: size, source })
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), Error> {
        let mut write = || {
            if self.position != Some(offset) {
                self.target.seek(SeekFrom::Start(offset))?;
            }
            self.target.write_all(data)
        };
        write().map_err(|source| Error::Write { offset, source })?;
        let end = offset + data.len() as u64;
        self.written = self.written.max(end);
        self.position = Some(end);
        Ok(())
    }
}
