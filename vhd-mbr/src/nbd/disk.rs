//! A disk on a server, as a disk.

use std::io;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use xen_disk::ReadAt;

use super::allocation::Allocation;
use super::pool::Pool;
use super::{Error, Export, Options, Target};

/// A disk on an NBD server.
///
/// [`ReadAt`] makes it a disk for everything in this crate. Any number of threads can read from it at once: they share
/// its connections. A connection that breaks while something is read is made again, once.
///
/// What follows `?` in the export's name is shown by nothing here.
///
/// ```no_run
/// use vhd_mbr::PartitionTable;
/// use vhd_mbr::nbd::{Nbd, Target, Trust};
///
/// # fn info() -> (String, String) { unimplemented!() }
/// let (export, certificate) = info(); // from VDI.get_nbd_info
/// let target = Target::tcp("10.0.0.2", 10809, export).trust(Trust::pinned(&certificate)?);
/// let disk = Nbd::connect(&target)?;
/// print!("{}", PartitionTable::read_disk(&disk)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Nbd {
    pool: Pool,
    allocation: Mutex<Allocation>,
}

impl Nbd {
    /// Connects with the default [options](Self::options): for reading.
    ///
    /// # Errors
    /// Where the server cannot be reached, is not the right one or does not give the disk.
    pub fn connect(target: &Target) -> Result<Self, Error> {
        Self::options().connect(target)
    }

    /// How to connect, where the defaults do not fit.
    pub fn options() -> Options {
        Options::default()
    }

    pub(super) fn open(target: &Target, options: &Options) -> Result<Self, Error> {
        Ok(Self {
            pool: Pool::open(target, options)?,
            allocation: Mutex::default(),
        })
    }

    /// Where the disk is.
    pub fn target(&self) -> &Target {
        self.pool.target()
    }

    /// What the server says of the disk.
    pub fn export(&self) -> Export {
        self.pool.export()
    }

    /// Whether writing was asked for and the server allows it.
    pub fn is_writable(&self) -> bool {
        self.refuses_writes().is_none()
    }

    /// Whether the server can tell where the disk has data. Otherwise everything counts as data.
    pub fn knows_holes(&self) -> bool {
        self.pool.knows_holes()
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// How many bytes one request is for at most: a multiple of the server's smallest block.
    pub(super) fn chunk(&self) -> usize {
        let blocks = self.export().blocks();
        let wanted = self.pool.options().request.clamp(blocks.minimum, blocks.maximum);
        (wanted - wanted % blocks.minimum) as usize
    }

    /// The whole blocks that a stretch of the disk touches. The last one can end with the disk.
    pub(super) fn blocks_around(&self, range: Range<u64>) -> Range<u64> {
        let (block, size) = (u64::from(self.export().blocks().minimum), self.export().size());
        let end = range.end.checked_next_multiple_of(block).unwrap_or(size);
        range.start - range.start % block..end.min(size)
    }

    pub(super) fn allocation(&self) -> MutexGuard<'_, Allocation> {
        self.allocation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadAt for Nbd {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        Ok(self.read(offset, buf)?)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.export().size())
    }

    /// As far as the server can tell. What it told is kept until something is written.
    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        let size = self.export().size();
        match self.knows_holes() {
            true => Ok(self.find_data(from)?),
            false => Ok((from < size).then_some(from..size)),
        }
    }
}
