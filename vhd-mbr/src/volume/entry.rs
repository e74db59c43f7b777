use std::fmt;
use std::time::SystemTime;

use super::{Error, FileKind, Name};

/// A name in a directory and what it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The name.
    pub name: Name,
    /// What it leads to; a symbolic link is not followed.
    pub kind: FileKind,
    /// The length of a file's content in bytes.
    pub size: u64,
    /// When its content changed last.
    pub modified: Option<SystemTime>,
}

/// What is in a directory, in its own order, without `.` and `..`.
///
/// Only a part of the directory is in memory at a time. A file that cannot be made out is told in its place, and the
/// listing goes on behind it; it ends where the directory itself cannot be read.
pub struct ReadDir<'v>(pub(super) Box<dyn Iterator<Item = Result<Entry, Error>> + 'v>);

impl Iterator for ReadDir<'_> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl fmt::Debug for ReadDir<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadDir").finish_non_exhaustive()
    }
}
