//! What the tools share: the flags of the connection, an orderly end, and text that is safe to print.

mod batch;
mod choice;
mod connection;
mod image;
mod inspection;
mod interrupt;
mod meter;
mod nbd;
mod outcome;
mod pool;
mod printable;
mod selection;
mod snapshot;
mod volume;

pub use self::batch::{Batch, Job};
pub use self::choice::{Nameable, choose_vm, named};
pub use self::connection::Connection;
pub use self::image::{AnyDisk, Image, ImageFormat, write_image};
pub use self::inspection::Inspection;
pub use self::interrupt::Interrupted;
pub use self::meter::{Meter, Total};
pub use self::nbd::{WithoutTls, connect_nbd, open_nbd};
pub use self::outcome::{finish, note};
pub use self::pool::Pool;
pub use self::printable::Printable;
pub use self::selection::{Chosen, Selection};
pub use self::snapshot::with_snapshot;
pub use self::volume::{FoundVolume, WhichVolume};
