use crate::filetree::{Misplaced, PathError, ReadError};

/// Why a file cannot be found on an ext2, ext3 or ext4 volume. Positions are bytes from the volume's start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The volume could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The path leads to no file.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The path leads to no file, but may lead to one once the journal's changes are written.
    #[error("{0}; the journal has changes that are not written yet, so mount the volume once and look again")]
    NotReplayed(PathError),
    /// There is no superblock of this family.
    #[error("not an ext2, ext3 or ext4 volume: bytes 1080 and 1081 are {:02x} {:02x} instead of 53 ef", .found[0], .found[1])]
    NotExt {
        /// The two bytes that are there.
        found: [u8; 2],
    },
    /// The volume or a directory on the way needs something that this reader does not know.
    #[error("this ext4 volume needs {feature}, which is not supported")]
    Unsupported {
        /// What it needs, as `dumpe2fs` calls it.
        feature: String,
    },
    /// A structure contradicts itself.
    #[error("the ext4 volume is damaged at byte {offset}: {what}; e2fsck repairs it")]
    Damaged {
        /// Where it is.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
}

impl Error {
    pub(super) fn damaged(offset: u64, what: &'static str) -> Self {
        Self::Damaged { offset, what }
    }

    pub(super) fn unsupported(feature: &str) -> Self {
        Self::Unsupported {
            feature: feature.to_owned(),
        }
    }

    pub(super) fn misplaced(offset: u64, why: Misplaced) -> Self {
        Self::damaged(offset, why.as_str())
    }
}
