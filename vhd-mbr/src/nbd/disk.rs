//! A disk on a server, as a disk.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use xen_disk::{ReadAt, WriteAt};

use super::allocation::Allocation;
use super::flight::Request;
use super::pool::Pool;
use super::protocol::{Command, FORCE_UNIT_ACCESS};
use super::session::in_range;
use super::transfer::{self, Job};
use super::{Error, Export, Options, Target, read_ahead};

/// From this length on, one read goes over several connections.
const WIDE: usize = 4 << 20;
/// How much of the disk one question for data is about.
const QUESTION: u64 = 1 << 30;

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

    /// Copies the whole disk, holes as zeros, and tells its length. Reads over all connections, ahead of what `out`
    /// takes.
    ///
    /// # Errors
    /// Where reading or writing fails.
    pub fn copy_to(&self, mut out: impl Write) -> io::Result<u64> {
        let size = self.export().size();
        let mut at = 0;
        self.read_ahead([0..size], |offset, bytes| {
            zeros(&mut out, offset - at)?;
            at = offset + bytes.len() as u64;
            out.write_all(bytes)
        })?;
        zeros(&mut out, size - at)?;
        out.flush()?;
        Ok(size)
    }

    /// Reads parts of the disk, in this order, and hands over what is in them but for holes: the position, and up to
    /// one request's length of bytes. It reads over all connections, ahead of what `each` takes.
    ///
    /// ```no_run
    /// # use std::os::unix::fs::FileExt;
    /// # use vhd_mbr::nbd::{Nbd, Target};
    /// let disk = Nbd::connect(&"nbd://localhost/disk".parse::<Target>()?)?;
    /// let image = std::fs::File::create("image.raw")?;
    /// image.set_len(disk.export().size())?;
    /// disk.read_ahead([0..disk.export().size()], |offset, bytes| image.write_all_at(bytes, offset))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Where reading fails, and what `each` returns, which ends it.
    pub fn read_ahead(
        &self,
        ranges: impl IntoIterator<Item = Range<u64>>,
        each: impl FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let ranges: Vec<_> = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        for range in &ranges {
            in_range(range.start, range.end - range.start, self.export().size())?;
        }
        read_ahead::run(self, ranges, each)
    }

    /// Makes a part of the disk zero, without sending the zeros where the server can do it.
    ///
    /// # Errors
    /// Where the disk cannot be written.
    pub fn write_zeroes_at(&mut self, offset: u64, length: u64) -> io::Result<()> {
        self.check_write(offset, length)?;
        let block = u64::from(self.export().blocks().minimum);
        if !self.export().can_write_zeroes() || offset % block != 0 || length % block != 0 {
            return self.send_zeros(offset, length);
        }
        self.begin_write();
        let most = QUESTION;
        for at in (offset..offset + length).step_by(most as usize) {
            let part = (offset + length - at).min(most) as u32;
            let mut request = Request::new(Command::WriteZeroes, at, part);
            request.flags = self.write_flags();
            transfer::once(&self.pool, request)?;
        }
        Ok(self.end_write()?)
    }

    fn send_zeros(&mut self, offset: u64, length: u64) -> io::Result<()> {
        let zeros = vec![0; self.chunk().min(usize::try_from(length).unwrap_or(usize::MAX)).max(1)];
        for at in (offset..offset + length).step_by(zeros.len()) {
            let part = (offset + length - at).min(zeros.len() as u64) as usize;
            self.write_all_at(at, &zeros[..part])?;
        }
        Ok(())
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

    fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        in_range(offset, buf.len() as u64, self.export().size())?;
        if buf.is_empty() {
            return Ok(());
        }
        let block = u64::from(self.export().blocks().minimum);
        let range = offset..offset + buf.len() as u64;
        let around = self.blocks_around(range.clone());
        if around == range {
            return self.read_blocks(offset, buf);
        }
        if around.end - around.start <= 2 * block.max(4096) {
            let mut whole = vec![0; (around.end - around.start) as usize];
            self.read_blocks(around.start, &mut whole)?;
            buf.copy_from_slice(&whole[(offset - around.start) as usize..][..buf.len()]);
            return Ok(());
        }
        // The blocks at both ends, and between them what needs no copy.
        let first = if around.start < offset {
            around.start + block
        } else {
            offset
        };
        let last = match around.end == range.end {
            true => range.end,
            false => range.end - range.end % block,
        };
        let (head, rest) = buf.split_at_mut((first - offset) as usize);
        let (middle, tail) = rest.split_at_mut((last - first) as usize);
        self.read_blocks(first, middle)?;
        if !head.is_empty() {
            self.read(offset, head)?;
        }
        if !tail.is_empty() {
            self.read(last, tail)?;
        }
        Ok(())
    }

    /// Reads whole blocks, over several connections where that pays off.
    fn read_blocks(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        let ways = self.pool.most().min(buf.len() / WIDE).max(1);
        let chunk = self.chunk();
        let part = buf.len().div_ceil(ways).next_multiple_of(chunk);
        let mut parts = (offset..).step_by(part).zip(buf.chunks_mut(part));
        let own = parts.next();
        let read = |(offset, part): (u64, &mut [u8])| {
            let mut jobs = (offset..)
                .step_by(chunk)
                .zip(part.chunks_mut(chunk))
                .map(|(offset, place)| Job { offset, place });
            transfer::read(&self.pool, || jobs.next(), drop)
        };
        thread::scope(|scope| {
            let others: Vec<_> = parts.map(|part| scope.spawn(move || read(part))).collect();
            let mut outcome = own.map_or(Ok(()), read);
            for other in others {
                let other = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                outcome = outcome.and(other);
            }
            outcome
        })
    }

    /// Asks the server where the disk has data, from a block's first byte on.
    fn ask(&self, from: u64) -> Result<(), Error> {
        let length = (self.export().size() - from).min(QUESTION) as u32;
        let mut lease = self.pool.lend()?;
        let mut outcome = lease.begin()?.extents(from, length);
        if let Err(error) = &outcome
            && error.is_broken()
        {
            lease.renew(error)?;
            outcome = lease.begin()?.extents(from, length);
        }
        let extents = match outcome {
            Ok(extents) => extents,
            // Some offer the question and cannot answer it. Then everything is data.
            Err(Error::Command { .. }) => vec![super::flight::Extent { length, is_zero: false }],
            Err(error) => return Err(error),
        };
        lease.end();
        drop(lease);
        self.allocation().learn(from, &extents);
        Ok(())
    }

    fn find_data(&self, from: u64) -> Result<Option<Range<u64>>, Error> {
        let size = self.export().size();
        let mut at = from;
        while at < size {
            let known = self.allocation().at(at);
            match known {
                Some((range, false)) => return Ok(Some(range)),
                Some((range, true)) => at = range.end,
                None => self.ask(self.blocks_around(at..at).start)?,
            }
        }
        Ok(None)
    }

    fn allocation(&self) -> MutexGuard<'_, Allocation> {
        self.allocation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuses_writes(&self) -> Option<Error> {
        let reason = match self.pool.options().writable {
            false => "writing was not asked for (`Options::writable`)",
            true if self.export().is_read_only() => "the server does not allow writing",
            true => return None,
        };
        Some(Error::ReadOnly { reason })
    }

    fn check_write(&self, offset: u64, length: u64) -> io::Result<()> {
        if let Some(refusal) = self.refuses_writes() {
            return Err(refusal.into());
        }
        in_range(offset, length, self.export().size()).map_err(|error| io::Error::new(io::ErrorKind::WriteZero, error))
    }

    fn write_flags(&self) -> u16 {
        match self.pool.options().durable_writes && self.export().can_force_unit_access() {
            true => FORCE_UNIT_ACCESS,
            false => 0,
        }
    }

    fn begin_write(&self) {
        if self.write_flags() == 0 {
            self.pool.note_write();
        }
        self.allocation().forget();
    }

    /// Makes what has been written last, where that was asked for and the write itself did not do it.
    fn end_write(&self) -> Result<(), Error> {
        match self.pool.options().durable_writes && self.write_flags() == 0 {
            true => self.flush_all(),
            false => Ok(()),
        }
    }

    fn flush_all(&self) -> Result<(), Error> {
        self.pool.begin_flush()?;
        match self.export().can_flush() {
            true => transfer::once(&self.pool, Request::new(Command::Flush, 0, 0)),
            // Such servers write at once.
            false => Ok(()),
        }
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

impl WriteAt for Nbd {
    /// Writes are never repeated: after an error nobody knows what of `bytes` is on the disk.
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.check_write(offset, bytes.len() as u64)?;
        if bytes.is_empty() {
            return Ok(());
        }
        let range = offset..offset + bytes.len() as u64;
        let around = self.blocks_around(range.clone());
        let mut whole = Vec::new();
        let bytes = match around == range {
            true => bytes,
            false => {
                whole.resize((around.end - around.start) as usize, 0);
                self.read_ends(&around, &range, &mut whole)?;
                whole[(offset - around.start) as usize..][..bytes.len()].copy_from_slice(bytes);
                &whole
            }
        };
        self.begin_write();
        let chunk = self.chunk();
        let pieces = (around.start..).step_by(chunk).zip(bytes.chunks(chunk));
        transfer::write(&self.pool, self.write_flags(), pieces)?;
        Ok(self.end_write()?)
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(refusal) = self.refuses_writes() {
            return Err(refusal.into());
        }
        Ok(self.flush_all()?)
    }
}

impl Nbd {
    /// The first and the last block of `around`, of which `range` leaves something.
    fn read_ends(&self, around: &Range<u64>, range: &Range<u64>, whole: &mut [u8]) -> Result<(), Error> {
        let block = u64::from(self.export().blocks().minimum);
        let ends = [
            (around.start < range.start, around.start),
            (range.end < around.end, (around.end - 1) / block * block),
        ];
        for start in ends.iter().filter(|(is_cut, _)| *is_cut).map(|&(_, start)| start) {
            let end = around.end.min(start + block);
            self.read_blocks(
                start,
                &mut whole[(start - around.start) as usize..(end - around.start) as usize],
            )?;
        }
        Ok(())
    }
}

fn zeros(out: &mut impl Write, count: u64) -> io::Result<()> {
    const ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    let mut rest = count;
    while rest > 0 {
        let part = rest.min(ZEROS.len() as u64);
        out.write_all(&ZEROS[..part as usize])?;
        rest -= part;
    }
    Ok(())
}
