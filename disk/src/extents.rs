//! Holes that are known from elsewhere.

use std::io;
use std::ops::Range;

use crate::ReadAt;

/// A disk whose data is known to lie in some stretches only, as from an NBD server or a list of changed blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithExtents<T> {
    source: T,
    /// Sorted, apart from each other, none empty.
    extents: Vec<Range<u64>>,
}

impl<T: ReadAt> WithExtents<T> {
    /// A disk that is zero everywhere but in `extents`. They can come in any order and overlap.
    pub fn new(source: T, extents: impl IntoIterator<Item = Range<u64>>) -> Self {
        let mut given: Vec<_> = extents.into_iter().filter(|extent| !extent.is_empty()).collect();
        given.sort_by_key(|extent| extent.start);
        let mut extents: Vec<Range<u64>> = Vec::with_capacity(given.len());
        for extent in given {
            match extents.last_mut() {
                Some(last) if extent.start <= last.end => last.end = last.end.max(extent.end),
                _ => extents.push(extent),
            }
        }
        Self { source, extents }
    }
}

impl<T: ReadAt> ReadAt for WithExtents<T> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64);
        let end = end.filter(|&end| self.size().is_ok_and(|size| end <= size));
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.fill(0);
        let first = self.extents.partition_point(|extent| extent.end <= offset);
        for extent in self.extents[first..].iter().take_while(|extent| extent.start < end) {
            let (start, end) = (extent.start.max(offset), extent.end.min(end));
            let part = &mut buf[(start - offset) as usize..(end - offset) as usize];
            self.source.read_exact_at(start, part)?;
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        self.source.size()
    }

    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        let size = self.size()?;
        let at = self.extents.partition_point(|extent| extent.end <= from);
        let data = self.extents.get(at).map(|extent| extent.start..extent.end.min(size));
        Ok(data.filter(|data| from.max(data.start) < data.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_are_put_in_order() {
        let disk = WithExtents::new([0; 100], [60..70, 10..20, 15..30, 30..31, 50..50]);
        assert_eq!(disk.extents, [10..31, 60..70]);
        assert_eq!(disk.next_data(0).unwrap(), Some(10..31));
        assert_eq!(disk.next_data(30).unwrap(), Some(10..31));
        assert_eq!(disk.next_data(31).unwrap(), Some(60..70));
        assert_eq!(disk.next_data(70).unwrap(), None);
    }

    #[test]
    fn what_is_in_no_extent_reads_as_zeros() {
        let disk = WithExtents::new([9; 10], [2..4, 6..20, 30..40]);
        assert_eq!(disk.next_data(4).unwrap(), Some(6..10));
        assert_eq!(disk.next_data(10).unwrap(), None);
        let mut some = [1; 6];
        disk.read_exact_at(1, &mut some).unwrap();
        assert_eq!(some, [0, 9, 9, 0, 0, 9]);
        assert!(disk.read_exact_at(5, &mut some).is_err());
    }
}
