//! Parts of disks.

use std::io;
use std::ops::Range;

use crate::{ReadAt, WriteAt};

/// A part of a disk that is a disk itself: one partition, or an image inside a larger file.
///
/// ```
/// use xen_disk::{ReadAt, Window};
///
/// let disk = b"..hello..".as_slice();
/// let part = Window::new(disk, 2, 5);
/// let mut text = [0; 5];
/// part.read_exact_at(0, &mut text)?;
/// assert_eq!(&text, b"hello");
/// assert!(part.read_exact_at(1, &mut text).is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Window<D> {
    disk: D,
    start: u64,
    len: u64,
}

impl<D: ReadAt> Window<D> {
    /// The `len` bytes of `disk` from byte `start` on. A window may reach beyond the disk's end: reading there fails.
    pub fn new(disk: D, start: u64, len: u64) -> Self {
        Self { disk, start, len }
    }
}

impl<D> Window<D> {
    /// Where `count` bytes from `offset` on are on the disk, where all of them are inside.
    fn position(&self, offset: u64, count: usize) -> Option<u64> {
        let end = offset.checked_add(count as u64)?;
        if end > self.len {
            return None;
        }
        self.start.checked_add(offset)
    }
}

impl<D: ReadAt> ReadAt for Window<D> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let position = self.position(offset, buf.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.disk.read_exact_at(position, buf)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        let Some(position) = self.start.checked_add(from).filter(|_| from < self.len) else {
            return Ok(None);
        };
        let inside = |at: u64| at.saturating_sub(self.start).min(self.len);
        let data = self.disk.next_data(position)?;
        Ok(data
            .map(|data| inside(data.start)..inside(data.end))
            .filter(|data| !data.is_empty()))
    }
}

impl<D: WriteAt> WriteAt for Window<D> {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let position = self.position(offset, bytes.len()).ok_or(io::ErrorKind::WriteZero)?;
        self.disk.write_all_at(position, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.disk.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WithExtents;

    #[test]
    fn data_of_a_window_is_cut_to_it() {
        let disk = WithExtents::new(vec![0; 100], [10..20, 30..60, 80..90]);
        let part = Window::new(&disk, 15, 30);
        assert_eq!(part.next_data(0).unwrap(), Some(0..5));
        assert_eq!(part.next_data(5).unwrap(), Some(15..30));
        assert_eq!(part.next_data(30).unwrap(), None);
        assert_eq!(Window::new(&disk, 60, 20).next_data(0).unwrap(), None);
    }

    #[test]
    fn nothing_is_written_outside() {
        let mut disk = vec![0u8; 10];
        let mut part = Window::new(&mut disk, 2, 4);
        part.write_all_at(1, &[1, 2, 3]).unwrap();
        assert!(part.write_all_at(2, &[9, 9, 9]).is_err());
        assert!(part.write_all_at(u64::MAX, &[9]).is_err());
        assert_eq!(disk, [0, 0, 0, 1, 2, 3, 0, 0, 0, 0]);
    }
}
