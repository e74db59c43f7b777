//! Image files and block devices.
#![cfg(unix)]

use std::fs::File;
use std::io;
#[cfg(target_os = "linux")]
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::{ReadAt, WriteAt};

/// Image files and block devices. Asking a block device for its size, or any file for its holes, moves the file's cursor,
/// which nothing here uses.
///
/// On Linux the holes of a sparse file are known from its file system.
impl ReadAt for File {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        FileExt::read_exact_at(self, buf, offset)
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

    #[cfg(target_os = "linux")]
    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        let size = self.size()?;
        if from >= size {
            return Ok(None);
        }
        holes::next_data(self, from, size)
    }
}

/// A file's end stays where it is; to move it is up to its owner.
impl WriteAt for File {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = offset.checked_add(bytes.len() as u64);
        if end.is_none_or(|end| !self.size().is_ok_and(|size| end <= size)) {
            return Err(io::ErrorKind::WriteZero.into());
        }
        FileExt::write_all_at(self, bytes, offset)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

#[cfg(target_os = "linux")]
mod holes {
    use std::fs::File;
    use std::io;
    use std::ops::Range;

    use rustix::fs::{SeekFrom, seek};
    use rustix::io::Errno;

    /// The first stretch of data behind `from`. What the file system cannot tell counts as data.
    pub(super) fn next_data(file: &File, from: u64, size: u64) -> io::Result<Option<Range<u64>>> {
        let start = match seek(file, SeekFrom::Data(from)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(None),
            // Block devices and old file systems do not answer.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some(from..size)),
            Err(error) => return Err(error.into()),
        };
        if start >= size {
            return Ok(None);
        }
        let end = seek(file, SeekFrom::Hole(start))?;
        Ok(Some(start..end.min(size)))
    }
}
