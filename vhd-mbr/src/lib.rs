//! What is on the disks of virtual machines: partition tables, read from the first bytes of a stream or from anything
//! that can be read at random.
//!
//! ```
//! use vhd_mbr::PartitionTable;
//!
//! # fn first_block() -> Vec<u8> {
//! #     let mut block = vec![0; 1 << 20];
//! #     block[440..444].copy_from_slice(&0x1234_abcd_u32.to_le_bytes());
//! #     block[446..462].copy_from_slice(&[0x80, 0, 0, 0, 0x0e, 0, 0, 0, 0, 8, 0, 0, 0, 0x80, 0, 0]);
//! #     block[462..478].copy_from_slice(&[0, 0, 0, 0, 0x05, 0, 0, 0, 0, 0x88, 0, 0, 0, 0, 1, 0]);
//! #     block[510..512].copy_from_slice(&[0x55, 0xaa]);
//! #     block
//! # }
//! let block = first_block(); // the first MiB of a download
//! let table = PartitionTable::read(&block)?;
//! assert_eq!(
//!     table.to_string(),
//!     "\
//! MBR 0x1234abcd
//! Nr  Boot     Start    Size  Type            Name
//!  1  *      1048576  16 MiB  0e FAT16 (LBA)
//!  2        17825792  32 MiB  05 Extended
//! not read: the logical partitions from the extended boot record at byte 17825792 on
//! "
//! );
//! # Ok::<(), vhd_mbr::partition::Error>(())
//! ```
//!
//! - [`partition`]: MBR with logical partitions, GPT with its backup, boot code, and what is odd about any of them.
//! - [`layout`]: where the bytes of a file are on its volume, as [`ext4`], [`xfs`], [`fat`] and [`ntfs`] find them.
//! - [`volume`]: what partitions and disks hold, logical volumes, and the files of all file systems in one way.
//! - [`patch`]: changing them there: planned, shown, applied, undone.
//! - [`ntfs`]: the files of Windows volumes.
//! - [`bootloader`]: Linux on the serial port, by a change of GRUB's configuration that keeps its length.
//! - [`registry`]: hives of the Windows registry: read, and values changed where they are.
//! - [`cbt`]: which blocks of a disk changed, and only them of the disk.
//! - `nbd`, with the feature of this name: disks on servers, such as those of a pool.
//! - [`xen_disk`], passed on from here: [`ReadAt`](xen_disk::ReadAt), the one trait through which disks are read.
//! - [`vhd`]: VHD images: read, also in chains and as streams, written, changed, checked.
//! - `qcow2` (feature `qcow2`): qcow2 images, read and written.
//! - [`Size`] and [`Guid`], as people read them.
//!
//! No runtime, no `unsafe`, no network but for the feature `nbd`; the bytes of a disk are never trusted.

// docs.rs shows the sources anyway; a second copy of them would double the pages.
#![doc(html_no_source)]

pub mod bootloader;
mod bytes;
pub mod cbt;
pub mod ext4;
pub mod fat;
mod filetree;
mod guid;
pub mod layout;
#[cfg(feature = "nbd")]
pub mod nbd;
pub mod ntfs;
pub mod partition;
pub mod patch;
#[cfg(all(feature = "qcow2", unix))]
pub mod qcow2;
pub mod registry;
mod size;
pub mod vhd;
pub mod volume;
pub mod xfs;

pub use guid::{Guid, ParseGuidError};
pub use partition::PartitionTable;
pub use size::Size;
pub use xen_disk;
