//! NTFS: files, directories and streams of a Windows volume, and where their bytes are.
//!
//! ```no_run
//! use std::fs::File;
//! use vhd_mbr::ntfs::Ntfs;
//! use xen_disk::ReadAt;
//!
//! let volume = Ntfs::open(File::open("windows.img")?)?;
//! println!("{}, NTFS {:?}", volume.info()?.label, volume.info()?.version);
//! for entry in volume.lookup(r"\Windows\System32\config")?.read_dir()? {
//!     let entry = entry?;
//!     println!("{:>12} {}", entry.size, entry.name);
//! }
//! let hive = volume.lookup("/windows/system32/config/system")?;
//! let mut start = [0; 4];
//! hive.content()?.read_exact_at(0, &mut start)?;
//! assert_eq!(&start, b"regf");
//! println!("{:?}", hive.layout()?.on_volume(0..512));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`Ntfs`]: the volume; [`Ntfs::lookup`] finds a path as Windows does, [`Ntfs::walk`] everything.
//! - [`File`]: a file or directory with its [`Stat`], names, streams and [reparse point](Reparse).
//! - [`ReadDir`]: what is in a directory, with bounded memory.
//! - [`Stream`]: bytes, read through [`ReadAt`](xen_disk::ReadAt).
//! - [`File::layout`]: where the bytes are on the volume, and what speaks against changing them.
//!
//! # What is read
//!
//! NTFS 1.2 to 3.1 with sectors of 512 to 4096 bytes and clusters up to 2 MiB. Attribute lists are followed for every
//! attribute, that of `$MFT` included; streams may be sparse or compressed. What is encrypted, compressed by Windows'
//! overlay filter or kept elsewhere is refused by name ([`Error::Encrypted`], [`Error::SystemCompressed`],
//! [`Error::Elsewhere`]): it would read as zeros or noise. `$LogFile` is not replayed: a volume that was not unmounted
//! reads as it stands, and its [obstacles](Ntfs::obstacles) say so.
//!
//! # What is trusted
//!
//! Nothing. Torn records are told from whole ones, every length is held against what it is in, runs against the volume,
//! and trees are followed to a fixed depth and no node twice.

mod attribute_list;
mod attributes;
mod boot;
mod compression;
mod error;
mod file;
mod file_name;
mod fixup;
mod index;
mod layout;
mod log_file;
mod lookup;
mod mapped;
mod name;
mod read_dir;
mod record;
mod reference;
mod reparse;
mod runs;
mod source;
mod stream;
mod time;
mod upcase;
mod volume;
mod walk;

pub use attributes::FileAttributes;
pub use error::Error;
pub use file::{File, Stat, StreamInfo};
pub use file_name::{FileName, Namespace};
pub use name::Name;
pub use read_dir::{DirEntry, ReadDir};
pub use reference::FileReference;
pub use reparse::Reparse;
pub use stream::Stream;
pub use time::FileTime;
pub use volume::{Ntfs, VolumeInfo};
pub use walk::{Walk, WalkEntry};
