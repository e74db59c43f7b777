//! What can go wrong while an archive is made.

use std::io;

use super::SpecError;
use crate::Compression;
use crate::ova::OvaError;

/// Why an archive could not be made.
///
/// `disk` is the disk's name where the metadata is made from a [`VmSpec`](super::VmSpec), else its id.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A disk could not be read.
    #[error("cannot read disk {disk} at byte {offset}")]
    Read {
        /// The disk.
        disk: String,
        /// Where, in bytes.
        offset: u64,
        /// What the source said.
        source: io::Error,
    },
    /// A disk is no longer what it was when the archive was planned.
    #[error(
        "disk {disk} changed at or behind byte {offset} since the archive was planned; write from a snapshot, or plan anew"
    )]
    Changed {
        /// The disk.
        disk: String,
        /// Start of the 64 MiB in which bytes differ, or the place of a block that is now needed or no longer, in
        /// bytes.
        offset: u64,
    },
    /// The output failed.
    #[error("cannot write the archive after {written} bytes")]
    Output {
        /// Bytes of the archive written before.
        written: u64,
        /// What the output said.
        source: io::Error,
    },
    /// The description of the machine holds something that no machine has.
    #[error("the virtual machine cannot be described")]
    Spec(#[from] SpecError),
    /// The given `ova.xml` cannot be understood.
    #[error("cannot read the given ova.xml")]
    Ova(#[from] OvaError),
    /// The metadata is longer than a plain tar entry can be.
    #[error("ova.xml has {size} bytes, more than a tar entry of an XVA can hold")]
    MetadataTooLong {
        /// Its length in bytes.
        size: u64,
    },
    /// A disk has no bytes.
    #[error("disk {disk} is empty; no server makes a disk of 0 bytes")]
    EmptyDisk {
        /// The disk.
        disk: String,
    },
    /// A disk of an exact size does not end with a sector.
    #[error("disk {disk} has {size} bytes, which is no multiple of 512; have its size rounded up")]
    Unaligned {
        /// The disk.
        disk: String,
        /// Its length in bytes.
        size: u64,
    },
    /// A disk has more blocks than eight digits can count.
    #[error("disk {disk} has {size} bytes; an archive can hold disks of 100,000,000 MiB at most")]
    TooLong {
        /// The disk.
        disk: String,
        /// Its length in bytes.
        size: u64,
    },
    /// The first disk is shorter than a block, so xapi would misplace what follows left-out blocks of the others.
    #[error(
        "disk {disk} comes first and is shorter than 1 MiB, so the other disks would be misread; round its size up"
    )]
    ShortFirstDisk {
        /// The disk.
        disk: String,
    },
    /// A disk is not as long as the given `ova.xml` says.
    #[error("disk {disk} has {size} bytes, but ova.xml says {virtual_size:?}")]
    SizeMismatch {
        /// The disk.
        disk: String,
        /// Its length in bytes.
        size: u64,
        /// Its length in bytes after the metadata.
        virtual_size: Option<u64>,
    },
    /// The given `ova.xml` has no disk of this id that belongs into an archive.
    #[error("ova.xml has no disk {disk} to export; it has {known:?}")]
    UnknownDisk {
        /// The disk.
        disk: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// A disk that the given `ova.xml` promises is not among those given.
    #[error("ova.xml promises disk {disk}, which was not given")]
    MissingDisk {
        /// The disk.
        disk: String,
    },
    /// Two disks were given for one id.
    #[error("disk {disk} was given twice")]
    DuplicateDisk {
        /// The disk.
        disk: String,
    },
    /// An id cannot be the name of a folder in the archive.
    #[error("disk {disk} cannot be a folder: an id has up to 82 printable ASCII characters and no slash")]
    UnusableId {
        /// The disk.
        disk: String,
    },
    /// The build of this crate cannot compress that way.
    #[error("this build cannot compress with {compression}: enable the feature `{compression}`")]
    CompressionDisabled {
        /// How the archive should have been compressed.
        compression: Compression,
    },
    /// The compressor could not be set up.
    #[error("cannot set up {compression}")]
    Compressor {
        /// How the archive should have been compressed.
        compression: Compression,
        /// What the library said.
        source: io::Error,
    },
    /// Writing was tried again after an error with no way forward.
    #[error("writing the archive failed before; start over")]
    AlreadyFailed,
}

impl From<WriteError> for io::Error {
    fn from(error: WriteError) -> Self {
        Self::other(error)
    }
}
