//! Reading an archive from a source, disk by disk.

#[cfg(feature = "tokio")]
mod asynchronous;
mod behind;
mod core;
mod image;
mod streamed;
mod sync;

#[cfg(feature = "tokio")]
pub use asynchronous::{AsyncDisk, AsyncReader};
pub use streamed::StreamedDisk;
pub use sync::{Disk, Reader};

use crate::Block;

/// A piece of a disk. The runs of a disk follow each other without a gap from its first byte to its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run<'a> {
    /// Bytes that the archive holds. They can be zeros all the same.
    Data(Block<'a>),
    /// Bytes that the archive leaves out: zeros.
    Hole {
        /// Where they begin on the disk, in bytes.
        offset: u64,
        /// How many there are.
        len: u64,
    },
}
