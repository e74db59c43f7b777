//! Random access to the bytes of a disk.
//!
//! [`ReadAt`] is what every reader in this crate asks for: memory, files and block devices have it here, and a format
//! that keeps its blocks in another order (an archive, a VHD chain, a connection to a server) implements two methods.

use std::fs::File;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

/// A disk whose bytes can be read at any position.
///
/// Positions and lengths are bytes, never sectors. Reading takes `&self`, so one disk serves several readers at once;
/// the trait is object safe, so `&dyn ReadAt` works wherever `&impl ReadAt` does.
///
/// ```
/// use vhd_mbr::disk::ReadAt;
///
/// let disk = vec![7u8; 1024];
/// let mut sector = [0u8; 512];
/// disk.read_exact_at(512, &mut sector)?;
/// assert_eq!(sector, [7; 512]);
/// assert_eq!(disk.size()?, 1024);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait ReadAt {
    /// Fills `buf` with the disk's bytes from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] where the disk ends before `buf` is full (its content is then unspecified), and
    /// whatever the source itself reports.
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;

    /// The disk's size in bytes.
    ///
    /// # Errors
    /// Whatever the source reports when it is asked.
    fn size(&self) -> io::Result<u64>;
}

impl ReadAt for [u8] {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let wanted = usize::try_from(offset)
            .ok()
            .and_then(|start| self.get(start..)?.get(..buf.len()))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(wanted);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

impl<const N: usize> ReadAt for [u8; N] {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.as_slice().read_exact_at(offset, buf)
    }

    fn size(&self) -> io::Result<u64> {
        self.as_slice().size()
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

/// Image files and block devices. Asking a block device for its size moves the file's cursor, which nothing here uses.
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

/// A part of a disk that is a disk itself: one partition, or an image inside a larger file.
///
/// ```
/// use vhd_mbr::disk::{ReadAt, Window};
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

impl<D: ReadAt> ReadAt for Window<D> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let inside = offset.checked_add(buf.len() as u64).is_some_and(|end| end <= self.len);
        match self.start.checked_add(offset) {
            Some(position) if inside => self.disk.read_exact_at(position, buf),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len)
    }
}
