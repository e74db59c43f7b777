//! What the tools share: the connection flags.

mod connection;

pub use self::connection::{Connection, Pool};
