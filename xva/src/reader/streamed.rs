//! Random access to a disk of an archive that only goes forward.

use std::fmt;
use std::io::{self, Read, Seek, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Run;
use super::sync::Reader;
use crate::error::{Error, Result};
use crate::ova::Ova;
use xen_disk::{ReadAt, Spool};

/// A disk of an archive that is still coming in, read anywhere.
///
/// A read that reaches farther than the archive has come pulls the archive on up to there. What passes is verified and
/// kept in a spool, usually a temporary file, where reads of earlier parts find it. So a file can be taken out of a
/// disk while the export is running, and the export be left off when it is there.
///
/// ```no_run
/// use xva::{ReadAt, Reader, StreamedDisk};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let export = std::io::empty();
/// # let spool = std::io::Cursor::new(Vec::new());
/// let disk = StreamedDisk::open(Reader::new(export), None, spool)?.spool_limit(8 << 30);
/// let mut superblock = [0; 1024];
/// disk.read_exact_at((1 << 20) + 1024, &mut superblock)?;
/// println!("{} bytes of the export were read", disk.bytes_read());
/// # Ok(()) }
/// ```
pub struct StreamedDisk<R, T> {
    state: Mutex<State<R, T>>,
    id: String,
    size: Option<u64>,
}

struct State<R, T> {
    reader: Reader<R>,
    spool: Spool<T>,
    /// Up to where the disk has come.
    reached: u64,
    over: bool,
    /// Something that passed was not kept, so nothing behind it can be told from zeros.
    failed: bool,
}

impl<R: Read, T: Read + Write + Seek> StreamedDisk<R, T> {
    /// Goes on in the archive to the disk with this folder, such as `Ref:12`, or to the next one. The spool gets the
    /// disk's bytes at their own places; a new file becomes sparse.
    ///
    /// # Errors
    /// [`Error::NoSuchDisk`] where the archive ends before, and what reading fails with.
    pub fn open(mut reader: Reader<R>, id: Option<&str>, spool: T) -> Result<Self> {
        let (id, size) = loop {
            let Some(disk) = reader.next_disk()? else {
                return Err(Error::NoSuchDisk {
                    disk: id.unwrap_or("at all").to_owned(),
                    there: reader
                        .summary()
                        .map(|summary| summary.disks.iter().map(|disk| disk.id.clone()).collect())
                        .unwrap_or_default(),
                });
            };
            if id.is_none_or(|id| id == disk.id()) {
                break (disk.id().to_owned(), disk.virtual_size());
            }
        };
        Ok(Self {
            state: Mutex::new(State {
                reader,
                spool: Spool::new(spool, u64::MAX),
                reached: 0,
                over: false,
                failed: false,
            }),
            id,
            size,
        })
    }

    /// How many bytes of data the spool may hold; without it, all of the disk. A read that would need more fails.
    #[must_use]
    pub fn spool_limit(self, bytes: u64) -> Self {
        self.state().spool.set_limit(bytes);
        self
    }

    /// The disk's folder in the archive.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The metadata of the archive.
    pub fn ova(&self) -> Option<Ova> {
        self.state().reader.known_ova().cloned()
    }

    /// Bytes taken from the source so far, compressed as they are.
    pub fn bytes_read(&self) -> u64 {
        self.state().reader.bytes_read()
    }

    /// How many bytes of data the spool holds.
    pub fn spooled(&self) -> u64 {
        self.state().spool.used()
    }

    /// Fills `buf` with the disk's bytes from `offset` on, once the archive has come that far.
    ///
    /// # Errors
    /// [`Error::BeyondDisk`], [`Error::SpoolFull`], and what reading the archive fails with. What came before a failure
    /// can still be read.
    pub fn read(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let mut state = self.state();
        let beyond = |size| Error::BeyondDisk {
            disk: self.id.clone(),
            offset,
            size,
        };
        let end = offset.checked_add(buf.len() as u64);
        let end = end.filter(|&end| self.size.is_none_or(|size| end <= size));
        let end = end.ok_or_else(|| beyond(self.size.unwrap_or(u64::MAX)))?;
        while state.reached < end {
            if state.over {
                return Err(beyond(state.reached));
            }
            state.pull(&self.id)?;
        }
        state
            .spool
            .read(offset, buf)
            .map_err(|source| Error::Target { offset, source })
    }

    /// The source, wherever it stands.
    pub fn into_inner(self) -> R {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.reader.into_inner()
    }

    fn state(&self) -> MutexGuard<'_, State<R, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Read, T: Read + Write + Seek> State<R, T> {
    /// Reads the archive's next run of data or zeros.
    fn pull(&mut self, id: &str) -> Result<()> {
        if self.failed {
            return Err(Error::AlreadyFailed);
        }
        let pulled = self.next_run(id);
        self.failed = pulled.is_err();
        pulled
    }

    fn next_run(&mut self, id: &str) -> Result<()> {
        let Self {
            reader,
            spool,
            reached,
            over,
            ..
        } = self;
        match reader.next_run()? {
            Some(Run::Hole { offset, len }) => *reached = offset.saturating_add(len),
            Some(Run::Data(block)) => {
                let (offset, len) = (block.offset, block.data.len() as u64);
                if !spool.has_room(len) {
                    return Err(Error::SpoolFull {
                        disk: id.to_owned(),
                        limit: spool.limit(),
                    });
                }
                let kept = spool.put(offset, block.data);
                kept.map_err(|source| Error::Target { offset, source })?;
                *reached = offset + len;
            }
            None => *over = true,
        }
        Ok(())
    }
}

/// An [`xva::Error`](crate::Error) travels inside of the [`io::Error`]. Where the metadata tells no size, asking for it
/// reads the disk to its end.
impl<R: Read, T: Read + Write + Seek> ReadAt for StreamedDisk<R, T> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.read(offset, buf).map_err(|error| match error {
            Error::BeyondDisk { .. } => io::Error::new(io::ErrorKind::UnexpectedEof, error),
            error => io::Error::other(error),
        })
    }

    fn size(&self) -> io::Result<u64> {
        if let Some(size) = self.size {
            return Ok(size);
        }
        let mut state = self.state();
        while !state.over {
            state.pull(&self.id).map_err(io::Error::other)?;
        }
        Ok(state.reached)
    }
}

impl<R, T> fmt::Debug for StreamedDisk<R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamedDisk")
            .field("id", &self.id)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
