//! What the tools share: the flags of the connection, an orderly end, and text that is safe to print.

mod batch;
mod choice;
mod connection;
mod download;
mod image;
mod inspection;
mod interrupt;
mod meter;
mod nbd;
mod outcome;
mod pool;
mod printable;
mod put_back;
mod selection;
mod snapshot;
mod vdi;
mod volume;
mod wanted;

pub use self::batch::{Batch, Job};
pub use self::choice::{Nameable, choose_vm, named};
pub use self::connection::Connection;
pub use self::download::{Pieces, pumped};
pub use self::image::{AnyDisk, Image, ImageFormat, write_image};
pub use self::inspection::Inspection;
pub use self::interrupt::Interrupted;
pub use self::meter::{Meter, Total};
pub use self::nbd::{WithoutTls, connect_nbd, open_nbd};
pub use self::outcome::{finish, note};
pub use self::pool::Pool;
pub use self::printable::Printable;
pub use self::put_back::{Untouched, ensure_untouched, put_back};
pub use self::selection::{Chosen, Selection};
pub use self::snapshot::{destroy_disk, with_snapshot};
pub use self::vdi::{OpenDisk, Via, disk_of_vm};
pub use self::volume::{FoundVolume, WhichVolume};
pub use self::wanted::WantedDisk;
