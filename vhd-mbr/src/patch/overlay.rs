use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use xen_disk::{ReadAt, WriteAt};

use super::Refused;
use super::plan::{Draft, WritePlan};

const BLOCK: u64 = 4096;

/// A disk that can be written to while nothing is: what is written stays in memory and becomes a [`WritePlan`].
///
/// ```
/// use vhd_mbr::patch::Overlay;
/// use vhd_mbr::xen_disk::{ReadAt, WriteAt};
///
/// let disk = vec![0u8; 8192];
/// let mut overlay = Overlay::new(&disk, 1 << 20);
/// overlay.write_all_at(4094, b"abcd")?;
/// let plan = overlay.plan()?;
/// assert_eq!(plan.to_string(), "4 bytes in 1 place of the disk\nbytes 4094 to 4097 (4): 00 00 00 00 -> 61 62 63 64\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Overlay<D> {
    disk: D,
    limit: u64,
    /// The blocks that have been written to, by number, as they are now.
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl<D: ReadAt> Overlay<D> {
    /// Keeps what is written over `disk`, but no more than `limit` bytes of memory, counted in blocks of 4096 bytes.
    pub fn new(disk: D, limit: u64) -> Self {
        Self {
            disk,
            limit,
            blocks: BTreeMap::new(),
        }
    }

    /// The difference between the disk and what has been written.
    ///
    /// # Errors
    /// If the disk cannot be read, or if more has changed than one plan may hold.
    pub fn plan(&self) -> Result<WritePlan, Refused> {
        let mut draft = Draft::new(&self.disk)?;
        for (number, block) in &self.blocks {
            let old = draft.read(number * BLOCK, block.len())?;
            draft.put(number * BLOCK, &old, block)?;
        }
        draft.finish()
    }

    /// The end of `len` bytes from `offset` on, where the disk has them.
    fn end(&self, offset: u64, len: usize) -> io::Result<Option<u64>> {
        let size = self.size()?;
        Ok(offset.checked_add(len as u64).filter(|&end| end <= size))
    }
}

impl<D: ReadAt> ReadAt for Overlay<D> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = self.end(offset, buf.len())?.ok_or(io::ErrorKind::UnexpectedEof)?;
        self.disk.read_exact_at(offset, buf)?;
        for (number, block) in self.blocks.range(offset / BLOCK..end.div_ceil(BLOCK)) {
            let start = number * BLOCK;
            let (from, to) = (start.max(offset), (start + block.len() as u64).min(end));
            let written = &block[(from - start) as usize..(to - start) as usize];
            buf[(from - offset) as usize..(to - offset) as usize].copy_from_slice(written);
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        self.disk.size()
    }

    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        let below = self.disk.next_data(from)?;
        let written = self.blocks.range(from / BLOCK..);
        let mut written = written.map(|(number, block)| number * BLOCK..number * BLOCK + block.len() as u64);
        let written = written.find(|range| range.end > from);
        Ok(match (below, written) {
            (Some(below), Some(written)) if written.start < below.start => Some(written),
            (below, written) => below.or(written),
        })
    }
}

impl<D: ReadAt> WriteAt for Overlay<D> {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = self.end(offset, bytes.len())?.ok_or(io::ErrorKind::WriteZero)?;
        let numbers = offset / BLOCK..end.div_ceil(BLOCK);
        let known = self.blocks.range(numbers.clone()).count() as u64;
        let blocks = self.blocks.len() as u64 + (numbers.end - numbers.start).saturating_sub(known);
        if blocks.saturating_mul(BLOCK) > self.limit {
            let text = format!("more would change than the {} bytes that may", self.limit);
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, text));
        }
        let size = self.size()?;
        for number in numbers {
            let start = number * BLOCK;
            if !self.blocks.contains_key(&number) {
                let mut block = vec![0; BLOCK.min(size - start) as usize];
                self.disk.read_exact_at(start, &mut block)?;
                self.blocks.insert(number, block);
            }
            let (from, to) = (start.max(offset), (start + BLOCK).min(end));
            if let Some(block) = self.blocks.get_mut(&number) {
                block[(from - start) as usize..(to - start) as usize]
                    .copy_from_slice(&bytes[(from - offset) as usize..(to - offset) as usize]);
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use xen_disk::WithExtents;

    use super::*;

    #[test]
    fn what_was_written_in_a_hole_is_data() {
        let disk = WithExtents::new(vec![0; (1 << 20) - 1000], [100_000..200_000, 900_000..900_100]);
        let mut overlay = Overlay::new(disk, 1 << 20);
        let last = (1 << 20) - 1001;
        for offset in [0, 150_000, 500_000, last] {
            overlay.write_all_at(offset, &[7]).unwrap();
        }
        let mut data = Vec::new();
        let mut at = 0;
        while let Some(range) = overlay.next_data(at).unwrap() {
            at = range.end;
            data.push(range);
        }
        let covered = |place: u64| data.iter().any(|range| range.contains(&place));
        for place in [0, 100_000, 150_000, 199_999, 500_000, 900_050, last] {
            assert!(covered(place), "{place} of {data:?}");
        }
        assert!(!covered(50_000) && !covered(300_000) && !covered(950_000), "{data:?}");
        assert!(data.windows(2).all(|pair| pair[0].end < pair[1].end));
    }
}
