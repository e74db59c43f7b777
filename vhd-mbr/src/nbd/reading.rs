//! Reading whole blocks, however a stretch of the disk lies.

use std::thread;

use super::Error;
use super::disk::Nbd;
use super::session::in_range;
use super::transfer::{self, Job};

/// From this length on, one read goes over several connections.
const WIDE: usize = 4 << 20;

impl Nbd {
    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
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
    pub(super) fn read_blocks(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        let ways = self.pool().most().min(buf.len() / WIDE).max(1);
        let chunk = self.chunk();
        let part = buf.len().div_ceil(ways).next_multiple_of(chunk);
        let mut parts = (offset..).step_by(part).zip(buf.chunks_mut(part));
        let own = parts.next();
        let read = |(offset, part): (u64, &mut [u8])| {
            let mut jobs = (offset..)
                .step_by(chunk)
                .zip(part.chunks_mut(chunk))
                .map(|(offset, place)| Job { offset, place });
            transfer::read(self.pool(), || jobs.next(), drop)
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
}
