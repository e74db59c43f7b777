//! What the readers of file systems share: reading blocks, following paths, and lists of where a file's blocks are.

mod mapping;
mod path;
mod source;

pub(crate) use mapping::{Mapping, Misplaced, Piece};
pub use path::PathError;
pub(crate) use path::{Kind, Tree, find_file};
pub use source::ReadError;
pub(crate) use source::Source;
