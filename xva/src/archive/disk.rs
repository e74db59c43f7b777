//! One disk of an archive.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Shared;
use super::entry::{Entry, Found, Window, look};
use super::map::Place;
use crate::block::Name;
use crate::checksum::{Algorithm, Digest};
use crate::error::{Error, Result};
use crate::options::Verify;
use xen_disk::ReadAt;

/// How many blocks that were read last are kept, for the small reads that follow each other.
const KEPT: usize = 4;

/// A disk of an [`Archive`](super::Archive), read anywhere. What was left out between two blocks reads as zeros.
///
/// A block is read and verified whole, whatever part of it is asked for, and the last four are kept: 4 MiB in all. With
/// [`Verify::Off`] only the bytes asked for are read.
pub struct ArchiveDisk<S> {
    pub(super) shared: Arc<Shared<S>>,
    /// Which disk of the archive it is.
    place: usize,
    id: String,
    size: u64,
    kept: Mutex<Vec<Arc<Kept>>>,
}

/// A part of a disk that is either in the archive or was left out as zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stretch {
    /// Where it starts on the disk, in bytes.
    pub offset: u64,
    /// Where it ends on the disk, in bytes.
    pub end: u64,
    /// The block that the archive has for it; otherwise it is zero. A block may be of zeros, too.
    pub block: Option<BlockPlace>,
}

impl Stretch {
    /// Whether the archive has a block for it.
    pub fn is_data(&self) -> bool {
        self.block.is_some()
    }
}

/// Where the block of a [`Stretch`] is in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockPlace {
    /// The number in its name. It counts blocks, and is no offset.
    pub number: u64,
    /// Where its header starts, in bytes from the archive's start.
    pub header: u64,
    /// Where its content starts, in bytes from the archive's start.
    pub content: u64,
}

/// Where a block is, in the archive and on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Location {
    /// Where its entry starts in the archive.
    pub(super) position: u64,
    /// From there to its content.
    head: u64,
    /// The length of the entry, its checksum's included, in bytes.
    stride: u64,
    /// The number in its name.
    pub(super) number: u64,
    /// Where it belongs on the disk.
    pub(super) offset: u64,
    pub(super) len: u64,
}

impl Location {
    /// Where the content starts in the archive.
    pub(super) fn content(&self) -> u64 {
        self.position + self.head
    }
}

/// A block with its checksum, as they are in the archive.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) location: Location,
    pub(super) data: Vec<u8>,
    pub(super) checksum: Option<Recorded>,
}

/// A checksum and where it is written.
#[derive(Debug, Clone)]
pub(super) struct Recorded {
    pub(super) position: u64,
    pub(super) algorithm: Algorithm,
    pub(super) digest: Digest,
    /// As it is spelled.
    pub(super) text: Vec<u8>,
}

impl<S: ReadAt> ArchiveDisk<S> {
    pub(super) fn new(shared: Arc<Shared<S>>, place: usize, id: &str) -> Result<Self> {
        let size = match shared.virtual_size(id) {
            Some(size) => size,
            None => {
                let mut maps = shared.lock();
                let Some(map) = maps.get_mut(place) else {
                    return Err(Error::NoSuchDisk {
                        disk: id.to_owned(),
                        there: Vec::new(),
                    });
                };
                map.complete(&shared.ground())?;
                map.end()
            }
        };
        Ok(Self {
            shared,
            place,
            id: id.to_owned(),
            size,
            kept: Mutex::default(),
        })
    }

    /// Its folder in the archive, such as `Ref:12`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Fills `buf` with the disk's bytes from `offset` on.
    ///
    /// # Errors
    /// [`Error::BeyondDisk`] where the disk ends before; [`Error::DiskShort`] where the archive does, as one that was cut
    /// off; [`Error::Checksum`] where a block is damaged; [`Error::Moved`] where a block is not where the others say it
    /// is, which a damaged archive causes.
    pub fn read(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let end = offset.checked_add(buf.len() as u64).filter(|&end| end <= self.size);
        let end = end.ok_or_else(|| self.beyond(offset))?;
        let mut at = offset;
        while at < end {
            let rest = &mut buf[(at - offset) as usize..];
            at = match self.locate(at)? {
                Ok(location) => self.read_block(location, at, rest)?,
                Err(until) => {
                    let until = until.min(end);
                    rest[..(until - at) as usize].fill(0);
                    until
                }
            };
        }
        Ok(())
    }

    fn beyond(&self, offset: u64) -> Error {
        Error::BeyondDisk {
            disk: self.id.clone(),
            offset,
            size: self.size,
        }
    }

    /// The block or the hole that the byte at `offset` is in; none where the disk ends before. Going from one to the next
    /// lists all data of the disk.
    ///
    /// # Errors
    /// Whatever makes the archive unreadable.
    pub fn stretch(&self, offset: u64) -> Result<Option<Stretch>> {
        if offset >= self.size {
            return Ok(None);
        }
        let (start, end, block) = match self.locate(offset)? {
            Ok(location) => {
                let block = BlockPlace {
                    number: location.number,
                    header: location.position,
                    content: location.content(),
                };
                (location.offset, location.offset + location.len, Some(block))
            }
            Err(until) => (offset, until, None),
        };
        Ok(Some(Stretch {
            offset: start,
            end: end.min(self.size),
            block,
        }))
    }

    /// The block that a byte is in, or where the hole around it ends.
    pub(super) fn locate(&self, offset: u64) -> Result<Result<Location, u64>> {
        let mut maps = self.shared.lock();
        let Some(map) = maps.get_mut(self.place) else {
            return Err(self.beyond(offset));
        };
        match map.find(&self.shared.ground(), offset)? {
            Place::Hole { until } => Ok(Err(until.max(offset + 1))),
            Place::Block { run, entry } => {
                let run = &map.runs[run];
                let passed = (offset - run.offset) / run.unit;
                Ok(Ok(Location {
                    position: run.position + entry * run.stride,
                    head: run.head,
                    stride: run.stride,
                    number: run.number + passed,
                    offset: run.offset + passed * run.unit,
                    len: run.unit,
                }))
            }
        }
    }

    /// Copies the part of a block from `at` on, and tells where that ends.
    fn read_block(&self, location: Location, at: u64, into: &mut [u8]) -> Result<u64> {
        let start = (at - location.offset) as usize;
        let count = into.len().min(location.len as usize - start);
        let into = &mut into[..count];
        if self.shared.options.verify == Verify::Off {
            let position = location.content() + start as u64;
            let read = self.shared.source.read_exact_at(position, into);
            read.map_err(|source| Error::ReadAt { position, source })?;
        } else {
            into.copy_from_slice(&self.block(location)?.data[start..start + count]);
        }
        Ok(at + count as u64)
    }

    /// A whole block, compared with its checksum.
    pub(super) fn block(&self, location: Location) -> Result<Arc<Kept>> {
        let known = self.kept().extract_if(.., |kept| kept.location == location).next();
        let found = match known {
            Some(found) => found,
            None => Arc::new(self.fetch(location)?),
        };
        let mut kept = self.kept();
        kept.push(Arc::clone(&found));
        let surplus = kept.len().saturating_sub(KEPT);
        kept.drain(..surplus);
        Ok(found)
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Arc<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetch(&self, location: Location) -> Result<Kept> {
        let Shared { source, size, .. } = &*self.shared;
        let position = location.position;
        let limit = self.shared.options.block_limit;
        if location.len > limit {
            return Err(Error::TooLarge {
                position,
                entry: format!("{}/{:08}", self.id, location.number),
                size: location.len,
                limit,
            });
        }
        let mut bytes = vec![0; location.stride.min(size.saturating_sub(position)) as usize];
        let failed = |source| Error::ReadAt { position, source };
        source.read_exact_at(position, &mut bytes).map_err(failed)?;
        let window = Window {
            source,
            start: position,
            bytes: &bytes,
        };
        let entry = self.entry(&window, location)?;
        let checksum = self.checksum(&window, &entry, location)?;
        let start = location.head as usize;
        let Some(content) = bytes.get(start..start + location.len as usize) else {
            return Err(Error::ReadAt {
                position,
                source: io::ErrorKind::UnexpectedEof.into(),
            });
        };
        if let Some(recorded) = &checksum
            && self.shared.options.verify == Verify::Strict
        {
            let found = recorded.algorithm.digest(content);
            if found != recorded.digest {
                return Err(Error::Checksum {
                    position,
                    disk: self.id.clone(),
                    number: location.number,
                    expected: recorded.digest,
                    found,
                });
            }
        }
        bytes.truncate(start + location.len as usize);
        bytes.drain(..start);
        Ok(Kept {
            location,
            data: bytes,
            checksum,
        })
    }

    /// The block's own header, which must say what its place says.
    fn entry(&self, window: &Window<'_, S>, location: Location) -> Result<Entry> {
        let is_it = |entry: &Entry| {
            let name = Name::Block {
                disk: &self.id,
                number: location.number,
            };
            Name::parse(&entry.name) == name && entry.size == location.len && entry.content == location.content()
        };
        match look(window, self.shared.size, location.position)? {
            Found::Entry(entry) if is_it(&entry) => Ok(entry),
            _ => Err(Error::Moved {
                position: location.position,
                disk: self.id.clone(),
            }),
        }
    }

    /// The checksum behind the block, where there is one.
    fn checksum(&self, window: &Window<'_, S>, block: &Entry, location: Location) -> Result<Option<Recorded>> {
        if block.next >= location.position + location.stride {
            return Ok(None);
        }
        let Found::Entry(entry) = look(window, self.shared.size, block.next)? else {
            return Ok(None);
        };
        let algorithm = match Name::parse(&entry.name) {
            Name::Checksum {
                disk,
                number,
                algorithm,
            } if disk == self.id && number == location.number => algorithm,
            _ => return Ok(None),
        };
        let mut text = [0; 64];
        let text = &mut text[..entry.size.min(64) as usize];
        let position = entry.content;
        let read = window.read_exact_at(position, text);
        read.map_err(|source| Error::ReadAt { position, source })?;
        let digest = algorithm.parse(text).ok_or_else(|| Error::ChecksumEntry {
            position: block.next,
            entry: entry.name.clone(),
            expected: algorithm.expected(),
        })?;
        Ok(Some(Recorded {
            position,
            algorithm,
            digest,
            text: text.to_vec(),
        }))
    }
}

/// An [`xva::Error`](crate::Error) travels inside of the [`io::Error`].
impl<S: ReadAt> ReadAt for ArchiveDisk<S> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.read(offset, buf).map_err(|error| match error {
            Error::BeyondDisk { .. } => io::Error::new(io::ErrorKind::UnexpectedEof, error),
            error => io::Error::other(error),
        })
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    /// The next block that the archive has. Finding it costs small reads of the archive's headers at most.
    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        let mut at = from;
        while let Some(stretch) = self.stretch(at).map_err(io::Error::other)? {
            if stretch.is_data() {
                return Ok(Some(stretch.offset..stretch.end));
            }
            at = stretch.end;
        }
        Ok(None)
    }
}

impl<S> fmt::Debug for ArchiveDisk<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchiveDisk")
            .field("id", &self.id)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
