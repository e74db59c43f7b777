use crate::filetree::{PathError, ReadError};
use crate::volume::{BtrfsError, Contents, IsoError};
use crate::{ext4, fat, ntfs, xfs};

/// Why a volume or a file on it cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// There are no files that can be read here.
    #[error("it holds {contents}; {}", .contents.kind.advice().unwrap_or("it can be read"))]
    NotReadable {
        /// What there is.
        contents: Contents,
    },
    /// The path leads to nothing, or to something else.
    #[error(transparent)]
    Path(#[from] PathError),
    /// On an NTFS volume.
    #[error(transparent)]
    Ntfs(#[from] ntfs::Error),
    /// On an ext2, ext3 or ext4 volume.
    #[error(transparent)]
    Ext(ext4::Error),
    /// On an XFS volume.
    #[error(transparent)]
    Xfs(xfs::Error),
    /// On a FAT volume.
    #[error(transparent)]
    Fat(fat::Error),
    /// On an ISO 9660 volume.
    #[error(transparent)]
    Iso(IsoError),
    /// On a btrfs volume.
    #[error(transparent)]
    Btrfs(BtrfsError),
    /// The content is encrypted by the file system.
    #[error("{path} is encrypted by its file system; only the system that has the key reads it")]
    Encrypted {
        /// The path.
        path: String,
    },
}

/// What has the same meaning on all file systems is said in the same way.
macro_rules! from_file_system {
    ($($variant:ident($error:ty)),*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                type Of = $error;
                match error {
                    Of::Read(error) => Self::Read(error),
                    Of::Path(error) => Self::Path(error),
                    other => Self::$variant(other),
                }
            }
        }
    )*};
}
from_file_system!(
    Ext(ext4::Error),
    Xfs(xfs::Error),
    Fat(fat::Error),
    Iso(IsoError),
    Btrfs(BtrfsError)
);
