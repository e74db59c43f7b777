//! What a partition or a whole disk holds, and the files on it.
//!
//! [`Contents::detect`] tells what there is; [`Volume`] lists and reads files of NTFS, ext2, ext3, ext4, XFS, btrfs, FAT
//! and ISO 9660 in one way; [`lvm`] finds the logical volumes in which many Linux systems keep their file systems.
//!
//! ```no_run
//! use std::fs::File;
//! use vhd_mbr::PartitionTable;
//! use vhd_mbr::volume::Volume;
//!
//! let disk = File::open("web-01.raw")?;
//! let table = PartitionTable::read_disk(&disk)?;
//! for partition in table.partitions() {
//!     match Volume::open(partition.of(&disk)) {
//!         Ok(volume) => {
//!             println!("{}: {}", partition.number, volume.contents());
//!             for entry in volume.list("/")? {
//!                 let entry = entry?;
//!                 println!("{:>12} {}", entry.size, entry.name);
//!             }
//!         }
//!         Err(error) => println!("{}: {error}", partition.number),
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A file's content is random access again, so images in images need nothing more:
//!
//! ```no_run
//! # let volume = vhd_mbr::volume::Volume::open(std::fs::File::open("web-01.raw")?)?;
//! use vhd_mbr::volume::Volume;
//!
//! let inner = Volume::open(volume.content("/srv/images/tools.iso")?)?;
//! inner.content("/README.TXT")?.copy_to(&mut std::io::stdout())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is not read
//!
//! Journals are not replayed: a volume that was not unmounted reads as its structures stand, and the
//! [layout](Volume::layout) of a file tells so. On btrfs that is as of the last commit: what was only synced to its log
//! since then is not seen.
//!
//! btrfs is read on a single device, from the default subvolume on, in which others are directories. Metadata and data are
//! held against their checksums, of all four kinds; where those do not match and there is no better copy, reading is an
//! error. Only files that have none (`nodatacow`) are read unverified. Volumes of several devices, with zones or of
//! features that came later are refused by name, and nothing on btrfs is ever changed.
//!
//! What of a volume can be read at all but is refused by file, as encrypted ones, is refused by name.

mod btrfs;
mod content;
mod contents;
mod entry;
mod error;
mod iso;
pub mod lvm;
mod name;
mod ntfs;
mod opened;
mod tree;

pub use self::btrfs::Error as BtrfsError;
pub use self::content::Content;
pub(crate) use self::contents::is_raid_member;
pub use self::contents::{ContentKind, Contents};
pub use self::entry::{Entry, ReadDir};
pub use self::error::Error;
pub use self::iso::Error as IsoError;
pub use self::name::Name;
pub use self::opened::Volume;
pub use crate::filetree::{Kind as FileKind, PathError, ReadError, Stat};
