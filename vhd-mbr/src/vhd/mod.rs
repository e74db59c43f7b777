//! VHD images: the disks of XenServer and XCP-ng, as their storage keeps them and as xapi exports them.
//!
//! ```
//! use vhd_mbr::vhd::{Vhd, Writer};
//! use vhd_mbr::xen_disk::ReadAt;
//!
//! let mut image = vec![0; 16 << 20];
//! image[510..512].copy_from_slice(&[0x55, 0xaa]);
//!
//! let plan = Writer::dynamic(&image).plan()?;
//! let length = plan.size(); // as an upload must tell it
//! let mut file = Vec::new();
//! plan.write_to(&mut file)?;
//! assert_eq!(file.len() as u64, length);
//!
//! let disk = Vhd::open(&file)?;
//! let mut sector = [0; 512];
//! disk.read_exact_at(0, &mut sector)?;
//! assert_eq!(sector[510..], [0x55, 0xaa]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`Vhd`] reads fixed, dynamic and differencing disks at any position, the last with any disk as their parent;
//!   [`Chain`] finds the parents of a file. Both are [`ReadAt`](xen_disk::ReadAt).
//! - [`VhdStream`] reads a VHD from front to back while it arrives, as from `/export_raw_vdi`.
//! - [`Writer`] makes VHDs of any disk, or of its difference from another, of a length known beforehand. A chain goes in
//!   as one disk, so this merges it too.
//! - [`Vhd`] is [`WriteAt`](xen_disk::WriteAt) where the file holds the bytes to change; [`Allocating`] adds blocks.
//! - [`apply`] brings a difference onto another disk, [`copy_to_raw`] makes a raw image with holes, and
//!   [`changed_ranges`] tells where two disks differ.
//! - [`check`] tells what is wrong with a file, [`repair`] puts a damaged footer right.
//!
//! # The format
//! Numbers are big-endian, places mostly sectors of 512 bytes. The disk is cut into blocks of usually 2 MiB. A table says
//! in which sector each block is; there, a bitmap tells which of the block's sectors the file holds, and the data
//! follows. A sector that is not there is zero in a dynamic disk, and the parent's in a differencing one. The footer at
//! the end says what kind of disk it is and how large. It stands at the start too, except in a fixed disk, which is the
//! raw image with a footer behind it. (Virtual Hard Disk Image Format Specification 1.0; where programs differ from it,
//! blktap's libvhd is followed.)

mod allocate;
mod batmap;
mod bitmap;
mod cache;
#[cfg(unix)]
mod chain;
mod check;
mod copy;
mod creator;
mod delta;
mod disk;
mod error;
mod fields;
mod footer;
mod geometry;
mod grow;
mod header;
mod in_place;
mod known;
mod locator;
mod plan;
mod read;
mod repair;
mod stream;
mod tables;
mod writer;

pub use allocate::Allocating;
pub use batmap::Batmap;
#[cfg(unix)]
pub use chain::{Chain, ChainError, ChainOptions};
pub use check::{Finding, Report, Severity, check};
pub use copy::copy_to_raw;
#[cfg(all(feature = "qcow2", unix))]
pub(crate) use copy::is_zero;
pub use creator::Creator;
pub use delta::{apply, changed_ranges};
pub use disk::{FooterAt, NoParent, Vhd};
pub use error::{Error, Part, Problem};
pub use footer::{Footer, Kind};
pub use geometry::Geometry;
pub use grow::Grow;
pub use header::Header;
pub use locator::{Locator, Platform};
pub use plan::{Plan, PlanReader};
pub use repair::{Repaired, repair};
pub use stream::{StreamRun, VhdStream};
pub use writer::{Parent, Writer};

/// The largest disk that is read, in bytes: 64 TiB, more than any VHD can hold.
const MAX_DISK: u64 = 64 << 40;
