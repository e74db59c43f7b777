use crate::filetree::{PathError, ReadError};

/// Why a file cannot be found on an ISO 9660 volume. Positions are bytes from the volume's start.
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
    #[error("this ISO 9660 volume needs {feature}, which is not supported")]
    Unsupported {
        /// What it needs.
        feature: &'static str,
    },
    /// A structure contradicts itself.
    #[error("the ISO 9660 volume is damaged at byte {offset}: {what}; it may have been cut off or copied badly")]
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
