use crate::filetree::{PathError, ReadError};

/// Why a file cannot be found or read on a btrfs volume. Positions are bytes from the volume's start.
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
    #[error("this btrfs volume needs {feature}, which is not supported; a Linux that mounts it reads it")]
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
    /// A tree is not there.
    #[error("the btrfs volume is damaged: there is no tree {number}; `btrfs check` tells more")]
    NoTree {
        /// Its number, as `btrfs subvolume list` shows those of subvolumes.
        number: u64,
    },
    /// Data that should have a checksum has none.
    #[error("the btrfs volume is damaged: data at its address {address} has no checksum; `btrfs check` tells more")]
    NoChecksum {
        /// The address.
        address: u64,
    },
    /// Something is said to be where nothing is: addresses on btrfs have to be looked up.
    #[error("the btrfs volume is damaged: its address {address} is nowhere on it; `btrfs check` tells more")]
    Nowhere {
        /// The address.
        address: u64,
    },
}

impl Error {
    pub(super) fn damaged(offset: u64, what: &'static str) -> Self {
        Self::Damaged { offset, what }
    }

    pub(super) fn unsupported(feature: &'static str) -> Self {
        Self::Unsupported { feature }
    }
}
