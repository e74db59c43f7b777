use std::fmt;
use std::io;

use crate::Guid;

/// Why a VHD cannot be read, written or made. Positions are bytes from the start of the file, or of the disk where the
/// text says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither end of the file holds a footer.
    #[error("no VHD: at the end of the file, {end}; at its start, {start}")]
    NoFooter {
        /// What is wrong at the end.
        end: Problem,
        /// What is wrong at the start, where all but fixed disks have a copy.
        start: Problem,
    },
    /// A part that nothing can replace is damaged.
    #[error("the {part} of the VHD at byte {offset} is damaged: {problem}")]
    Damaged {
        /// Which part.
        part: Part,
        /// Where it starts.
        offset: u64,
        /// What is wrong with it.
        problem: Problem,
    },
    /// The table says that a block lies where the file has already ended.
    #[error(
        "block {block} of the VHD should be at byte {offset}, but the file has only {size} bytes: it was cut off, and \
         {} bytes of the disk are lost", .len
    )]
    BlockOutside {
        /// Which block.
        block: u32,
        /// Where it should be.
        offset: u64,
        /// How many bytes of the disk it holds.
        len: u64,
        /// The file's size.
        size: u64,
    },
    /// A differencing disk was read where its parent has the data.
    #[error("the disk's bytes from {offset} on are in its parent {parent}, which has not been given")]
    NoParent {
        /// Where in the disk.
        offset: u64,
        /// The id of the parent.
        parent: Guid,
    },
    /// The parent that was given is not the one that the disk was made from.
    #[error(
        "the disk was made from parent {expected}, not from {found}; where that is right all the same, as with exports \
         of xapi, give the parent without the check"
    )]
    WrongParent {
        /// The id that the child names.
        expected: Guid,
        /// The id that was found.
        found: Guid,
    },
    /// A write in place met bytes that the file does not hold.
    #[error(
        "cannot write in place: the disk's bytes from {offset} on are not in this VHD; they need a new block, which only a \
         disk opened for allocating writes takes"
    )]
    NotPresent {
        /// Where in the disk.
        offset: u64,
    },
    /// The disk is the parent of others, which a change would damage.
    #[error("this VHD must not be changed: others are built on it, and would change with it")]
    HasChildren,
    /// A block is where another one or a table is, so that writing would change more than the disk there.
    #[error(
        "block {block} at byte {offset} lies over another block or the file's tables; check the file, and make another of it"
    )]
    Misplaced {
        /// Which block.
        block: u32,
        /// Where it is in the file, in bytes.
        offset: u64,
    },
    /// A new block can be added only to a file that is in order.
    #[error("cannot add a block to this VHD: {reason}; check it, and repair it first")]
    CannotGrow {
        /// What is in the way.
        reason: &'static str,
    },
    /// A disk is larger than a VHD can be.
    #[error("a disk of {size} bytes does not fit into a VHD; {limit} bytes are the most")]
    TooLarge {
        /// Its size.
        size: u64,
        /// The largest that fits.
        limit: u64,
    },
    /// A disk is larger than what it should be written to.
    #[error("the disk has {needed} bytes, but the target only {size}; make it larger first")]
    TargetTooSmall {
        /// The disk's size.
        needed: u64,
        /// The target's size.
        size: u64,
    },
    /// A difference alone is no disk.
    #[error("this VHD holds only the difference from its parent {parent}; apply it to a copy of that")]
    NeedsBase {
        /// The id of the parent.
        parent: Guid,
    },
    /// A stream ended too early.
    #[error("the stream ended after {position} bytes, within the {part}: it was cut off")]
    Truncated {
        /// How many bytes came.
        position: u64,
        /// What was being read.
        part: Part,
    },
    /// A part of a stream lies before what has been read already.
    #[error(
        "the {part} of the VHD is at byte {offset}, but the stream is already at byte {position}; save it to a file first"
    )]
    Backwards {
        /// What was wanted.
        part: Part,
        /// Where it is.
        offset: u64,
        /// Where the stream is.
        position: u64,
    },
    /// The stream does not start as that of a dynamic or differencing disk.
    #[error("no VHD that can be read as a stream: {0}; a fixed VHD shows what it is only at its end")]
    NotStreamable(Problem),
    /// The source could not be asked for its size.
    #[error("cannot tell the size of the source")]
    Size(#[source] io::Error),
    /// The source could not be read.
    #[error("cannot read {len} bytes at byte {offset}")]
    Read {
        /// Where reading started.
        offset: u64,
        /// How many bytes were wanted.
        len: u64,
        /// What the source reported.
        source: io::Error,
    },
    /// The parent of a differencing disk could not be read.
    #[error("cannot read {len} bytes at byte {offset} of the parent disk")]
    Parent {
        /// Where reading started, in the disk.
        offset: u64,
        /// How many bytes were wanted.
        len: u64,
        /// What the parent reported.
        source: io::Error,
    },
    /// The target could not be written.
    #[error("cannot write at byte {offset}")]
    Write {
        /// Where writing started.
        offset: u64,
        /// What the target reported.
        source: io::Error,
    },
}

impl From<Error> for io::Error {
    /// Keeps the kind where the error has one, so that callers of [`ReadAt`](xen_disk::ReadAt) see the difference.
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Size(source)
            | Error::Read { source, .. }
            | Error::Parent { source, .. }
            | Error::Write { source, .. } => source.kind(),
            Error::BlockOutside { .. } | Error::Truncated { .. } => io::ErrorKind::UnexpectedEof,
            Error::HasChildren => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// A part of a VHD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// The footer at the end of the file.
    Footer,
    /// Its copy at the start of the file.
    FooterCopy,
    /// The header of a dynamic or differencing disk.
    Header,
    /// The block allocation table.
    BlockTable,
    /// The map of the blocks that are there as a whole.
    Batmap,
    /// A block, with its bitmap.
    Block(u32),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Footer => f.write_str("footer"),
            Self::FooterCopy => f.write_str("footer's copy"),
            Self::Header => f.write_str("header"),
            Self::BlockTable => f.write_str("block table"),
            Self::Batmap => f.write_str("batmap"),
            Self::Block(number) => write!(f, "block {number}"),
        }
    }
}

/// What is wrong with a part of a VHD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file is too short to hold it.
    #[error("the file ends before it does")]
    Missing,
    /// It does not start with the text that marks it.
    #[error("it starts with \"{}\" instead of its mark", .found.escape_ascii())]
    Cookie {
        /// What is there.
        found: [u8; 8],
    },
    /// XenServer has disabled the file on purpose, usually because it is being coalesced or moved.
    #[error("the VHD was disabled on purpose (\"v_poison\")")]
    Disabled,
    /// The sum of its bytes is not what it says.
    #[error("its checksum is {stored:#010x}, but its bytes give {computed:#010x}")]
    Checksum {
        /// The checksum that is there.
        stored: u32,
        /// The one that would be right.
        computed: u32,
    },
    /// A version of the format that nobody has described.
    #[error("it is of version {:#x}.{:x}, not 1.0", .0 >> 16, .0 & 0xffff)]
    Version(u32),
    /// A kind of disk that is neither fixed nor dynamic nor differencing.
    #[error("the disk is of the unknown kind {0}")]
    Kind(u32),
    /// A disk too large to be one.
    #[error("it describes a disk of {0} bytes, which no VHD can hold")]
    DiskSize(u64),
    /// A block size that is no power of two of at least a sector.
    #[error("its block size is {0} bytes")]
    BlockSize(u32),
    /// A place that is not inside the file.
    #[error("it says that the next part is at byte {0}, where there is none")]
    Place(u64),
    /// A table that has too few entries for the disk.
    #[error("it has {entries} entries, but the disk has {needed} blocks")]
    TableTooShort {
        /// How many entries there are.
        entries: u32,
        /// How many blocks the disk has.
        needed: u64,
    },
}
