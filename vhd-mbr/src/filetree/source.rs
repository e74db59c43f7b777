use std::io;

use xen_disk::ReadAt;

/// The volume could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It could not be asked for its size.
    #[error("cannot tell the size of the volume")]
    Size(#[source] io::Error),
    /// Some of its bytes could not be read.
    #[error("cannot read {len} bytes at byte {offset} of the volume")]
    Bytes {
        /// Where reading started.
        offset: u64,
        /// How many bytes were wanted.
        len: u64,
        /// What the disk reported.
        source: io::Error,
    },
}

/// A volume whose bytes are asked for by numbers that nobody has checked.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    disk: &'a dyn ReadAt,
    size: u64,
}

impl<'a> Source<'a> {
    pub(crate) fn new(disk: &'a dyn ReadAt) -> Result<Self, ReadError> {
        let size = disk.size().map_err(ReadError::Size)?;
        Ok(Self { disk, size })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The `len` bytes from `offset` on. Nothing is allocated for bytes that are not there.
    pub(crate) fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, ReadError> {
        let failed = |source| ReadError::Bytes {
            offset,
            len: len as u64,
            source,
        };
        let end = offset.checked_add(len as u64);
        if end.is_none_or(|end| end > self.size) {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        let mut bytes = vec![0; len];
        self.disk.read_exact_at(offset, &mut bytes).map_err(failed)?;
        Ok(bytes)
    }
}
