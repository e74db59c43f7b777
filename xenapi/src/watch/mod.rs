//! Watching a pool: its changes as they happen.

mod background;
mod change;
mod changes;
mod feed;
mod health;
mod selection;

pub(crate) use self::background::Background;
pub use self::change::{AnyRef, Change};
pub use self::changes::{Changes, Watch};
pub(crate) use self::feed::{Delta, Feed, generation};
pub use self::health::Health;
pub(crate) use self::selection::Selection;
