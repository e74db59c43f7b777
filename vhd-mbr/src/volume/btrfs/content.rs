//! The content of files.

use std::io;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use xen_disk::ReadAt;

use super::cursor::Cursor;
use super::extent::{Body, Extent, Packed, PackedSource};
use super::key::{EXTENT_DATA, Key};
use super::{Btrfs, Error, Node};

/// Data is read and checked in pieces of this size.
const PIECE: usize = 1 << 20;

/// The content of a file.
pub(in crate::volume) struct Content<'v, D: ReadAt> {
    volume: &'v Btrfs<D>,
    file: Node,
    /// The compressed extent that was unpacked last, by where it begins in the file.
    unpacked: Mutex<(u64, Vec<u8>)>,
}

impl<'v, D: ReadAt> Content<'v, D> {
    pub(super) fn new(volume: &'v Btrfs<D>, file: Node) -> Self {
        Self {
            volume,
            file,
            unpacked: Mutex::default(),
        }
    }

    /// Its length in bytes.
    pub(in crate::volume) fn size(&self) -> u64 {
        self.file.inode.stat.size
    }

    /// Fills `buf` from `offset` on, all of which must be within the file.
    pub(in crate::volume) fn read(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.fill(offset, buf).map_err(invalid)
    }

    pub(super) fn fill(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        buf.fill(0);
        let end = offset + buf.len() as u64;
        let mut extents = self.volume.file_extents(&self.file, offset)?;
        while let Some(extent) = extents.next()?.filter(|extent| extent.file.start < end) {
            let (from, to) = (extent.file.start.max(offset), extent.file.end.min(end));
            if from < to {
                let part = &mut buf[(from - offset) as usize..(to - offset) as usize];
                self.copy(&extent, from - extent.file.start, part)?;
            }
        }
        Ok(())
    }

    /// Copies what an extent holds from a place in it on.
    fn copy(&self, extent: &Extent, skip: u64, part: &mut [u8]) -> Result<(), Error> {
        match &extent.body {
            Body::Hole | Body::Unwritten { .. } => {}
            Body::Inline { data, .. } => copy_from(data, skip as usize, part),
            Body::Plain { logical } => {
                for (number, piece) in (0u64..).zip(part.chunks_mut(PIECE)) {
                    let at = logical.saturating_add(skip).saturating_add(number * PIECE as u64);
                    let data = self.volume.pool.data(self.volume.sums(&self.file), at, piece.len())?;
                    piece.copy_from_slice(&data);
                }
            }
            Body::Packed(packed) => {
                let mut kept = self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.1.is_empty() || kept.0 != extent.file.start {
                    *kept = (extent.file.start, self.unpack(packed)?);
                }
                copy_from(&kept.1, packed.skip.saturating_add(skip as usize), part);
            }
        }
        Ok(())
    }

    fn unpack(&self, packed: &Packed) -> Result<Vec<u8>, Error> {
        let pool = &self.volume.pool;
        let unpack = |bytes: &[u8], place| {
            let unpacked = packed
                .compression
                .unpack(bytes, packed.unpacked, pool.sector() as usize);
            unpacked.map_err(|_| Error::damaged(place, "compressed data cannot be unpacked"))
        };
        match &packed.source {
            PackedSource::Inline { data, place } => unpack(data, *place),
            &PackedSource::At { logical, len } => {
                let place = pool.place(logical, len as u64)?;
                unpack(&pool.data(self.volume.sums(&self.file), logical, len)?, place)
            }
        }
    }

    /// The first stretch of data that ends behind `from`.
    pub(in crate::volume) fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        let find = || {
            let mut extents = self.volume.file_extents(&self.file, from)?;
            while let Some(extent) = extents.next()? {
                let file = extent.file.start..extent.file.end.min(self.size());
                let is_data = !matches!(extent.body, Body::Hole | Body::Unwritten { .. });
                if is_data && file.end > from && !file.is_empty() {
                    return Ok(Some(file));
                }
            }
            Ok(None)
        };
        find().map_err(invalid)
    }
}

fn invalid(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn copy_from(data: &[u8], skip: usize, part: &mut [u8]) {
    let data = data.get(skip..).unwrap_or_default();
    let count = data.len().min(part.len());
    part[..count].copy_from_slice(&data[..count]);
}

/// The parts of a file in order, from the one on that a place is in.
pub(super) struct Extents<'v, D> {
    cursor: Cursor<'v, D>,
    inode: u64,
}

impl<'v, D: ReadAt> Extents<'v, D> {
    pub(super) fn new(volume: &'v Btrfs<D>, file: &Node, from: u64) -> Result<Self, Error> {
        let key = Key::new(file.number, EXTENT_DATA, from);
        Ok(Self {
            cursor: Cursor::seek_before(&volume.pool, file.subvolume.tree, key)?,
            inode: file.number,
        })
    }

    pub(super) fn next(&mut self) -> Result<Option<Extent>, Error> {
        while let Some(item) = self.cursor.next()? {
            if item.key.is_of(self.inode, EXTENT_DATA) {
                return Extent::parse(&item).map(Some);
            }
            if item.key > Key::new(self.inode, EXTENT_DATA, u64::MAX) {
                break;
            }
        }
        Ok(None)
    }
}
