//! qcow2 images, through the crate `imago`. Needs the feature `qcow2`.
//!
//! ```no_run
//! use vhd_mbr::qcow2::{self, Qcow2};
//! use vhd_mbr::vhd::Writer;
//!
//! let disk = Qcow2::open("machine.qcow2")?; // with its backing files
//! Writer::dynamic(&disk).plan()?.write_with_holes(&mut std::fs::File::create("machine.vhd")?)?;
//!
//! qcow2::write(&disk, "copy.qcow2")?; // of that disk, or of any other
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod gate;
mod header;
mod reader;
mod writer;

use std::io;
use std::path::PathBuf;

pub use reader::{OpenOptions, Qcow2};
pub use writer::write;

/// Why a qcow2 image cannot be opened or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It could not be opened: the file is not there, is no qcow2 image, or one of its backing files cannot be opened.
    #[error("cannot open {} as a qcow2 image", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        source: io::Error,
    },
    /// It could not be created. There must be no file of that name yet.
    #[error("cannot create {}", .path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        source: io::Error,
    },
    /// The disk could not be read.
    #[error("cannot read the disk at byte {offset}")]
    Read {
        /// Where in the disk.
        offset: u64,
        /// What the disk reported.
        source: io::Error,
    },
    /// The image could not be written.
    #[error("cannot write the disk's bytes from {offset} on into {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Where in the disk.
        offset: u64,
        /// What was wrong.
        source: io::Error,
    },
}
