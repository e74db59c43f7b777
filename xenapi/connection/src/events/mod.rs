//! The pool's changes as they happen.

mod background;
mod feed;
mod health;
mod selection;

pub use self::background::Background;
pub use self::feed::{Delta, Feed, generation};
pub use self::health::Health;
pub use self::selection::Selection;
