//! Watching a pool: its changes as they happen.

mod change;
mod changes;

pub use self::change::{AnyRef, Change};
pub use self::changes::{Changes, Watch};
