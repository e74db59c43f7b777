//! Reading a whole disk, or parts of it, in one go.

use std::io::{self, Write};
use std::ops::Range;

use super::disk::Nbd;
use super::read_ahead;
use super::session::in_range;

impl Nbd {
    /// Copies the whole disk, holes as zeros, and tells its length. Reads over all connections, ahead of what `out`
    /// takes.
    ///
    /// # Errors
    /// Where reading or writing fails.
    pub fn copy_to(&self, mut out: impl Write) -> io::Result<u64> {
        let size = self.export().size();
        let mut at = 0;
        self.read_ahead(|offset, bytes| {
            zeros(&mut out, offset - at)?;
            at = offset + bytes.len() as u64;
            out.write_all(bytes)
        })?;
        zeros(&mut out, size - at)?;
        out.flush()?;
        Ok(size)
    }

    /// Reads the whole disk and hands over what is in it but for holes: the position, and up to one request's length of
    /// bytes. It reads over all connections, ahead of what `each` takes.
    ///
    /// ```no_run
    /// # use std::os::unix::fs::FileExt;
    /// # use vhd_mbr::nbd::{Nbd, Target};
    /// let disk = Nbd::connect(&"nbd://localhost/disk".parse::<Target>()?)?;
    /// let image = std::fs::File::create("image.raw")?;
    /// image.set_len(disk.export().size())?;
    /// disk.read_ahead(|offset, bytes| image.write_all_at(bytes, offset))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Where reading fails, and what `each` returns, which ends it.
    pub fn read_ahead(&self, each: impl FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<()> {
        self.read_ranges(std::iter::once(0..self.export().size()), each)
    }

    /// The same for parts of the disk, in the order in which they are named: those that
    /// [changed](crate::cbt::ChangedBlocks::ranges).
    ///
    /// # Errors
    /// Where a part is beyond the disk's end, where reading fails, and what `each` returns, which ends it.
    pub fn read_ranges(
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
}

fn zeros(out: &mut impl Write, count: u64) -> io::Result<()> {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    let mut rest = count;
    while rest > 0 {
        let part = rest.min(ZEROS.len() as u64);
        out.write_all(&ZEROS[..part as usize])?;
        rest -= part;
    }
    Ok(())
}
