//! Disks that tell where their data is.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use crate::ReadAt;

/// A disk to be packed: bytes that can be read anywhere, and where among them there can be anything but zeros.
///
/// Nothing that [`DiskSource::next_data`] leaves out is read. A type that knows nothing about holes takes the default:
///
/// ```
/// use std::io;
/// use xva::{ReadAt, write::DiskSource};
///
/// /// A disk that is all 0xff.
/// struct Ones(u64);
///
/// impl ReadAt for Ones {
///     fn read_exact_at(&self, _offset: u64, buf: &mut [u8]) -> io::Result<()> {
///         buf.fill(0xff);
///         Ok(())
///     }
///     fn size(&self) -> io::Result<u64> {
///         Ok(self.0)
///     }
/// }
///
/// impl DiskSource for Ones {}
/// ```
///
/// [`Dense`] does the same for a foreign type, [`WithExtents`] adds holes that are known from elsewhere.
pub trait DiskSource: ReadAt {
    /// The first stretch that ends behind `from` and can hold data; `None` where there are only zeros up to the end.
    ///
    /// Unless overridden, everything can.
    ///
    /// # Errors
    /// Whatever the source reports when it is asked.
    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        let size = self.size()?;
        Ok((from < size).then_some(from..size))
    }
}

impl DiskSource for [u8] {}
impl DiskSource for Vec<u8> {}

/// On Linux, the holes of a sparse file are found by asking the file system, and not read. The file's cursor moves.
#[cfg(unix)]
impl DiskSource for File {
    #[cfg(target_os = "linux")]
    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        let size = self.size()?;
        if from >= size {
            return Ok(None);
        }
        super::holes::next_data(self, from, size)
    }
}

/// A disk of which every byte is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dense<T>(
    /// The bytes.
    pub T,
);

impl<T: ReadAt> ReadAt for Dense<T> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(offset, buf)
    }

    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
}

impl<T: ReadAt> DiskSource for Dense<T> {}

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
        self.source.read_exact_at(offset, buf)
    }

    fn size(&self) -> io::Result<u64> {
        self.source.size()
    }
}

impl<T: ReadAt> DiskSource for WithExtents<T> {
    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        let at = self.extents.partition_point(|extent| extent.end <= from);
        Ok(self.extents.get(at).cloned())
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<T: DiskSource + ?Sized> DiskSource for $pointer {
            fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
                T::next_data(self, from)
            }
        }
    )*};
}
forward!(&T, Box<T>, Rc<T>, Arc<T>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_are_put_in_order() {
        let disk = WithExtents::new(vec![0; 100], [60..70, 10..20, 15..30, 30..31, 50..50]);
        assert_eq!(disk.extents, [10..31, 60..70]);
        assert_eq!(disk.next_data(0).unwrap(), Some(10..31));
        assert_eq!(disk.next_data(30).unwrap(), Some(10..31));
        assert_eq!(disk.next_data(31).unwrap(), Some(60..70));
        assert_eq!(disk.next_data(70).unwrap(), None);
    }
}
