//! The entries of a directory on a disk.

use std::fmt;
use std::time::UNIX_EPOCH;

use serde_json::{Value, json};
use vhd_mbr::volume::{Entry, FileKind};

use crate::Printable;

/// A line for an entry, as `vm-ls` writes it: kind, size and name.
#[derive(Clone, Copy, Debug)]
pub struct EntryLine<'e>(
    /// The entry.
    pub &'e Entry,
);

impl EntryLine<'_> {
    /// The same for scripts.
    pub fn json(self) -> Value {
        let Self(entry) = self;
        let modified = entry.modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        json!({
            "name": entry.name.to_string(), "kind": kind(entry.kind), "size_bytes": entry.size,
            "modified_seconds": modified.map(|time| time.as_secs()),
        })
    }
}

impl fmt::Display for EntryLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mark, name) = (mark(self.0.kind), self.0.name.to_string());
        write!(f, "{mark}  {:>14}  {}", self.0.size, Printable(&name))
    }
}

fn kind(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Directory => "directory",
        FileKind::Symlink => "symlink",
        FileKind::File => "file",
        _ => "other",
    }
}

/// The letter that `ls` has for a kind.
fn mark(kind: FileKind) -> char {
    match kind {
        FileKind::Directory => 'd',
        FileKind::Symlink => 'l',
        FileKind::File => '-',
        _ => '?',
    }
}
