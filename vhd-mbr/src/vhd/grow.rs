use std::io;

use xen_disk::WriteAt;

/// A file that can be made longer, as new blocks need it.
pub trait Grow: WriteAt {
    /// Gives the file a new size. What is added reads as zeros.
    ///
    /// # Errors
    /// Whatever the file reports; a block device always does.
    fn set_size(&mut self, size: u64) -> io::Result<()>;
}

#[cfg(unix)]
impl Grow for std::fs::File {
    fn set_size(&mut self, size: u64) -> io::Result<()> {
        self.set_len(size)
    }
}

impl Grow for Vec<u8> {
    fn set_size(&mut self, size: u64) -> io::Result<()> {
        let size = usize::try_from(size).map_err(|_| io::ErrorKind::OutOfMemory)?;
        self.try_reserve(size.saturating_sub(self.len()))?;
        self.resize(size, 0);
        Ok(())
    }
}

impl<T: Grow + ?Sized> Grow for &mut T {
    fn set_size(&mut self, size: u64) -> io::Result<()> {
        T::set_size(self, size)
    }
}

impl<T: Grow + ?Sized> Grow for Box<T> {
    fn set_size(&mut self, size: u64) -> io::Result<()> {
        T::set_size(self, size)
    }
}
