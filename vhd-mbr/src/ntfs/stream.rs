use std::fmt;
use std::io;
use std::ops::Range;

use xen_disk::ReadAt;

use super::Error;
use super::mapped::Mapped;
use super::record::Resident;
use super::volume::Ntfs;
use crate::layout::{Extent, Place};

/// The bytes of a stream, read through [`ReadAt`].
///
/// What Windows has not written yet reads as zeros, as do holes; compressed streams read as what they stand for. The
/// unit decoded last is kept, so reading in order decodes each once.
pub struct Stream<'v, D> {
    volume: &'v Ntfs<D>,
    content: Content,
}

pub(super) enum Content {
    Resident(Resident),
    Mapped(Mapped),
}

impl<'v, D: ReadAt> Stream<'v, D> {
    pub(super) fn new(volume: &'v Ntfs<D>, content: Content) -> Self {
        Self { volume, content }
    }

    /// The length in bytes.
    pub fn len(&self) -> u64 {
        match &self.content {
            Content::Resident(resident) => resident.value.len() as u64,
            Content::Mapped(mapped) => mapped.size,
        }
    }

    /// The record that holds it, where it is in one.
    pub(super) fn in_record(&self) -> Option<u64> {
        match &self.content {
            Content::Resident(resident) => Some(resident.record),
            Content::Mapped(_) => None,
        }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` from `offset` on, all of which must be within the stream.
    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        match &self.content {
            Content::Resident(resident) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let bytes = start
                    .checked_add(buf.len())
                    .and_then(|end| resident.value.get(start..end));
                let bytes = bytes.ok_or_else(|| Error::Read {
                    offset,
                    len: buf.len() as u64,
                    source: io::ErrorKind::UnexpectedEof.into(),
                })?;
                buf.copy_from_slice(bytes);
                Ok(())
            }
            Content::Mapped(mapped) => mapped.read(self.volume.disk(), offset, buf),
        }
    }

    /// Where the byte `offset` is on the volume, to tell of it.
    pub(super) fn position(&self, offset: u64) -> u64 {
        match &self.content {
            Content::Resident(resident) => {
                let record = resident.record * self.volume.boot().record_size as u64;
                self.volume.mft().position(record)
            }
            Content::Mapped(mapped) => mapped.position(offset),
        }
    }

    /// Where its bytes are, neighbours joined.
    pub(super) fn extents(&self) -> Vec<Extent> {
        let mut extents = Vec::new();
        match &self.content {
            Content::Resident(resident) => {
                let mft = self.volume.mft();
                let record = resident.record * self.volume.boot().record_size as u64;
                let mut at = 0;
                for place in &resident.places {
                    let mut from = record + place.start as u64;
                    let end = record + place.end as u64;
                    // A record can lie in two pieces of $MFT.
                    while let Some((place, len)) = mft.place(from).filter(|_| from < end) {
                        let len = len.min(end - from);
                        join(&mut extents, Extent::new(at..at + len, place));
                        at += len;
                        from += len;
                    }
                }
            }
            Content::Mapped(mapped) => {
                let mut at = 0;
                while let Some((place, len)) = mapped.place(at) {
                    join(&mut extents, Extent::new(at..at + len, place));
                    at += len;
                }
            }
        }
        extents
    }

    fn place(&self, offset: u64) -> Option<(Place, u64)> {
        match &self.content {
            Content::Resident(_) => {
                let left = self.len().checked_sub(offset).filter(|&left| left > 0)?;
                Some((Place::Data { offset: 0 }, left))
            }
            Content::Mapped(mapped) => mapped.place(offset),
        }
    }
}

/// Appends `next`, to the last extent where it follows that on the volume too.
fn join(extents: &mut Vec<Extent>, next: Extent) {
    if let Some(last) = extents.last_mut() {
        let len = last.file.end - last.file.start;
        let follows = match (last.place, next.place) {
            (Place::Data { offset }, Place::Data { offset: then })
            | (Place::Unwritten { offset }, Place::Unwritten { offset: then }) => offset + len == then,
            (Place::Hole, Place::Hole) => true,
            _ => false,
        };
        if follows {
            last.file.end = next.file.end;
            return;
        }
    }
    extents.push(next);
}

impl<D: ReadAt> ReadAt for Stream<'_, D> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64);
        if end.is_none_or(|end| end > self.len()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.read(offset, buf)?)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len())
    }

    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        let mut at = from;
        while let Some((place, len)) = self.place(at) {
            if matches!(place, Place::Data { .. } | Place::Encoded { .. }) {
                return Ok(Some(at..at + len));
            }
            at += len;
        }
        Ok(None)
    }
}

impl<D> fmt::Debug for Stream<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.content {
            Content::Resident(_) => "resident",
            Content::Mapped(_) => "in clusters",
        };
        f.debug_tuple("Stream").field(&kind).finish()
    }
}
