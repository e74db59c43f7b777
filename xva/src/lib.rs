//! Reads XVA archives, the exports of virtual machines that XenServer and XCP-ng make, from a file, from a pipe or
//! straight from the server while it is sending. Also makes archives that they import, and changes the metadata of
//! those that exist.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut archive = xva::Reader::new(std::fs::File::open("machine.xva.zst")?);
//! if let Some(ova) = archive.ova()? {
//!     for disk in ova.vms().iter().flat_map(|vm| &vm.disks) {
//!         println!("{} {} {:?} bytes, folder {}", disk.userdevice, disk.name_label, disk.virtual_size, disk.id);
//!     }
//! }
//! while let Some(mut disk) = archive.next_disk()? {
//!     let mut image = std::fs::File::create(format!("{}.raw", disk.id()))?;
//!     disk.copy_to(&mut image)?;
//! }
//! assert!(archive.summary().is_some_and(|summary| summary.is_complete()));
//! # Ok(())
//! # }
//! ```
//!
//! # The format
//! An XVA is a tar archive, often compressed as a whole with gzip or zstd. Its first entry, `ova.xml`, describes the
//! machine; [`ova`] reads it. Then come the disks, one folder each, called like the disk in the metadata (`Ref:12`),
//! sorted as text so that `Ref:10` precedes `Ref:9`. A folder holds blocks of 1 MiB called `00000000`, `00000001`, …,
//! each followed by its checksum in an entry called `….xxhash` (XXH64) or, from old hosts, `….checksum` (SHA-1). Blocks
//! of zeros are left out, except for the first and the last. The numbers count entries: a slow export puts empty blocks
//! in between, which take numbers too, so that only the whole sequence tells where a block belongs.
//!
//! Nothing in an archive tells its length, and a server that fails in the middle just stops sending. That shows as
//! [`Error::Truncated`], which says what is missing. Where everything but the last 1024 zero bytes is there, reading
//! succeeds and [`Summary::end_blocks`] is `false`.
//!
//! # Layers
//! - [`Reader`] reads from [`std::io::Read`]; `AsyncReader` (feature `tokio`) does the same from tokio's `AsyncRead`.
//!   Both sniff and undo the compression, verify every block, and stop reading as soon as the caller does.
//! - [`Archive`] reads the disks of an uncompressed archive anywhere, with few small reads of whatever is [`ReadAt`], and
//!   plans changes in place; [`StreamedDisk`] does the first with an archive that only goes forward.
//! - [`Parser`] is the state machine behind them, for bytes that come some other way. It does no I/O.
//! - [`Ova`](ova::Ova) reads `ova.xml` alone.
//!
//! # Writing
//! [`write`](mod@write) packs disks of any origin into an archive whose length is known before its first byte, as an
//! upload needs it. [`edit`] changes the metadata of an archive that exists and copies the rest byte for byte.
//!
//! # Damaged archives
//! Errors carry positions and say whether reading can go on ([`Error::is_recoverable`]). With [`Verify::Report`]
//! damaged blocks are delivered and marked. Whatever the bytes are, reading neither panics nor takes more memory than
//! the limits in [`Options`] allow.
//!
//! [`verify`] reads on to the end and tells everything that is wrong, and where; [`salvage`] saves what can be saved and
//! tells which ranges of each disk are as they were.
//!
//! # Old archives
//! [`Reader`] takes every layout since Rio. [`chunked`] reads the one before, version 0.1.
//!
//! # Features
//! `gzip` and `zstd`, both on by default, for compressed archives; off by default, `tokio` for `AsyncReader` and
//! `object-store` for `ObjectAt`, an archive in a bucket.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod archive;
mod block;
mod checksum;
pub mod chunked;
mod compression;
pub mod edit;
mod error;
mod event;
mod inspect;
#[cfg(feature = "object-store")]
mod object_at;
mod options;
pub mod ova;
mod parser;
mod reader;
pub mod salvage;
mod summary;
mod table;
mod tar;
pub mod verify;
pub mod write;

pub use archive::{Archive, ArchiveDisk, BlockPlace, Change, Index, IndexError, Patch, PatchError, Stretch};
pub use checksum::{Algorithm, Digest};
pub use compression::Compression;
pub use error::{DiskProgress, Error, LooksLike, Place, Result, Truncation};
pub use event::{Block, Event};
#[cfg(feature = "object-store")]
pub use object_at::ObjectAt;
pub use options::{Options, Verify};
pub use parser::Parser;
#[cfg(feature = "tokio")]
pub use reader::{AsyncDisk, AsyncReader};
pub use reader::{Disk, Reader, Run, StreamedDisk};
pub use summary::{Check, DiskReport, Summary};
pub use xen_disk::{self, ReadAt, WithExtents};
