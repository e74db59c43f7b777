//! Bytes that can be read anywhere.

use std::fs::File;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

/// Bytes that can be read at any position: an archive in a file, in memory or in a bucket, or a disk to be packed.
///
/// Reading takes `&self`, so one source serves several readers at once; the trait is object safe.
///
/// ```
/// use xva::ReadAt;
///
/// let bytes = vec![7u8; 1024];
/// let mut some = [0u8; 512];
/// bytes.read_exact_at(512, &mut some)?;
/// assert_eq!(some, [7; 512]);
/// assert_eq!(bytes.size()?, 1024);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait ReadAt {
    /// Fills `buf` with the bytes from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] where the source ends before `buf` is full (its content is then unspecified),
    /// and whatever the source itself reports.
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;

    /// How many bytes there are.
    ///
    /// # Errors
    /// Whatever the source reports when it is asked.
    fn size(&self) -> io::Result<u64>;
}

impl ReadAt for [u8] {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).ok();
        let wanted = start.and_then(|start| self.get(start..)?.get(..buf.len()));
        buf.copy_from_slice(wanted.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

impl ReadAt for Vec<u8> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.as_slice().read_exact_at(offset, buf)
    }

    fn size(&self) -> io::Result<u64> {
        self.as_slice().size()
    }
}

/// Files and block devices. Asking a block device for its size moves the file's cursor, which nothing here uses.
#[cfg(unix)]
impl ReadAt for File {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        let metadata = self.metadata()?;
        if metadata.is_file() {
            return Ok(metadata.len());
        }
        // The metadata of a block device says 0.
        let mut device = self;
        io::Seek::seek(&mut device, io::SeekFrom::End(0))
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<T: ReadAt + ?Sized> ReadAt for $pointer {
            fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
                T::read_exact_at(self, offset, buf)
            }

            fn size(&self) -> io::Result<u64> {
                T::size(self)
            }
        }
    )*};
}
forward!(&T, Box<T>, Rc<T>, Arc<T>);
