//! Random access to the bytes of a disk: what every format, file system and server of this workspace meets in.
//!
//! [`ReadAt`] is what a reader asks for. Memory, files and block devices have it here; a format that keeps its blocks in
//! another order (an archive, a chain of VHDs, a connection to a server) implements two methods, and a third where it
//! knows its holes. [`WriteAt`] is for those that can be changed.
//!
//! ```
//! use xen_disk::{ReadAt, Window, WithExtents};
//!
//! let disk = WithExtents::new(vec![7u8; 4096], [512..1024]);
//! assert_eq!(disk.next_data(0)?, Some(512..1024));
//!
//! let partition = Window::new(&disk, 512, 2048);
//! let mut sector = [0u8; 512];
//! partition.read_exact_at(0, &mut sector)?;
//! assert_eq!(sector, [7; 512]);
//! assert_eq!(partition.next_data(0)?, Some(0..512));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! [`Spooled`] reads anywhere in a disk that only goes forward, such as a download.
//!
//! No runtime, no network, no `unsafe`.

mod extents;
mod file;
mod forward;
mod memory;
mod spool;
mod spooled;
mod window;

use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

pub use extents::WithExtents;
pub use forward::{Forward, RawForward, Run};
pub use spool::Spool;
pub use spooled::Spooled;
pub use window::Window;

/// A disk whose bytes can be read at any position.
///
/// Positions and lengths are bytes, never sectors. Reading takes `&self`, so one disk serves several readers at once;
/// the trait is object safe, so `&dyn ReadAt` works wherever `&impl ReadAt` does.
///
/// ```
/// use std::io;
/// use xen_disk::ReadAt;
///
/// /// A disk that is all 0xff.
/// struct Ones(u64);
///
/// impl ReadAt for Ones {
///     fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
///         let end = offset.checked_add(buf.len() as u64);
///         end.filter(|&end| end <= self.0).ok_or(io::ErrorKind::UnexpectedEof)?;
///         buf.fill(0xff);
///         Ok(())
///     }
///     fn size(&self) -> io::Result<u64> {
///         Ok(self.0)
///     }
/// }
///
/// assert_eq!(Ones(512).next_data(100)?, Some(100..512));
/// # Ok::<(), io::Error>(())
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

    /// The first stretch that ends behind `from` and can hold anything but zeros; `None` where there are only zeros up to
    /// the end. It may begin before `from`. Going on from each one's end lists all data of the disk.
    ///
    /// Unless a disk knows its holes, everything can hold data.
    ///
    /// # Errors
    /// Whatever the source reports when it is asked.
    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        let size = self.size()?;
        Ok((from < size).then_some(from..size))
    }
}

/// A disk whose bytes can be changed in place. Its size stays.
///
/// ```
/// use xen_disk::{ReadAt, WriteAt};
///
/// let mut disk = vec![0u8; 1024];
/// disk.write_all_at(510, &[0x55, 0xaa])?;
/// assert!(disk.write_all_at(1023, &[1, 2]).is_err(), "a disk does not grow");
/// assert_eq!(disk[510..512], [0x55, 0xaa]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait WriteAt: ReadAt {
    /// Puts `bytes` at `offset`, all of them.
    ///
    /// # Errors
    /// [`io::ErrorKind::WriteZero`] where the disk ends before `bytes` do, of which then none is written where the disk is
    /// memory or a [`Window`]; whatever the source itself reports.
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Returns once everything written is where a crash does not lose it.
    ///
    /// # Errors
    /// Whatever the source reports, and what it had not reported of earlier writes.
    fn flush(&mut self) -> io::Result<()>;
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

            fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
                T::next_data(self, from)
            }
        }
    )*};
}
forward!(&T, &mut T, Box<T>, Rc<T>, Arc<T>);

macro_rules! forward_writes {
    ($($pointer:ty),*) => {$(
        impl<T: WriteAt + ?Sized> WriteAt for $pointer {
            fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
                T::write_all_at(self, offset, bytes)
            }

            fn flush(&mut self) -> io::Result<()> {
                T::flush(self)
            }
        }
    )*};
}
forward_writes!(&mut T, Box<T>);
