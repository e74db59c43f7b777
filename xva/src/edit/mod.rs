//! Changes the metadata of archives: the name of a machine, its memory, the networks it looks for.
//!
//! An [`OvaEditor`] changes the text of `ova.xml` without touching a byte of what stays, [`repack_with`] copies an
//! archive and edits its metadata on the way.

mod editor;
mod error;
mod plain;
mod repack;
mod spans;

pub use editor::OvaEditor;
pub use error::EditError;
pub use repack::{repack, repack_with};
