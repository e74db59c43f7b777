//! Goes through a disk and finds the blocks that an archive has to hold.

use std::io;
use std::ops::Range;

use xen_disk::ReadAt;

use super::BLOCK;

/// Blocks are compared with this many zeros at a time.
static ZEROS: [u8; 4096] = [0; 4096];

/// A disk as it will be written.
#[derive(Debug)]
pub(super) struct Image<S> {
    pub(super) source: S,
    /// Up to here there is something to read; zeros follow.
    pub(super) source_size: u64,
    /// Length on the virtual machine's side, in bytes.
    pub(super) size: u64,
}

impl<S> Image<S> {
    fn last_block(&self) -> u64 {
        self.size.div_ceil(BLOCK as u64).saturating_sub(1)
    }

    /// How long a block is: the last one can be shorter than the others.
    pub(super) fn block_len(&self, number: u64) -> usize {
        let left = self.size.saturating_sub(number * BLOCK as u64);
        left.min(BLOCK as u64) as usize
    }
}

/// A place on a disk, between two blocks.
#[derive(Debug, Default)]
pub(super) struct Scan {
    next: u64,
    /// The stretch of data around or behind the place; unknown where it ends before it.
    data: Range<u64>,
}

/// Why a disk could not be read, and where.
#[derive(Debug)]
pub(super) struct ReadFailed {
    pub(super) offset: u64,
    pub(super) source: io::Error,
}

impl Scan {
    /// Goes to the next block that belongs into the archive (the first, the last, any that is not all zero), reads it
    /// into the front of `buffer`, which has room for one, and gives its number.
    pub(super) fn next<S: ReadAt>(&mut self, image: &Image<S>, buffer: &mut [u8]) -> Result<Option<u64>, ReadFailed> {
        let last = image.last_block();
        while self.next <= last {
            if self.next > 0 {
                self.pass_hole(image, last)?;
            }
            let number = self.next;
            let block = &mut buffer[..image.block_len(number)];
            let has_data = self.read(image, number * BLOCK as u64, block)?;
            self.next += 1;
            if has_data || number == 0 || number == last {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// Goes to the block in which the next data lies, or to the last.
    fn pass_hole<S: ReadAt>(&mut self, image: &Image<S>, last: u64) -> Result<(), ReadFailed> {
        let data = self.data_behind(image, self.next * BLOCK as u64)?;
        self.next = self.next.max(data.start / BLOCK as u64).min(last);
        Ok(())
    }

    /// Fills `block`, zeros where the disk has holes, and tells whether there is anything but zeros.
    fn read<S: ReadAt>(&mut self, image: &Image<S>, offset: u64, block: &mut [u8]) -> Result<bool, ReadFailed> {
        let end = offset + block.len() as u64;
        let mut at = offset;
        while at < end {
            let data = self.data_behind(image, at)?;
            let (start, stop) = (data.start.clamp(at, end), data.end.min(end).max(at));
            block[(at - offset) as usize..(start - offset) as usize].fill(0);
            if start == end {
                break;
            }
            image
                .source
                .read_exact_at(start, &mut block[(start - offset) as usize..(stop - offset) as usize])
                .map_err(|source| ReadFailed { offset: start, source })?;
            at = stop;
        }
        Ok(!is_zero(block))
    }

    /// The first stretch of data that ends behind `from`; an empty one at the end of the world where there is none.
    fn data_behind<S: ReadAt>(&mut self, image: &Image<S>, from: u64) -> Result<Range<u64>, ReadFailed> {
        const NONE: Range<u64> = u64::MAX - 1..u64::MAX;
        if self.data.end <= from {
            let found = image.source.next_data(from).and_then(|found| match found {
                Some(data) if data.end <= from || data.is_empty() => Err(io::Error::other(
                    "the source's `next_data` gave a stretch that does not end behind the place asked for",
                )),
                found => Ok(found),
            });
            let found = found.map_err(|source| ReadFailed { offset: from, source })?;
            let found = found.map(|data| data.start..data.end.min(image.source_size));
            self.data = found.filter(|data| !data.is_empty() && data.end > from).unwrap_or(NONE);
        }
        Ok(self.data.clone())
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(ZEROS.len()).all(|chunk| *chunk == ZEROS[..chunk.len()])
}
