//! Directories. Names stand in the data part of a directory in any of its forms; the hashes behind it are not needed to
//! find one name.

use super::Error;
use super::fields::{u16_at, u32_at, u64_at};
use super::inode::{Format, Inode};
use super::superblock::Superblock;
use crate::filetree::Source;

/// A directory larger than this is damage: with the longest names it has four million entries.
const MAX_SIZE: u64 = 1 << 30;
const UNUSED: u16 = 0xffff;

/// The inode of `name` in a directory.
pub(super) fn find(
    source: &Source<'_>,
    volume: &Superblock,
    directory: &Inode,
    name: &[u8],
) -> Result<Option<u64>, Error> {
    if directory.format == Format::Local {
        return find_local(volume, directory, name);
    }
    if directory.size > MAX_SIZE.min(source.size()) {
        return Err(Error::damaged(
            directory.offset + 56,
            "a directory is larger than its volume, or than 1 GiB",
        ));
    }
    let mapping = directory.mapping(source, volume)?;
    let block_size = volume.directory_block_size;
    let mut at = 0;
    while let Some(next) = mapping.next(at).filter(|&next| next < directory.size) {
        let start = next - next % block_size;
        let block = mapping.read(source, start, block_size as usize)?;
        if let Some(found) = find_in_block(volume, directory, &block, name)? {
            return Ok(Some(found));
        }
        at = start + block_size;
    }
    Ok(None)
}

fn is_same(volume: &Superblock, one: &[u8], other: &[u8]) -> bool {
    if volume.ignores_ascii_case {
        one.eq_ignore_ascii_case(other)
    } else {
        one == other
    }
}

fn find_local(volume: &Superblock, directory: &Inode, name: &[u8]) -> Result<Option<u64>, Error> {
    let content = directory.local()?;
    let damaged = Error::damaged(directory.fork_offset(), "an entry of a directory leaves its inode");
    let &[count, wide, ..] = content else {
        return Err(damaged);
    };
    let number_len = if wide > 0 { 8 } else { 4 };
    let mut rest = content.get(2 + number_len..).unwrap_or_default();
    for _ in 0..count {
        let Some(entry_name) = rest.first().and_then(|&len| rest.get(3..3 + usize::from(len))) else {
            return Err(damaged);
        };
        let at = 3 + entry_name.len() + usize::from(volume.has_ftype);
        let Some(number) = rest.get(at..at + number_len) else {
            return Err(damaged);
        };
        if is_same(volume, entry_name, name) {
            return Ok(Some(if wide > 0 {
                u64_at(number, 0)
            } else {
                u32_at(number, 0).into()
            }));
        }
        rest = &rest[at + number_len..];
    }
    Ok(None)
}

fn find_in_block(volume: &Superblock, directory: &Inode, block: &[u8], name: &[u8]) -> Result<Option<u64>, Error> {
    let damaged = |what| Err(Error::damaged(directory.offset, what));
    // A directory of one block has its hashes at the end of it.
    let (is_whole, header) = match block.first_chunk() {
        Some(b"XD2B") if !volume.is_v5 => (true, 16),
        Some(b"XD2D") if !volume.is_v5 => (false, 16),
        Some(b"XDB3") if volume.is_v5 => (true, 64),
        Some(b"XDD3") if volume.is_v5 => (false, 64),
        _ => return damaged("a block of this inode's directory is not where it should be"),
    };
    let hashes = if is_whole {
        8 + 8 * u64::from(u32_at(block, block.len() - 8))
    } else {
        0
    };
    let end = usize::try_from(hashes)
        .ok()
        .and_then(|hashes| block.len().checked_sub(hashes));
    let Some(entries) = end.and_then(|end| block.get(..end)) else {
        return damaged("the hashes of this inode's directory leave no room for names");
    };
    let mut at = header;
    while at + 8 <= entries.len() {
        if u16_at(entries, at) == UNUSED {
            match usize::from(u16_at(entries, at + 2)) {
                0 => return damaged("unused room in this inode's directory has no end"),
                len => at += len,
            }
            continue;
        }
        let name_start = at + 9;
        let name_len = entries.get(at + 8).map_or(0, |&len| usize::from(len));
        let Some(entry_name) = entries.get(name_start..name_start + name_len) else {
            return damaged("an entry of this inode's directory leaves its block");
        };
        if is_same(volume, entry_name, name) {
            return Ok(Some(u64_at(entries, at)));
        }
        // Behind the name: the type, room, and where the entry starts.
        at += (9 + name_len + usize::from(volume.has_ftype) + 2).next_multiple_of(8);
    }
    Ok(None)
}
