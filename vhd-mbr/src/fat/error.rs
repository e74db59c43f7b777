use crate::filetree::{PathError, ReadError};

/// Why a file cannot be found on a FAT volume. Positions are bytes from the volume's start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The volume could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The path leads to no file.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The first sector is not that of a FAT volume.
    #[error("not a FAT volume: {why}")]
    NotFat {
        /// What it is instead, or what is missing.
        why: &'static str,
    },
    /// A structure contradicts itself.
    #[error("the FAT volume is damaged at byte {offset}: {what}; fsck.fat or chkdsk repairs it")]
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
}
