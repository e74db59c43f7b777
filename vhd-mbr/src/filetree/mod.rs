//! What the readers of file systems share: reading blocks, following paths, and lists of where a file's blocks are.

mod mapping;
mod path;
mod source;
mod stat;

pub(crate) use mapping::{Mapping, Misplaced, Piece};
pub use path::PathError;
pub(crate) use path::{LastLink, List, Named, Names, Tree, find, find_file};
pub use source::ReadError;
pub(crate) use source::Source;
pub use stat::{Kind, Stat};
pub(crate) use stat::{days_since_1970, unix_time};
