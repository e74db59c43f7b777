use std::fmt;
use std::io::{self, Write};
use std::ops::Range;

use xen_disk::ReadAt;

use super::btrfs;
use crate::layout::{Layout, Place};
use crate::ntfs;

/// A file's content, read piece by piece through [`ReadAt`].
pub struct Content<'v, D: ReadAt> {
    inner: Inner<'v, D>,
}

enum Inner<'v, D: ReadAt> {
    Ntfs(ntfs::Stream<'v, D>),
    /// On the volume as it is, but for holes.
    Plain(&'v dyn ReadAt, Layout),
    Btrfs(btrfs::Content<'v, D>),
}

/// How much is copied at once.
const PIECE: u64 = 1 << 20;

impl<'v, D: ReadAt> Content<'v, D> {
    pub(super) fn ntfs(stream: ntfs::Stream<'v, D>) -> Self {
        let inner = Inner::Ntfs(stream);
        Self { inner }
    }

    pub(super) fn plain(volume: &'v dyn ReadAt, layout: Layout) -> Self {
        let inner = Inner::Plain(volume, layout);
        Self { inner }
    }

    pub(super) fn btrfs(content: btrfs::Content<'v, D>) -> Self {
        let inner = Inner::Btrfs(content);
        Self { inner }
    }

    /// The length in bytes.
    pub fn len(&self) -> u64 {
        match &self.inner {
            Inner::Ntfs(stream) => stream.len(),
            Inner::Plain(_, layout) => layout.size,
            Inner::Btrfs(content) => content.len(),
        }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes all of it to `output`, holes as zeros, and returns its length. No more than 1 MiB is in memory at a time.
    ///
    /// # Errors
    /// If the volume cannot be read or the output not be written.
    pub fn copy_to(&self, output: &mut (impl Write + ?Sized)) -> io::Result<u64> {
        let len = self.len();
        let mut piece = vec![0; PIECE.min(len) as usize];
        let mut at = 0;
        while at < len {
            let count = PIECE.min(len - at) as usize;
            self.read_exact_at(at, &mut piece[..count])?;
            output.write_all(&piece[..count])?;
            at += count as u64;
        }
        Ok(len)
    }
}

fn read_plain(volume: &dyn ReadAt, layout: &Layout, offset: u64, buf: &mut [u8]) -> io::Result<()> {
    buf.fill(0);
    let end = offset + buf.len() as u64;
    let first = layout.extents.partition_point(|extent| extent.file.end <= offset);
    for extent in layout.extents[first..]
        .iter()
        .take_while(|extent| extent.file.start < end)
    {
        let (from, to) = (extent.file.start.max(offset), extent.file.end.min(end));
        if let Place::Data { offset: place } = extent.place {
            let part = &mut buf[(from - offset) as usize..(to - offset) as usize];
            volume.read_exact_at(place + (from - extent.file.start), part)?;
        }
    }
    Ok(())
}

impl<D: ReadAt> ReadAt for Content<'_, D> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64);
        if end.is_none_or(|end| end > self.len()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match &self.inner {
            Inner::Ntfs(stream) => stream.read_exact_at(offset, buf),
            Inner::Plain(volume, layout) => read_plain(*volume, layout, offset, buf),
            Inner::Btrfs(content) => content.read(offset, buf),
        }
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len())
    }

    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        match &self.inner {
            Inner::Ntfs(stream) => stream.next_data(from),
            Inner::Plain(_, layout) => {
                let behind = layout.extents.partition_point(|extent| extent.file.end <= from);
                let mut data = layout.extents[behind..].iter();
                let data = data.find(|extent| matches!(extent.place, Place::Data { .. }));
                Ok(data.map(|extent| extent.file.clone()))
            }
            Inner::Btrfs(content) => content.next_data(from),
        }
    }
}

impl<D: ReadAt> fmt::Debug for Content<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").finish_non_exhaustive()
    }
}
