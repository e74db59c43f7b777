//! What the tools share: the flags of the connection, an orderly end, and text that is safe to print.

mod connection;
mod interrupt;
mod outcome;
mod pool;
mod printable;

pub use self::connection::Connection;
pub use self::interrupt::Interrupted;
pub use self::outcome::{finish, note};
pub use self::pool::Pool;
pub use self::printable::Printable;
