use std::fmt;
use std::io;
use std::ops::Range;

use crate::Size;
use crate::layout::Obstacle;

/// Why a change is not made. Nothing has been written then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The file or its volume is in a state that forbids it.
    #[error("not changed: {}", Listed(.0))]
    Obstacles(Vec<Obstacle>),
    /// Some of the bytes are in a hole: there is no place to write them to.
    #[error("not changed: bytes {} to {} of the file are in a hole", .0.start, .0.end)]
    Hole(Range<u64>),
    /// Some of the bytes have a place that the file system takes for zeros.
    #[error("not changed: bytes {} to {} of the file are reserved, but read as zeros whatever is there", .0.start, .0.end)]
    Unwritten(Range<u64>),
    /// Some of the bytes are compressed or encrypted.
    #[error("not changed: bytes {} to {} of the file are compressed or encrypted", .0.start, .0.end)]
    Encoded(Range<u64>),
    /// The file ends before the new bytes do.
    #[error("not changed: the file has {size} bytes, and byte {end} would be needed; a file cannot grow where it is")]
    BeyondEnd {
        /// The file's size.
        size: u64,
        /// The end of the bytes to be written.
        end: u64,
    },
    /// The new content is shorter, and nothing may fill up the rest.
    #[error("not changed: the file has {size} bytes and its new content {len}, with nothing to fill up the rest")]
    Shorter {
        /// The file's size.
        size: u64,
        /// The new content's.
        len: u64,
    },
    /// Other bytes are there than expected.
    #[error("not changed: byte {file} of the file (byte {disk} of the disk) is not what was expected")]
    Unexpected {
        /// The first byte that differs, counted in the file.
        file: u64,
        /// The same byte, counted on the disk.
        disk: u64,
    },
    /// Two changes are for the same bytes of the disk.
    #[error("not changed: byte {0} of the disk would be written twice")]
    Twice(u64),
    /// More bytes are to be changed than a plan is for.
    #[error("not changed: {} are more than the {} that one plan may change", Size(*.bytes), Size(*.limit))]
    TooMuch {
        /// How many they are, or are at least.
        bytes: u64,
        /// How many may be.
        limit: u64,
    },
    /// The layout leads out of the volume, or the volume out of its disk.
    #[error("not changed: bytes {} to {} of the file are not on the disk", .0.start, .0.end)]
    OutsideDisk(Range<u64>),
    /// The disk could not be read.
    #[error("cannot read {len} bytes at byte {offset} of the disk")]
    Read {
        /// Where reading started.
        offset: u64,
        /// How many bytes were wanted.
        len: u64,
        /// What the disk reported.
        source: io::Error,
    },
    /// The disk could not be asked for its size.
    #[error("cannot tell the size of the disk")]
    Size(#[source] io::Error),
}

/// All obstacles in one sentence.
pub(super) struct Listed<'a>(pub(super) &'a [Obstacle]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, obstacle) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{obstacle}")?;
        }
        Ok(())
    }
}
