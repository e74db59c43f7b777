//! Archives of version 0.1, which the releases called Zurich and Geneva wrote before there was an XVA as it is now.
//!
//! Their `ova.xml` is an `<appliance>`, and a disk is a folder of files called `chunk-000000000.gz`,
//! `chunk-000000001.gz`, …, each a gzip member of its own: of 10⁹ bytes but for the last. Unpacked one after the other
//! they are the raw disk. There are no checksums but those of gzip. No host imports this any more; the disks inside are
//! as good as ever.
//!
//! ```no_run
//! let mut archive = xva::chunked::Reader::new(std::fs::File::open("old.xva")?)?;
//! println!("{:?}", archive.appliance().vms);
//! while let Some(mut disk) = archive.next_disk()? {
//!     let mut image = std::fs::File::create(format!("{}.raw", disk.image().name))?;
//!     disk.copy_to(&mut image)?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod appliance;
mod reader;

pub use appliance::{Appliance, Drive, Image, Machine};
pub use reader::{ChunkedError, Disk, Reader};
