//! Directories. The blocks of an index look like unused entries, so reading all blocks in order finds every name.

use super::Error;
use super::inline;
use super::inode::Inode;
use super::superblock::Superblock;
use crate::bytes::{u16_at, u32_at};
use crate::filetree::Source;

/// A directory larger than this is damage: with the longest names it has four million entries.
const MAX_SIZE: u64 = 1 << 30;
/// An entry without its name.
const ENTRY: usize = 8;
/// The inode of the parent stands before the entries of a directory in an inode.
const PARENT: usize = 4;

/// The inode of `name` in a directory, and where its entry is.
pub(super) fn find(
    source: &Source<'_>,
    volume: &Superblock,
    directory: &Inode,
    name: &[u8],
) -> Result<Option<(u32, u64)>, Error> {
    if directory.is_inline() {
        return find_inline(directory, name);
    }
    if directory.size > MAX_SIZE.min(source.size()) {
        return Err(Error::damaged(
            directory.offset + 0x4,
            "a directory is larger than its volume, or than 1 GiB",
        ));
    }
    let mapping = directory.mapping(source, volume)?;
    let mut at = 0;
    while let Some(next) = mapping.next(at).filter(|&next| next < directory.size) {
        let block = mapping.read(source, next, volume.block_size as usize)?;
        // Where a block of the directory is on the volume matters to messages only: its inode says which one it is.
        if let Some(found) = scan(&block, directory.offset, name)? {
            return Ok(Some(found));
        }
        at = next + volume.block_size;
    }
    Ok(None)
}

fn find_inline(directory: &Inode, name: &[u8]) -> Result<Option<(u32, u64)>, Error> {
    for (index, part) in inline::parts(directory)?.into_iter().enumerate() {
        let entries = if index == 0 {
            part.start + PARENT..part.end
        } else {
            part
        };
        if let Some(found) = scan(&directory.raw[entries], directory.offset, name)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn scan(entries: &[u8], inode_offset: u64, name: &[u8]) -> Result<Option<(u32, u64)>, Error> {
    let mut at = 0;
    while at + ENTRY <= entries.len() {
        let len = match usize::from(u16_at(entries, at + 4)) {
            // 65536 does not fit.
            0 | 0xffff if entries.len() == 1 << 16 => 1 << 16,
            len => len,
        };
        let name_len = usize::from(entries[at + 6]);
        if len < ENTRY + name_len || !len.is_multiple_of(4) || at + len > entries.len() {
            return Err(Error::damaged(
                inode_offset,
                "an entry of this inode's directory does not end where it should",
            ));
        }
        let inode = u32_at(entries, at);
        if inode != 0 && entries[at + ENTRY..][..name_len] == *name {
            return Ok(Some((inode, inode_offset)));
        }
        at += len;
    }
    Ok(None)
}
