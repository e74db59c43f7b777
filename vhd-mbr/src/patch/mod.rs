//! Changing bytes of files where they are: planned, shown, applied, undone.
//!
//! A [`WritePlan`] says which bytes of a disk become which others, and nothing else of the disk is touched. It comes from
//! a file's [`Layout`](crate::layout::Layout) and the [`Change`]s to make ([`WritePlan::for_file`]), from an [`Overlay`]
//! over which any program has written, or from [`put_on_fat`], which writes whole files to FAT volumes. Making a plan only
//! reads; whatever speaks against the change is a [`Refused`] with its reason.
//!
//! ```
//! use vhd_mbr::layout::{Extent, Layout, Place};
//! use vhd_mbr::patch::{Change, OnDisk, Undo, WritePlan};
//!
//! let mut disk = b"........timeout=5.......".to_vec();
//! // Where the file is; ext4::layout and its like find it.
//! let layout = Layout::new(9, vec![Extent::new(0..9, Place::Data { offset: 4 })]);
//! let volume = OnDisk::from(4..24);
//!
//! let change = Change::write(8, "1").expecting("5");
//! let plan = WritePlan::for_file(&disk, &volume, &layout, &[change])?;
//! assert_eq!(plan.to_string(), "1 byte in 1 place of the disk\nbyte 16: 35 -> 31\n");
//!
//! let mut undo_file = Vec::new();
//! plan.undo().write(&mut undo_file)?; // before anything is written
//! plan.apply(&mut disk)?;
//! assert_eq!(disk, b"........timeout=1.......");
//!
//! Undo::read(undo_file.as_slice())?.apply(&mut disk)?;
//! assert_eq!(disk, b"........timeout=5.......");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! For a pool, which takes whole sectors only, [`WritePlan::sectors`] widens the plan to them.

mod apply;
mod change;
mod clock;
mod fat;
mod file;
mod overlay;
mod place;
mod plan;
mod refused;
mod sectors;
mod undo;

pub use apply::{ApplyError, Restored};
pub use change::{Change, Padding};
pub use fat::{FatError, put_on_fat};
pub use overlay::Overlay;
pub use place::OnDisk;
pub use plan::{Edit, WritePlan};
pub use refused::Refused;
pub use sectors::{SectorRange, Sectors};
pub use undo::{Undo, UndoError};

/// Bytes that one plan may change: more is not a change but a copy.
const LIMIT: u64 = 64 << 20;
