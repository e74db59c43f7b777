//! Directories. The blocks of an index look like unused entries, so reading all blocks in order finds every name.

use std::ops::Range;

use super::Error;
use super::inline;
use super::inode::Inode;
use super::superblock::Superblock;
use crate::bytes::{u16_at, u32_at};
use crate::filetree::{Mapping, Named, Source};

/// A directory larger than this is damage: with the longest names it has four million entries.
const MAX_SIZE: u64 = 1 << 30;
/// An entry without its name.
const ENTRY: usize = 8;
/// The inode of the parent stands before the entries of a directory in an inode.
const PARENT: usize = 4;

/// How far a directory has been read.
pub(crate) struct Reading {
    directory: Inode,
    place: Place,
}

enum Place {
    /// In the inode, of which these parts are left.
    Inline(Vec<Range<usize>>),
    /// In blocks, from this byte on.
    Blocks(Mapping, u64),
}

impl Reading {
    pub(super) fn new(source: &Source<'_>, volume: &Superblock, directory: &Inode) -> Result<Self, Error> {
        let place = if directory.is_inline() {
            let mut parts = inline::parts(directory)?;
            if let Some(first) = parts.first_mut() {
                first.start += PARENT;
            }
            parts.reverse();
            Place::Inline(parts)
        } else if directory.size > MAX_SIZE.min(source.size()) {
            return Err(Error::damaged(
                directory.offset + 0x4,
                "a directory is larger than its volume, or than 1 GiB",
            ));
        } else {
            Place::Blocks(directory.mapping(source, volume)?, 0)
        };
        Ok(Self {
            directory: directory.clone(),
            place,
        })
    }

    /// The next entries.
    pub(super) fn next(&mut self, source: &Source<'_>, volume: &Superblock) -> Result<Option<Entries>, Error> {
        let bytes = match &mut self.place {
            Place::Inline(parts) => parts.pop().map(|part| self.directory.raw[part].to_vec()),
            Place::Blocks(mapping, at) => match mapping.next(*at).filter(|&next| next < self.directory.size) {
                Some(next) => {
                    *at = next + volume.block_size;
                    Some(mapping.read(source, next, volume.block_size as usize)?)
                }
                None => None,
            },
        };
        Ok(bytes.map(|bytes| Entries {
            bytes,
            at: 0,
            // Where a block of the directory is on the volume matters to messages only: its inode says which one it is.
            inode_offset: self.directory.offset,
        }))
    }
}

/// The entries of a block, one by one.
pub(super) struct Entries {
    bytes: Vec<u8>,
    at: usize,
    inode_offset: u64,
}

impl Iterator for Entries {
    type Item = Result<Named<u32>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.at + ENTRY <= self.bytes.len() {
            let (entries, at) = (&self.bytes, self.at);
            let len = match usize::from(u16_at(entries, at + 4)) {
                // 65536 does not fit.
                0 | 0xffff if entries.len() == 1 << 16 => 1 << 16,
                len => len,
            };
            let name_len = usize::from(entries[at + 6]);
            if len < ENTRY + name_len || !len.is_multiple_of(4) || at + len > entries.len() {
                self.at = entries.len();
                return Some(Err(Error::damaged(
                    self.inode_offset,
                    "an entry of this inode's directory does not end where it should",
                )));
            }
            self.at += len;
            let (name, link) = (&self.bytes[at + ENTRY..][..name_len], u32_at(&self.bytes, at));
            // The first two of a directory stand for itself and its parent.
            if link != 0 && name != b"." && name != b".." {
                let name = name.to_vec();
                return Some(Ok(Named { name, link }));
            }
        }
        None
    }
}

/// The inode of `name` in a directory.
pub(super) fn find(
    source: &Source<'_>,
    volume: &Superblock,
    directory: &Inode,
    name: &[u8],
) -> Result<Option<u32>, Error> {
    let mut reading = Reading::new(source, volume, directory)?;
    while let Some(entries) = reading.next(source, volume)? {
        for entry in entries {
            let entry = entry?;
            if entry.name == name {
                return Ok(Some(entry.link));
            }
        }
    }
    Ok(None)
}
