//! Entries of an archive that can be read anywhere.

use std::io;

use crate::error::{Error, Result};
use crate::tar::{self, Item, Tar};
use xen_disk::ReadAt;

/// An entry and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) regular: bool,
    /// Where its content starts.
    pub(super) content: u64,
    /// The length of the content in bytes.
    pub(super) size: u64,
    /// Where the next entry starts.
    pub(super) next: u64,
}

/// What is at a place in an archive.
#[derive(Debug)]
pub(super) enum Found {
    Entry(Entry),
    /// The zero blocks, or the last byte.
    End,
    /// Bytes that are no header.
    Other(Error),
}

/// Looks at the entry that starts at `position`, extended headers and all.
pub(super) fn look(source: &impl ReadAt, size: u64, position: u64) -> Result<Found> {
    let mut tar = Tar::new();
    loop {
        match tar.poll() {
            Ok(Some(Item::Entry(entry))) => {
                let content = position + tar.position();
                return Ok(Found::Entry(Entry {
                    next: content.saturating_add(tar::padded(entry.size)),
                    name: entry.name,
                    regular: entry.regular,
                    content,
                    size: entry.size,
                }));
            }
            Ok(Some(Item::End | Item::Eof(_))) => return Ok(Found::End),
            Ok(Some(Item::Content)) => {}
            Ok(None) => {
                let at = position.saturating_add(tar.position());
                let space = tar.space();
                let there = size.saturating_sub(at).min(space.len() as u64) as usize;
                if there == 0 {
                    tar.end_of_input();
                    continue;
                }
                let space = &mut space[..there];
                source
                    .read_exact_at(at, space)
                    .map_err(|source| Error::ReadAt { position: at, source })?;
                tar.advance(there);
            }
            Err(error) => return Ok(Found::Other(error.moved_by(position))),
        }
    }
}

/// Bytes of a source that were read before, in front of the source itself.
pub(super) struct Window<'a, S> {
    pub(super) source: &'a S,
    /// Where the bytes start in the source.
    pub(super) start: u64,
    pub(super) bytes: &'a [u8],
}

impl<S: ReadAt> ReadAt for Window<'_, S> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let inside = offset.checked_sub(self.start);
        match inside.map(|start| self.bytes.read_exact_at(start, buf)) {
            Some(Ok(())) => Ok(()),
            _ => self.source.read_exact_at(offset, buf),
        }
    }

    fn size(&self) -> io::Result<u64> {
        self.source.size()
    }
}
