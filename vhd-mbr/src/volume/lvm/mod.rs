//! LVM2: logical volumes, and where their bytes are on the physical ones.
//!
//! ```no_run
//! use std::fs::File;
//! use vhd_mbr::PartitionTable;
//! use vhd_mbr::volume::Volume;
//! use vhd_mbr::volume::lvm::VolumeGroup;
//!
//! let disk = File::open("db-01.raw")?;
//! let table = PartitionTable::read_disk(&disk)?;
//! let partition = table.partition(3).ok_or("no third partition")?;
//! for group in VolumeGroup::find([partition.of(&disk)])? {
//!     for volume in group.logical_volumes() {
//!         println!("{}/{}: {} bytes, {}", group.name(), volume.name, volume.size, volume.kind);
//!     }
//!     let root = group.open("root")?;
//!     println!("its first sector is at {:?} of the partition", root.on_disk(0..512)?);
//!     Volume::open(root)?.content("/etc/fstab")?.copy_to(&mut std::io::stdout())?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Linear and striped volumes are read and can be changed in place, unless there are snapshots of them. Of mirrors
//! (`raid1`, `mirror`) the first leg that is here is read. Whatever else there is (`thin`, `raid5`, `cache`, …) is refused
//! by its name. Groups may have several physical volumes; each comes as its own disk.

mod config;
mod error;
mod group;
mod label;
mod logical;
mod metadata;

pub use self::error::Error;
pub use self::group::VolumeGroup;
pub(super) use self::label::format_id;
pub use self::logical::{LogicalVolume, PhysicalRange};

/// What a volume group says of a logical volume.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogicalVolumeInfo {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// `linear`, or its type as LVM2 calls it.
    pub kind: String,
}
