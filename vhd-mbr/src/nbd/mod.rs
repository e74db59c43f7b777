//! Disks on servers of the network block device protocol: how a pool gives the content of its disks fast.
//!
//! `VDI.get_nbd_info` tells where a disk of a pool can be read, under which name, and which certificate the host shows
//! there:
//!
//! ```no_run
//! use std::num::NonZeroUsize;
//! use vhd_mbr::nbd::{Nbd, Target, Trust};
//! use vhd_mbr::xen_disk::ReadAt;
//!
//! # fn record() -> (String, u16, String, String, String) { unimplemented!() }
//! let (address, port, exportname, cert, subject) = record();
//! let target = Target::tcp(&address, port, exportname).trust(Trust::pinned(&cert)?).server_name(&subject);
//! let disk = Nbd::options().connections(NonZeroUsize::MIN.saturating_add(3)).connect(&target)?;
//! let mut first = [0; 512];
//! disk.read_exact_at(0, &mut first)?;
//! disk.copy_to(std::fs::File::create("disk.raw")?)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`Nbd`]: a disk, over TCP or a Unix socket, with or without TLS, over several connections; it reads many pieces at
//!   once, knows holes where the server tells them, and writes only where that was asked for.
//! - [`Session`]: one connection over any stream.
//! - [`list`] and [`info`]: what a server has.
//!
//! Understood are the fixed newstyle handshake, `NBD_OPT_STARTTLS`, `NBD_OPT_GO` and `NBD_OPT_EXPORT_NAME`, block
//! sizes, simple and structured replies, and `base:allocation`
//! ([the protocol](https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md)).
//!
//! The names of a pool's exports contain the session of whoever asked: see [`ExportName`]. Threads, no runtime; nothing
//! that a server sends is trusted.

mod allocation;
mod connect;
mod copying;
mod disk;
mod error;
mod export;
mod export_name;
mod flight;
mod holes;
mod negotiation;
mod options;
mod pool;
mod protocol;
mod public_key;
mod read_ahead;
mod reading;
mod session;
mod socket;
mod target;
mod transfer;
mod trust;
mod writing;

pub use connect::{info, list};
pub use disk::Nbd;
pub use error::Error;
pub use export::{BlockSizes, Export};
pub use export_name::ExportName;
pub use options::Options;
pub use session::Session;
pub use target::{DEFAULT_PORT, Target};
pub use trust::Trust;
