use std::borrow::Cow;

use super::Error;
use xen_disk::ReadAt;

/// Where the bytes of a table come from: a whole disk, or only its beginning.
pub(super) trait Source {
    /// The `len` bytes from `offset` on.
    fn read(&self, offset: u64, len: usize) -> Result<Chunk<'_>, Error>;

    /// The disk's size in bytes, if it is known.
    fn disk_size(&self) -> Option<u64>;

    /// How many bytes from the start of the disk can be read.
    fn readable(&self) -> u64;
}

/// What reading gave.
pub(super) enum Chunk<'a> {
    /// All bytes that were asked for.
    Bytes(Cow<'a, [u8]>),
    /// The bytes lie behind what has been read of the disk.
    Unread,
    /// The bytes lie behind the end of the disk.
    BeyondEnd,
}

/// The first bytes of a disk.
pub(super) struct Prefix<'a> {
    bytes: &'a [u8],
    disk_size: Option<u64>,
}

impl<'a> Prefix<'a> {
    pub(super) fn new(bytes: &'a [u8], disk_size: Option<u64>) -> Self {
        // A stream may pad the disk's last block.
        let end = disk_size
            .and_then(|size| usize::try_from(size).ok())
            .unwrap_or(usize::MAX);
        Self {
            bytes: &bytes[..bytes.len().min(end)],
            disk_size,
        }
    }
}

impl Source for Prefix<'_> {
    fn read(&self, offset: u64, len: usize) -> Result<Chunk<'_>, Error> {
        if is_beyond(offset, len, self.disk_size) {
            return Ok(Chunk::BeyondEnd);
        }
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = self.bytes.get(start..).and_then(|rest| rest.get(..len));
        Ok(bytes.map_or(Chunk::Unread, |bytes| Chunk::Bytes(Cow::Borrowed(bytes))))
    }

    fn disk_size(&self) -> Option<u64> {
        self.disk_size
    }

    fn readable(&self) -> u64 {
        self.bytes.len() as u64
    }
}

/// A disk of which every byte can be read.
pub(super) struct Whole<'a> {
    disk: &'a dyn ReadAt,
    size: u64,
}

impl<'a> Whole<'a> {
    pub(super) fn new(disk: &'a dyn ReadAt, size: Option<u64>) -> Result<Self, Error> {
        let size = match size {
            Some(size) => size,
            None => disk.size().map_err(Error::Size)?,
        };
        Ok(Self { disk, size })
    }
}

impl Source for Whole<'_> {
    fn read(&self, offset: u64, len: usize) -> Result<Chunk<'_>, Error> {
        if is_beyond(offset, len, Some(self.size)) {
            return Ok(Chunk::BeyondEnd);
        }
        let mut bytes = vec![0; len];
        match self.disk.read_exact_at(offset, &mut bytes) {
            Ok(()) => Ok(Chunk::Bytes(bytes.into())),
            Err(source) => Err(Error::Read {
                offset,
                len: len as u64,
                source,
            }),
        }
    }

    fn disk_size(&self) -> Option<u64> {
        Some(self.size)
    }

    fn readable(&self) -> u64 {
        self.size
    }
}

fn is_beyond(offset: u64, len: usize, disk_size: Option<u64>) -> bool {
    match offset.checked_add(len as u64) {
        Some(end) => disk_size.is_some_and(|size| end > size),
        None => true,
    }
}
