use crate::filetree::{PathError, ReadError};

/// Why a file cannot be found on an XFS volume. Positions are bytes from the volume's start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The volume could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The path leads to no file.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The path leads to no file, but may lead to one once the log's changes are written.
    #[error("{0}; the log has changes that are not written yet, so mount the volume once and look again")]
    NotReplayed(PathError),
    /// There is no superblock of XFS.
    #[error("not an XFS volume: it starts with {found:02x?} instead of \"XFSB\"")]
    NotXfs {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// The volume or the file needs something that this reader does not know.
    #[error("this XFS volume needs {feature}, which is not supported")]
    Unsupported {
        /// What it needs.
        feature: String,
    },
    /// A structure contradicts itself.
    #[error("the XFS volume is damaged at byte {offset}: {what}; xfs_repair repairs it")]
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

    pub(super) fn unsupported(feature: impl Into<String>) -> Self {
        Self::Unsupported {
            feature: feature.into(),
        }
    }
}
