//! Writing, where that was asked for.

use std::io;
use std::ops::Range;

use xen_disk::WriteAt;

use super::Error;
use super::disk::Nbd;
use super::flight::Request;
use super::protocol::{Command, FORCE_UNIT_ACCESS};
use super::session::in_range;
use super::transfer;

/// How much of the disk one request makes zero.
const ZEROED: u64 = 1 << 30;

impl Nbd {
    /// Makes a part of the disk zero, without sending the zeros where the server can do it.
    ///
    /// # Errors
    /// Where the disk cannot be written.
    pub fn write_zeroes_at(&mut self, offset: u64, length: u64) -> io::Result<()> {
        self.check_write(offset, length)?;
        let block = u64::from(self.export().blocks().minimum);
        if !self.export().can_write_zeroes() || !offset.is_multiple_of(block) || !length.is_multiple_of(block) {
            return self.send_zeros(offset, length);
        }
        self.begin_write();
        for at in (offset..offset + length).step_by(ZEROED as usize) {
            let part = (offset + length - at).min(ZEROED) as u32;
            let mut request = Request::new(Command::WriteZeroes, at, part);
            request.flags = self.write_flags();
            transfer::once(self.pool(), request)?;
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

    pub(super) fn refuses_writes(&self) -> Option<Error> {
        let reason = match self.pool().options().writable {
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
        match self.pool().options().durable_writes && self.export().can_force_unit_access() {
            true => FORCE_UNIT_ACCESS,
            false => 0,
        }
    }

    fn begin_write(&self) {
        if self.write_flags() == 0 {
            self.pool().note_write();
        }
        self.allocation().forget();
    }

    /// Makes what has been written last, where that was asked for and the write itself did not do it.
    fn end_write(&self) -> Result<(), Error> {
        match self.pool().options().durable_writes && self.write_flags() == 0 {
            true => self.flush_all(),
            false => Ok(()),
        }
    }

    fn flush_all(&self) -> Result<(), Error> {
        self.pool().begin_flush()?;
        match self.export().can_flush() {
            true => transfer::once(self.pool(), Request::new(Command::Flush, 0, 0)),
            // Such servers write at once.
            false => Ok(()),
        }
    }

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
        transfer::write(self.pool(), self.write_flags(), pieces)?;
        Ok(self.end_write()?)
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(refusal) = self.refuses_writes() {
            return Err(refusal.into());
        }
        Ok(self.flush_all()?)
    }
}
