//! Hives of the Windows registry, read from a disk, and values changed where they are.
//!
//! ```no_run
//! use std::fs::File;
//! use vhd_mbr::PartitionTable;
//! use vhd_mbr::patch::{OnDisk, WritePlan};
//! use vhd_mbr::registry::{Hive, windows};
//! use vhd_mbr::volume::Volume;
//!
//! let disk = File::options().read(true).write(true).open("win-01.raw")?;
//! let table = PartitionTable::read_disk(&disk)?;
//! let partition = table.partition(2).ok_or("no second partition")?;
//! let volume = Volume::open(partition.of(&disk))?;
//! let path = "/Windows/System32/config/SYSTEM";
//!
//! let hive = Hive::open(volume.content(path)?)?;
//! for service in windows::services(&hive)?.iter().filter(|service| service.is_driver()) {
//!     println!("{:<10} {}", service.start, service.name);
//! }
//!
//! let changes = windows::disable_driver(&hive, "xenbus")?;
//! let place = OnDisk::from(partition.start..partition.end());
//! let plan = WritePlan::for_file(&disk, &place, &volume.layout(path)?, &changes)?;
//! print!("{plan}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A hive is a tree of keys in a file; keys have values. [`Value::change`] tells which bytes of the file give a value
//! other data; nothing is moved and nothing made longer. Windows keeps what it has not written yet in logs beside the
//! hive: [`Hive::open_with_logs`] reads as if they had been written, and what [is dirty](Hive::is_dirty) is not changed.
//!
//! - [`windows`]: drivers and services in the `SYSTEM` hive.
//! - [`bcd`]: the boot configuration, a hive of its own.

mod base;
pub mod bcd;
mod error;
mod hive;
mod key;
mod kind;
mod list;
mod log;
mod marvin;
mod name;
mod value;
pub mod windows;

pub use base::BaseBlock;
pub use error::Error;
pub use hive::Hive;
pub use key::Key;
pub use kind::ValueType;
pub use value::Value;
