//! The disks of version 0.1.

use std::fmt;
use std::io::{self, Read, Write};

use super::{Appliance, Image};
use crate::compression::{Compression, Decoder};
use crate::error::Error;
use crate::inspect::{Entry, Walk, WalkStep};
use crate::ova::{self, OvaError};

/// No genuine metadata of this version is longer.
const METADATA_LIMIT: u64 = 4 << 20;

/// Compressed bytes are decoded in pieces of this size.
const PIECE: usize = 64 << 10;

/// Why an archive of version 0.1 could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkedError {
    /// The source failed, or the stream around the archive is damaged.
    #[error(transparent)]
    Source(#[from] Error),
    /// The first entry is not `ova.xml`, or longer than any genuine one.
    #[error("the archive does not begin with an ova.xml of version 0.1")]
    NotChunked,
    /// `ova.xml` is not that of version 0.1. [`Reader`](crate::Reader) reads the newer ones.
    #[error("the metadata is not of version 0.1")]
    Metadata(#[from] OvaError),
    /// A tar header does not hold.
    #[error("byte {position} should start a tar header; the archive is damaged")]
    Header {
        /// Where it was due.
        position: u64,
    },
    /// A chunk is no whole gzip member.
    #[error("`{chunk}` at byte {position} of the archive cannot be unpacked ({detail})")]
    Chunk {
        /// The entry.
        chunk: String,
        /// Where reading it stopped.
        position: u64,
        /// What is wrong.
        detail: String,
    },
    /// Chunks do not follow each other.
    #[error("`{chunk}` comes after `{previous}`; the archive was packed again in another order")]
    Order {
        /// The entry.
        chunk: String,
        /// The entry before it.
        previous: String,
    },
    /// A disk is not as long as the metadata says.
    #[error("disk {disk} has {found} bytes or more and should have {expected}")]
    Size {
        /// The disk's name.
        disk: String,
        /// Its length in the metadata.
        expected: u64,
        /// What was unpacked up to then.
        found: u64,
    },
    /// The image that a disk is written to failed.
    #[error("cannot write the image")]
    Target(#[source] io::Error),
}

type Result<T> = std::result::Result<T, ChunkedError>;

/// Reads an archive of version 0.1 from front to back; see [the module](super) for an example.
pub struct Reader<R> {
    walk: Walk<R>,
    appliance: Appliance,
    /// An entry that was seen and not used.
    offered: Option<Entry>,
    current: Option<Current>,
}

/// The disk at hand.
struct Current {
    /// Index into the appliance's disks.
    image: usize,
    chunk: Option<Chunk>,
    last: String,
    unpacked: u64,
    over: bool,
}

struct Chunk {
    entry: Entry,
    left: u64,
    decoder: Decoder,
}

impl<R> fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("appliance", &self.appliance)
            .finish_non_exhaustive()
    }
}

impl<R: Read> Reader<R> {
    /// Reads the metadata.
    ///
    /// # Errors
    /// Where the source fails, or the archive is none of version 0.1.
    pub fn new(source: R) -> Result<Self> {
        let mut walk = Walk::new(source);
        let first = next_entry(&mut walk)?;
        let is_metadata =
            |entry: &Entry| entry.name.trim_start_matches("./") == "ova.xml" && entry.size <= METADATA_LIMIT;
        let entry = first.filter(is_metadata).ok_or(ChunkedError::NotChunked)?;
        let mut text = Vec::new();
        walk.content(entry.size, &mut text);
        Ok(Self {
            walk,
            appliance: Appliance::parse(ova::utf8(&text)?)?,
            offered: None,
            current: None,
        })
    }

    /// The machines and disks that the metadata describes.
    pub fn appliance(&self) -> &Appliance {
        &self.appliance
    }

    /// Goes to the next disk, passing over what is left of the one before, or gives `None` after the last.
    ///
    /// # Errors
    /// Where the source fails or the archive is damaged.
    pub fn next_disk(&mut self) -> Result<Option<Disk<'_, R>>> {
        let left = self.current.take();
        let before = left
            .as_ref()
            .filter(|current| !current.over)
            .map(|current| current.image);
        if let Some(chunk) = left.and_then(|current| current.chunk) {
            self.skip(chunk.left, chunk.entry.size);
        }
        while let Some(entry) = self.next()? {
            match self.image_of(&entry).filter(|&image| Some(image) != before) {
                Some(image) => {
                    self.offered = Some(entry);
                    self.current = Some(Current {
                        image,
                        chunk: None,
                        last: String::new(),
                        unpacked: 0,
                        over: false,
                    });
                    return Ok(Some(Disk { reader: self }));
                }
                None => self.skip(entry.size, entry.size),
            }
        }
        Ok(None)
    }

    fn next(&mut self) -> Result<Option<Entry>> {
        match self.offered.take() {
            Some(entry) => Ok(Some(entry)),
            None => next_entry(&mut self.walk),
        }
    }

    /// Which disk an entry is part of.
    fn image_of(&self, entry: &Entry) -> Option<usize> {
        let (folder, _) = entry.name.trim_start_matches("./").rsplit_once('/')?;
        let of_disk = |image: &Image| image.folder == folder;
        self.appliance.vdis.iter().position(of_disk).filter(|_| entry.regular)
    }

    /// Passes over what is left of an entry.
    fn skip(&mut self, left: u64, size: u64) {
        let padding = size.next_multiple_of(512) - size;
        self.walk.window.each_piece(left.saturating_add(padding), |_, _| {});
    }

    /// Unpacks the next bytes of the disk at hand; none at its end.
    fn unpack(&mut self, target: &mut [u8]) -> Result<usize> {
        loop {
            let Some(current) = self
                .current
                .as_mut()
                .filter(|current| !current.over && !target.is_empty())
            else {
                return Ok(0);
            };
            let Some(chunk) = &mut current.chunk else {
                self.next_chunk()?;
                continue;
            };
            let position = self.walk.window.position();
            let piece = self.walk.window.peek(chunk.left.min(PIECE as u64) as usize);
            let is_last = piece.len() as u64 == chunk.left;
            let broken = |detail: String| ChunkedError::Chunk {
                chunk: chunk.entry.name.clone(),
                position,
                detail,
            };
            let (consumed, produced) = chunk.decoder.decode(piece, is_last, target).map_err(broken)?;
            if chunk.decoder.is_behind() && consumed > 0 {
                return Err(broken("bytes follow the gzip member".to_owned()));
            }
            self.walk.window.consume(consumed);
            chunk.left -= consumed as u64;
            if produced > 0 {
                current.unpacked = current.unpacked.saturating_add(produced as u64);
                let image = &self.appliance.vdis[current.image];
                return match image.size.filter(|&size| current.unpacked > size) {
                    Some(expected) => Err(wrong_size(image, expected, current.unpacked)),
                    None => Ok(produced),
                };
            }
            if consumed == 0 {
                if chunk.left > 0 || chunk.decoder.is_inside() {
                    let failure = self.walk.window.take_failure().map(ChunkedError::Source);
                    return Err(failure.unwrap_or_else(|| ChunkedError::Chunk {
                        chunk: chunk.entry.name.clone(),
                        position,
                        detail: "it is cut off".to_owned(),
                    }));
                }
                let size = chunk.entry.size;
                current.chunk = None;
                self.skip(0, size);
            }
        }
    }

    /// Goes to the next chunk of the disk at hand, or finds that it is over.
    fn next_chunk(&mut self) -> Result<()> {
        let entry = self.next()?;
        let image = entry.as_ref().and_then(|entry| self.image_of(entry));
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        match entry {
            Some(entry) if image == Some(current.image) => {
                if entry.name <= current.last {
                    return Err(ChunkedError::Order {
                        chunk: entry.name,
                        previous: std::mem::take(&mut current.last),
                    });
                }
                let decoder = Compression::Gzip.decoder().ok_or(Error::CompressionDisabled {
                    compression: Compression::Gzip,
                })?;
                current.last.clone_from(&entry.name);
                let left = entry.size;
                current.chunk = Some(Chunk { entry, left, decoder });
            }
            other => {
                self.offered = other;
                current.over = true;
                let image = &self.appliance.vdis[current.image];
                if let Some(expected) = image.size.filter(|&size| size != current.unpacked) {
                    return Err(wrong_size(image, expected, current.unpacked));
                }
            }
        }
        Ok(())
    }
}

fn wrong_size(image: &Image, expected: u64, found: u64) -> ChunkedError {
    ChunkedError::Size {
        disk: image.name.clone(),
        expected,
        found,
    }
}

fn next_entry<R: Read>(walk: &mut Walk<R>) -> Result<Option<Entry>> {
    loop {
        match walk.next() {
            WalkStep::Entry(entry) => return Ok(Some(entry)),
            WalkStep::LoneZeroBlock { .. } => {}
            WalkStep::Bad { position } => return Err(ChunkedError::Header { position }),
            WalkStep::End => return Ok(None),
            WalkStep::Over { got } => {
                let position = walk.position();
                return match walk.window.take_failure() {
                    Some(error) => Err(error.into()),
                    None if got > 0 => Err(ChunkedError::Header { position }),
                    None => Ok(None),
                };
            }
        }
    }
}

/// The disk at which a [`Reader`] stands. Reading it gives the raw disk, holes and all.
///
/// An error of [`Read`] has a [`ChunkedError`] inside.
pub struct Disk<'a, R> {
    reader: &'a mut Reader<R>,
}

impl<R> fmt::Debug for Disk<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("reader", &self.reader).finish()
    }
}

impl<R: Read> Disk<'_, R> {
    /// What the metadata tells about the disk.
    pub fn image(&self) -> &Image {
        let index = self.reader.current.as_ref().map_or(0, |current| current.image);
        &self.reader.appliance.vdis[index]
    }

    /// Writes the rest of the disk and gives its length in bytes; the metadata's length is checked.
    ///
    /// # Errors
    /// Where the source or the target fails, the archive is damaged, or the disk is longer or shorter than it should be.
    pub fn copy_to(&mut self, target: &mut impl Write) -> Result<u64> {
        let mut piece = vec![0; PIECE];
        let mut len = 0;
        loop {
            let count = self.reader.unpack(&mut piece)?;
            if count == 0 {
                return Ok(len);
            }
            target.write_all(&piece[..count]).map_err(ChunkedError::Target)?;
            len += count as u64;
        }
    }
}

impl<R: Read> Read for Disk<'_, R> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        self.reader.unpack(target).map_err(io::Error::other)
    }
}
