//! Reading: data by address with its checksums, and the content of files.

use std::io;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use xen_disk::ReadAt;

use super::extent::{Part, Parts, Where};
use super::inode::Inode;
use super::node::kind;
use super::tree::Space;
use super::{Btrfs, Error, Subvolume};
use crate::volume;

/// How much is read at once.
const PIECE: u64 = 1 << 20;
/// What has the checksums in their tree.
const CHECKSUMS: u64 = 10_u64.wrapping_neg();

impl<D: ReadAt> Space<D> {
    /// Fills `buf` from an address on, of whole sectors. With a tree of checksums, what does not match is an error where no
    /// copy is better.
    fn read_data(&self, checksums: Option<Subvolume>, address: u64, buf: &mut [u8]) -> Result<(), Error> {
        let sector = u64::from(self.superblock.sector);
        let wanted = address.checked_add(buf.len() as u64);
        let wanted = address..wanted.ok_or(Error::Nowhere { address })?;
        let end = wanted.end.checked_next_multiple_of(sector);
        let end = end.ok_or(Error::Nowhere { address })?;
        let mut start = address - address % sector;
        while start < end {
            let piece = start..end.min(start.saturating_add(PIECE));
            let bytes = self.read_sectors(checksums, piece.clone())?;
            let (from, to) = (piece.start.max(wanted.start), piece.end.min(wanted.end));
            let part = &mut buf[(from - address) as usize..(to - address) as usize];
            part.copy_from_slice(&bytes[(from - start) as usize..(to - start) as usize]);
            start = piece.end;
        }
        Ok(())
    }

    fn read_sectors(&self, checksums: Option<Subvolume>, addresses: Range<u64>) -> Result<Vec<u8>, Error> {
        let (start, len) = (addresses.start, addresses.end - addresses.start);
        let first = self.chunks.place(start, len)?;
        let source = self.source()?;
        let mut bytes = source.read(first, len as usize)?;
        let Some(tree) = checksums else {
            return Ok(bytes);
        };
        let (checksum, sector) = (self.superblock.checksum, self.superblock.sector as usize);
        let sums = self.checksums(tree, addresses)?;
        let others = self.chunks.places(start, len)?.skip(1);
        let sectors = bytes.chunks_exact_mut(sector).zip(sums.chunks_exact(checksum.len()));
        for (index, (bytes, sum)) in sectors.enumerate() {
            if checksum.matches(bytes, sum) {
                continue;
            }
            let at = (index * sector) as u64;
            let copies = others.clone().filter_map(|place| source.read(place + at, sector).ok());
            let whole = copies.into_iter().find(|copy| checksum.matches(copy, sum));
            let damaged = Error::damaged(first + at, "the checksum of a file's data does not match");
            bytes.copy_from_slice(&whole.ok_or(damaged)?);
        }
        Ok(bytes)
    }

    /// The checksums of whole sectors, one behind the other.
    fn checksums(&self, tree: Subvolume, addresses: Range<u64>) -> Result<Vec<u8>, Error> {
        let (sector, len) = (u64::from(self.superblock.sector), self.superblock.checksum.len());
        let mut found = Vec::new();
        let mut at = addresses.start;
        let mut items = self.items(tree.root, CHECKSUMS, kind::CHECKSUMS, at)?;
        while at < addresses.end {
            let item = items.next(self)?.filter(|item| item.key.offset <= at);
            let item = item.ok_or(Error::NoChecksum { address: at })?;
            let skip = ((at - item.key.offset) / sector) as usize;
            let wanted = ((addresses.end - at) / sector) as usize;
            let sums = item.bytes().chunks_exact(len).skip(skip).take(wanted);
            at += sums.len() as u64 * sector;
            found.extend(sums.flatten());
        }
        Ok(found)
    }
}

/// The content of a file.
pub(in super::super) struct Content<'v, D: ReadAt> {
    volume: &'v Btrfs<D>,
    file: Inode,
    /// The compressed part that was read last, by the place of its item, and what it stands for.
    last: Mutex<Option<(u64, Vec<u8>)>>,
}

impl<'v, D: ReadAt> Content<'v, D> {
    pub(super) fn new(volume: &'v Btrfs<D>, file: Inode) -> Self {
        let last = Mutex::default();
        Self { volume, file, last }
    }

    pub(in super::super) fn len(&self) -> u64 {
        self.file.stat.size
    }

    /// Fills `buf` from `offset` on, all of which must be within the file.
    pub(in super::super) fn read(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.fill(offset, buf).map_err(to_io)
    }

    pub(super) fn fill(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        let space = &self.volume.space;
        buf.fill(0);
        let end = offset + buf.len() as u64;
        let mut parts = Parts::new(space, &self.file, offset)?;
        while let Some(part) = parts.next(space)?.filter(|part| part.file.start < end) {
            let (from, to) = (part.file.start.max(offset), part.file.end.min(end));
            if from < to {
                let inside = from - part.file.start;
                self.fill_part(
                    &part,
                    inside,
                    &mut buf[(from - offset) as usize..(to - offset) as usize],
                )?;
            }
        }
        Ok(())
    }

    fn fill_part(&self, part: &Part, inside: u64, buf: &mut [u8]) -> Result<(), Error> {
        match &part.place {
            Where::Hole | Where::Stored { written: false, .. } => Ok(()),
            Where::Stored { address, from, .. } if part.compression.is_none() => {
                let address = address
                    .checked_add(from + inside)
                    .ok_or(Error::Nowhere { address: *address })?;
                self.volume.space.read_data(self.checksums()?, address, buf)
            }
            Where::Inline(content) if part.compression.is_none() => {
                buf.copy_from_slice(&content[inside as usize..inside as usize + buf.len()]);
                Ok(())
            }
            Where::Inline(content) => self.fill_decoded(part, content, inside, buf),
            Where::Stored { address, len, from, .. } => {
                if let Some((item, decoded)) = &*self.last.lock().unwrap_or_else(PoisonError::into_inner)
                    && *item == part.item
                {
                    let at = (from + inside) as usize;
                    buf.copy_from_slice(&decoded[at..at + buf.len()]);
                    return Ok(());
                }
                let mut encoded = vec![0; *len as usize];
                self.volume.space.read_data(self.checksums()?, *address, &mut encoded)?;
                self.fill_decoded(part, &encoded, from + inside, buf)
            }
        }
    }

    fn fill_decoded(&self, part: &Part, encoded: &[u8], inside: u64, buf: &mut [u8]) -> Result<(), Error> {
        let sector = self.volume.space.superblock.sector as usize;
        let len = part.raw_len as usize;
        let decoded = part
            .compression
            .and_then(|compression| compression.decode(encoded, len, sector));
        let decoded = decoded.ok_or(Error::damaged(part.item, "compressed data cannot be decompressed"))?;
        buf.copy_from_slice(&decoded[inside as usize..inside as usize + buf.len()]);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((part.item, decoded));
        Ok(())
    }

    fn checksums(&self) -> Result<Option<Subvolume>, Error> {
        match self.file.has_checksums() {
            true => self.volume.checksums().map(Some),
            false => Ok(None),
        }
    }

    /// The first stretch that ends behind `from` and is no hole.
    pub(in super::super) fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        self.data_behind(from).map_err(to_io)
    }

    fn data_behind(&self, from: u64) -> Result<Option<Range<u64>>, Error> {
        let space = &self.volume.space;
        let mut parts = Parts::new(space, &self.file, from)?;
        while let Some(part) = parts.next(space)?.filter(|part| part.file.start < self.len()) {
            let is_data = !matches!(part.place, Where::Hole | Where::Stored { written: false, .. });
            if is_data && part.file.end > from {
                return Ok(Some(part.file.start..part.file.end.min(self.len())).filter(|data| data.end > from));
            }
        }
        Ok(None)
    }
}

fn to_io(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, volume::Error::from(error))
}
