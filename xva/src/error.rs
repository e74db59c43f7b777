//! What can go wrong, and where in the archive it did.

use std::fmt;

use crate::{Compression, Digest, ova::OvaError};

/// The result of reading an archive.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an archive could not be read.
///
/// `position` is always a byte offset into the archive after decompression, so it can be looked up with `zstdcat` and a
/// hex viewer; the two variants that count bytes of the source say so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The source of the bytes failed.
    #[error("cannot read the archive after {read} bytes of its source")]
    Io {
        /// Bytes of the source (still compressed) that arrived before the failure.
        read: u64,
        /// What the source said.
        source: std::io::Error,
    },
    /// The gzip or zstd stream around the archive is damaged.
    #[error("the {compression} stream is damaged near byte {read} of the source ({detail}); fetch the archive again")]
    Decompress {
        /// How the archive is compressed.
        compression: Compression,
        /// Bytes of the source (still compressed) decoded before the damage.
        read: u64,
        /// What the decoder said.
        detail: String,
    },
    /// The archive is compressed in a way that this build of the crate leaves out.
    #[error(
        "the archive is compressed with {compression}, which this build cannot read: enable the feature `{compression}`"
    )]
    CompressionDisabled {
        /// How the archive is compressed.
        compression: Compression,
    },
    /// Something else stands where a tar header was due.
    #[error("byte {position} should start a tar header but {looks_like}")]
    NotTar {
        /// Where the header was due.
        position: u64,
        /// What is there instead.
        looks_like: LooksLike,
    },
    /// A tar header or one of its extensions holds a value that makes no sense.
    #[error("the tar header at byte {position} has a bad {field}; the archive is damaged")]
    Header {
        /// Where the header starts.
        position: u64,
        /// Which field is bad.
        field: &'static str,
    },
    /// The archive holds an entry of a kind that cannot carry disk blocks faithfully.
    #[error("entry `{entry}` at byte {position} is {kind}, which is not read; pack the archive again without it")]
    UnsupportedEntry {
        /// Where the entry's header starts.
        position: u64,
        /// Its name.
        entry: String,
        /// What it is.
        kind: &'static str,
    },
    /// An entry that has to be held in memory is larger than [`Options`](crate::Options) allows.
    #[error("entry `{entry}` at byte {position} has {size} bytes, above the limit of {limit}; raise it in `Options`")]
    TooLarge {
        /// Where the entry's header starts.
        position: u64,
        /// Its name.
        entry: String,
        /// Its length in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The archive names more disks than any virtual machine has.
    #[error("byte {position} starts disk number {limit} and one more; this is no export of a virtual machine")]
    TooManyDisks {
        /// Where the disk's first entry starts.
        position: u64,
        /// How many disks are read.
        limit: usize,
    },
    /// `ova.xml` cannot be understood. Reading can go on, without names and sizes.
    #[error("cannot read the metadata (ova.xml at byte {position})")]
    Ova {
        /// Where its tar header starts.
        position: u64,
        /// What is wrong with it.
        source: OvaError,
    },
    /// A block's number is not above the one before it.
    ///
    /// xapi does this when it falls back to scanning a disk that it has begun to send; such an export is unusable.
    #[error(
        "block numbers of disk {disk} go backwards at byte {position}: {number:08} after {previous:08}; export it again"
    )]
    BlockOrder {
        /// Where the block's header starts.
        position: u64,
        /// The disk's folder.
        disk: String,
        /// The number found.
        number: u64,
        /// The number of the block before it.
        previous: u64,
    },
    /// A disk's folder comes back after another one had begun.
    #[error(
        "disk {disk} comes back at byte {position} after it had ended; the archive was packed again in another order"
    )]
    DiskReturned {
        /// Where the entry's header starts.
        position: u64,
        /// The disk's folder.
        disk: String,
    },
    /// A block lies beyond the end of its disk.
    #[error(
        "block {number:08} of disk {disk} at byte {position} ends at {end}, beyond the disk's {virtual_size} bytes"
    )]
    BeyondEnd {
        /// Where the block's header starts.
        position: u64,
        /// The disk's folder.
        disk: String,
        /// The number in the block's name.
        number: u64,
        /// Where the block would end on the disk, in bytes ([`u64::MAX`] where it cannot be counted).
        end: u64,
        /// The disk's size in bytes ([`u64::MAX`] where the metadata gives none).
        virtual_size: u64,
    },
    /// A disk ended before its last block. Reading can go on with the next disk.
    #[error("disk {disk} ends at {end} of {virtual_size} bytes (byte {position} of the archive); export it again")]
    DiskShort {
        /// Where the next disk or the end of the archive begins.
        position: u64,
        /// The disk's folder.
        disk: String,
        /// How much of the disk the archive covers, in bytes.
        end: u64,
        /// The disk's size in bytes.
        virtual_size: u64,
    },
    /// A block differs from its checksum. The block is not delivered; reading can go on behind it.
    #[error(
        "block {number:08} of disk {disk} at byte {position} is damaged: its checksum is {found}, recorded is {expected}"
    )]
    Checksum {
        /// Where the block's header starts.
        position: u64,
        /// The disk's folder.
        disk: String,
        /// The number in the block's name.
        number: u64,
        /// The checksum that the archive records.
        expected: Digest,
        /// The checksum of the bytes that are there.
        found: Digest,
    },
    /// A checksum entry does not hold a checksum.
    #[error("the checksum entry `{entry}` at byte {position} holds no {expected}; the archive is damaged")]
    ChecksumEntry {
        /// Where the entry's header starts.
        position: u64,
        /// Its name.
        entry: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// A checksum entry does not follow the block it is for: the block is missing.
    #[error("the checksum entry `{entry}` at byte {position} does not follow its block, which is missing")]
    ChecksumWithoutBlock {
        /// Where the entry's header starts.
        position: u64,
        /// Its name.
        entry: String,
    },
    /// The table of checksums at the end of an archive with an `export_vsn` below 2 cannot be read.
    #[error("cannot read the table of checksums at byte {position}")]
    ChecksumTable {
        /// Where its tar header starts.
        position: u64,
        /// What is wrong with it.
        source: OvaError,
    },
    /// The archive breaks off before everything has arrived.
    #[error("the archive is cut off at byte {position}: {truncation}; fetch it again")]
    Truncated {
        /// How many bytes there are.
        position: u64,
        /// What was going on and what is missing.
        truncation: Box<Truncation>,
    },
    /// The image that a disk is written to failed.
    #[error("cannot write the image at byte {offset}")]
    Target {
        /// Where in the image, in bytes.
        offset: u64,
        /// What the target said.
        source: std::io::Error,
    },
    /// A disk's first block was asked for after blocks of it had been read.
    #[error("the first block of disk {disk} has been read already")]
    FirstBlockPassed {
        /// The disk's folder.
        disk: String,
    },
    /// The archive cannot be read at a place.
    #[error("cannot read the archive at byte {position}")]
    ReadAt {
        /// Where.
        position: u64,
        /// What the source said.
        source: std::io::Error,
    },
    /// A compressed archive cannot be read anywhere but from its start.
    #[error(
        "the archive is compressed with {compression}, so nobody knows where its blocks are: decompress it first, or \
         read it from its start (`xva::Reader`)"
    )]
    Compressed {
        /// How the archive is compressed.
        compression: Compression,
    },
    /// The archive does not begin with `ova.xml`, as every export does.
    #[error("the archive does not begin with ova.xml; read it with `Reader`, or pack it again")]
    NoMetadata,
    /// The archive has no such disk.
    #[error("the archive has no disk {disk}, only {}", list(there))]
    NoSuchDisk {
        /// The folder that was asked for.
        disk: String,
        /// The folders that are there.
        there: Vec<String>,
    },
    /// More of a disk was asked for than it has.
    #[error("byte {offset} and what was asked for from there on is beyond the end of disk {disk}, of {size} bytes")]
    BeyondDisk {
        /// The disk's folder.
        disk: String,
        /// Where reading began.
        offset: u64,
        /// The disk's size in bytes.
        size: u64,
    },
    /// More of a disk has come than its spool may hold.
    #[error(
        "the spool of disk {disk} has reached its limit of {limit} bytes; allow it more, or ask for what lies nearer to the disk's start"
    )]
    SpoolFull {
        /// The disk's folder.
        disk: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// A block is not where the others tell that it is.
    #[error("byte {position} should start a block of disk {disk}; the archive is damaged or has changed: verify it")]
    Moved {
        /// Where a block was expected.
        position: u64,
        /// The disk's folder.
        disk: String,
    },
    /// An index is of another archive.
    #[error("the index is of an archive of {indexed} bytes, and this one has {size}; delete the index")]
    ForeignIndex {
        /// The length that the index is for.
        indexed: u64,
        /// The length that there is.
        size: u64,
    },
    /// Bytes cannot be changed in place, as the archive has no block for them: they are zeros that were left out.
    #[error("byte {offset} of disk {disk} is in a block of zeros that was left out; pack the archive again")]
    Absent {
        /// The disk's folder.
        disk: String,
        /// Where on the disk.
        offset: u64,
    },
    /// Bytes cannot be changed in place, as their block's checksum does not stand behind it.
    #[error("the block at byte {offset} of disk {disk} has no checksum of its own behind it; pack the archive again")]
    ChecksumElsewhere {
        /// The disk's folder.
        disk: String,
        /// Where the block begins on the disk.
        offset: u64,
    },
    /// Reading was tried again after an error with no way forward.
    #[error("reading the archive failed before; start over")]
    AlreadyFailed,
}

impl Error {
    /// Whether reading can go on after this error, with the next block, disk or entry.
    ///
    /// This is so for a damaged block, a disk that is too short and metadata that cannot be understood.
    pub fn is_recoverable(&self) -> bool {
        matches!(
            self,
            Self::Checksum { .. } | Self::DiskShort { .. } | Self::Ova { .. } | Self::FirstBlockPassed { .. }
        )
    }
}

impl Error {
    /// The same of a part of an archive that starts at `start`.
    pub(crate) fn moved_by(mut self, start: u64) -> Self {
        if let Self::NotTar { position, .. }
        | Self::Header { position, .. }
        | Self::UnsupportedEntry { position, .. }
        | Self::TooLarge { position, .. } = &mut self
        {
            *position = position.saturating_add(start);
        }
        self
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none at all".to_owned();
    }
    names.join(", ")
}

/// What a truncated archive was doing and what never arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Truncation {
    /// Where in the tar structure the bytes end.
    pub place: Place,
    /// The disk that was being sent and is not complete.
    pub disk: Option<DiskProgress>,
    /// Folders of the disks of which nothing arrived, as far as the metadata tells.
    pub missing: Vec<String>,
}

impl fmt::Display for Truncation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)?;
        if let Some(DiskProgress { id, end, virtual_size }) = &self.disk {
            match virtual_size {
                Some(size) => write!(f, "; disk {id} ended at {end} of {size} bytes")?,
                None => write!(f, "; disk {id} ended at {end} bytes")?,
            }
        }
        if !self.missing.is_empty() {
            write!(f, "; never arrived: {}", self.missing.join(", "))?;
        }
        Ok(())
    }
}

/// How far a disk came.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskProgress {
    /// The disk's folder.
    pub id: String,
    /// How much of it arrived, in bytes and holes included.
    pub end: u64,
    /// Its size in bytes, where the metadata gives one.
    pub virtual_size: Option<u64>,
}

/// Where in the tar structure the bytes end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// Inside the 512 bytes of a tar header, after so many of them.
    Header {
        /// Bytes of the header that are there.
        got: u64,
    },
    /// Inside an entry's content.
    Entry {
        /// The entry's name.
        name: String,
        /// Bytes of its content that are there.
        got: u64,
        /// Its length in bytes.
        size: u64,
    },
    /// Between two entries, where the two zero blocks should stand at the latest.
    AfterEntry {
        /// The last complete entry.
        name: String,
    },
    /// There was nothing at all.
    Empty,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header { got } => write!(f, "only {got} of 512 bytes of a tar header are there"),
            Self::Entry { name, got, size } => write!(f, "only {got} of {size} bytes of `{name}` are there"),
            Self::AfterEntry { name } => write!(f, "it ends without its two zero blocks after `{name}`"),
            Self::Empty => f.write_str("it is empty"),
        }
    }
}

/// What stands where a tar header was due.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LooksLike {
    /// An HTTP reply: the server failed after it had begun to send. Holds the status line.
    HttpReply(String),
    /// XML or HTML.
    Markup,
    /// Another well-known kind of file.
    File(&'static str),
    /// Nothing known: damaged, or no archive at all.
    Unknown,
}

impl LooksLike {
    /// Guesses from the first bytes.
    pub(crate) fn guess(bytes: &[u8]) -> Self {
        const MAGIC: [(&[u8], &str); 7] = [
            (b"conectix", "a VHD image"),
            (b"cxsparse", "a VHD image"),
            (b"vhdxfile", "a VHDX image"),
            (b"QFI\xfb", "a qcow2 image"),
            (b"KDMV", "a VMDK image"),
            (b"PK\x03\x04", "a zip file"),
            (b"\xfd7zXZ", "an xz stream"),
        ];
        if bytes.starts_with(b"HTTP/") {
            let line = bytes
                .split(|b| matches!(b, b'\r' | b'\n' | 0))
                .next()
                .unwrap_or_default();
            let line = String::from_utf8_lossy(&line[..line.len().min(80)]);
            return Self::HttpReply(line.chars().filter(|c| !c.is_control()).collect());
        }
        if let Some((_, name)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
            return Self::File(name);
        }
        match bytes.iter().find(|b| !b.is_ascii_whitespace()) {
            Some(b'<') => Self::Markup,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for LooksLike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HttpReply(line) => write!(f, "an HTTP reply stands there ({line}): the server gave up sending"),
            Self::Markup => f.write_str("XML or HTML stands there; look at it for the server's message"),
            Self::File(name) => write!(f, "{name} stands there"),
            Self::Unknown => f.write_str("its checksum does not hold; the archive is damaged or is none"),
        }
    }
}
