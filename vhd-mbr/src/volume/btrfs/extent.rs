//! Where the parts of a file are.

use std::ops::Range;

use xen_disk::ReadAt;

use super::Error;
use super::compression::Compression;
use super::inode::Inode;
use super::node::kind;
use super::tree::{Item, Items, Space};
use crate::bytes::u64_at;
use crate::layout::{Extent, Layout, Obstacle, Place};

/// The content of an extent in its item starts here.
const INLINE: usize = 21;
const LEN: usize = 53;
/// Linux compresses so much at once, and the result is smaller.
const LARGEST_COMPRESSED: u64 = 128 << 10;
/// Parts a file may consist of for all of them to be told at once.
const MOST: usize = 1 << 21;

/// A part of a file.
pub(super) struct Part {
    pub(super) file: Range<u64>,
    pub(super) compression: Option<Compression>,
    pub(super) place: Where,
    /// How long it is when nothing is compressed.
    pub(super) raw_len: u64,
    /// Where its item is on the volume, which no other part has.
    pub(super) item: u64,
}

/// Where a part is.
pub(super) enum Where {
    Hole,
    /// In its item.
    Inline(Vec<u8>),
    /// At an address.
    Stored {
        address: u64,
        /// How much there is.
        len: u64,
        /// From which byte of it on this part is.
        from: u64,
        written: bool,
    },
}

/// The parts of a file, in order. What lies between them is a hole.
pub(super) struct Parts {
    items: Items,
    /// The end of the one before.
    end: u64,
}

impl Parts {
    /// From the last one on that starts at `offset` or before.
    pub(super) fn new<D: ReadAt>(space: &Space<D>, file: &Inode, offset: u64) -> Result<Self, Error> {
        let items = space.items(file.subvolume.root, file.number, kind::EXTENT, offset)?;
        Ok(Self { items, end: 0 })
    }

    pub(super) fn next<D: ReadAt>(&mut self, space: &Space<D>) -> Result<Option<Part>, Error> {
        let Some(item) = self.items.next(space)? else {
            return Ok(None);
        };
        let part = Part::parse(&item)?;
        if part.file.start < self.end {
            return Err(Error::damaged(part.item, "parts of a file overlap"));
        }
        self.end = part.file.end;
        Ok(Some(part))
    }
}

impl Part {
    fn parse(item: &Item) -> Result<Self, Error> {
        let (raw, start, place) = (item.bytes(), item.key.offset, item.place());
        let damaged = |what| Error::damaged(place, what);
        let Some([compression, encryption, other, other_high, form]) = raw.get(16..INLINE) else {
            return Err(damaged("a part of a file is too short"));
        };
        if [encryption, other, other_high].iter().any(|encoding| **encoding != 0) {
            return Err(Error::unsupported("to decrypt this file"));
        }
        let compression = Compression::of_type(*compression)?;
        let mut raw_len = u64_at(raw, 8);
        let (len, place) = match form {
            0 => {
                let content = raw[INLINE..].to_vec();
                if compression.is_none() {
                    raw_len = content.len() as u64;
                }
                (raw_len, Where::Inline(content))
            }
            1 | 2 if raw.len() >= LEN => {
                let stored = Where::Stored {
                    address: u64_at(raw, 21),
                    len: u64_at(raw, 29),
                    from: u64_at(raw, 37),
                    written: *form == 1,
                };
                let is_hole = u64_at(raw, 21) == 0;
                (u64_at(raw, 45), if is_hole { Where::Hole } else { stored })
            }
            _ => return Err(damaged("a part of a file is of no kind")),
        };
        let end = start.checked_add(len).ok_or(damaged("a part of a file has no end"))?;
        let part = Self {
            file: start..end,
            compression,
            place,
            raw_len,
            item: item.place(),
        };
        match part.is_possible() {
            true => Ok(part),
            false => Err(damaged("a part of a file is larger than it can be")),
        }
    }

    fn is_possible(&self) -> bool {
        let is_compressed = self.compression.is_some();
        let within = |from: u64, len: u64| {
            from.checked_add(self.file.end - self.file.start)
                .is_some_and(|end| end <= len)
        };
        match &self.place {
            Where::Hole => true,
            Where::Inline(_) => self.raw_len <= LARGEST_COMPRESSED,
            Where::Stored { len, from, .. } if is_compressed => {
                within(*from, self.raw_len) && self.raw_len.max(*len) <= LARGEST_COMPRESSED
            }
            Where::Stored { len, from, .. } => within(*from, *len),
        }
    }

    /// Where it is on the volume, as far as it is within `size` bytes of the file.
    fn extent<D: ReadAt>(&self, space: &Space<D>, size: u64) -> Result<Extent, Error> {
        let file = self.file.start..self.file.end.min(size);
        let place = match self.place {
            Where::Hole => Place::Hole,
            Where::Inline(_) => self.at(self.item + INLINE as u64),
            Where::Stored { address, len, .. } if self.compression.is_some() => {
                self.at(space.chunks.place(address, len)?)
            }
            Where::Stored {
                address,
                len,
                from,
                written,
            } => {
                let offset = space.chunks.place(address, len)? + from;
                match written {
                    true => Place::Data { offset },
                    false => Place::Unwritten { offset },
                }
            }
        };
        Ok(Extent::new(file, place))
    }

    fn at(&self, offset: u64) -> Place {
        match self.compression {
            Some(_) => Place::Encoded { offset },
            None => Place::Data { offset },
        }
    }
}

/// Where all of a file is, and what speaks against changing it there.
pub(super) fn layout<D: ReadAt>(space: &Space<D>, file: &Inode) -> Result<Layout, Error> {
    let size = file.stat.size;
    let (mut extents, mut at) = (Vec::new(), 0);
    let (mut is_compressed, mut is_inline) = (false, false);
    let mut parts = Parts::new(space, file, 0)?;
    while let Some(part) = parts.next(space)?.filter(|part| part.file.start < size) {
        if extents.len() >= MOST {
            return Err(Error::damaged(file.place, "a file consists of more than 2097152 parts"));
        }
        is_compressed |= part.compression.is_some();
        is_inline |= matches!(part.place, Where::Inline(_));
        let extent = part.extent(space, size)?;
        push(&mut extents, Extent::new(at..extent.file.start, Place::Hole));
        at = extent.file.end;
        push(&mut extents, extent);
    }
    push(&mut extents, Extent::new(at..size, Place::Hole));
    let mut layout = Layout::new(size, extents);
    let found = [
        (true, Obstacle::CopyOnWrite),
        (is_compressed, Obstacle::Compressed),
        (is_inline, Obstacle::Inline),
        (file.has_verity(), Obstacle::Verity),
        (space.superblock.has_log, Obstacle::JournalNotEmpty),
    ];
    let found = found.into_iter().filter(|(there, _)| *there);
    layout.obstacles = found.map(|(_, what)| what).collect();
    Ok(layout)
}

/// Adds what is not empty, to the last one where it goes on there.
fn push(extents: &mut Vec<Extent>, next: Extent) {
    if next.file.is_empty() {
        return;
    }
    if let Some(last) = extents.last_mut() {
        let len = last.file.end - last.file.start;
        let goes_on = match (last.place, next.place) {
            (Place::Hole, Place::Hole) => true,
            (Place::Data { offset: one }, Place::Data { offset: other })
            | (Place::Unwritten { offset: one }, Place::Unwritten { offset: other }) => {
                one.checked_add(len) == Some(other)
            }
            _ => false,
        };
        if goes_on {
            last.file.end = next.file.end;
            return;
        }
    }
    extents.push(next);
}
