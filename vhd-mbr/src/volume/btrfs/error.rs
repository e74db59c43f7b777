use crate::filetree::{PathError, ReadError};

/// Why a file cannot be read on a btrfs volume. Positions are bytes from the volume's start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The volume could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The path leads to no file.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The volume or the file needs something that this reader does not know.
    #[error("this btrfs volume needs {feature}, which is not supported; mount it on Linux to read it")]
    Unsupported {
        /// What it needs.
        feature: &'static str,
    },
    /// A structure contradicts itself.
    #[error("the btrfs volume is damaged at byte {offset}: {what}; `btrfs check` tells more")]
    Damaged {
        /// Where it is.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// Something is at an address that no chunk covers.
    #[error("the btrfs volume has nothing at its address {logical}; `btrfs check` tells more")]
    NoChunk {
        /// The address in the volume's own count, in bytes.
        logical: u64,
    },
}

impl Error {
    pub(super) fn damaged(offset: u64, what: &'static str) -> Self {
        Self::Damaged { offset, what }
    }
}
