//! Directories. Names stand in the data part of a directory in any of its forms; the hashes behind it are not needed to
//! find one name.

use super::Error;
use super::fields::{u16_at, u32_at, u64_at};
use super::inode::{Format, Inode};
use super::superblock::Superblock;
use crate::filetree::{Mapping, Named, Names, Source};

/// A directory larger than this is damage: with the longest names it has four million entries.
const MAX_SIZE: u64 = 1 << 30;
const UNUSED: u16 = 0xffff;

/// How far a directory has been read.
pub(crate) struct Reading {
    directory: Inode,
    place: Place,
}

enum Place {
    /// In the inode, still to be read or not.
    Local(bool),
    /// In blocks, from this byte on.
    Blocks(Mapping, u64),
}

impl Reading {
    pub(super) fn new(source: &Source<'_>, volume: &Superblock, directory: &Inode) -> Result<Self, Error> {
        let place = if directory.format == Format::Local {
            Place::Local(true)
        } else if directory.size > MAX_SIZE.min(source.size()) {
            return Err(Error::damaged(
                directory.offset + 56,
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

    /// The next names with their inodes.
    pub(super) fn next(&mut self, source: &Source<'_>, volume: &Superblock) -> Result<Option<Names<u64>>, Error> {
        match &mut self.place {
            Place::Local(unread) => std::mem::take(unread)
                .then(|| local(volume, &self.directory))
                .transpose(),
            Place::Blocks(mapping, at) => {
                let Some(next) = mapping.next(*at).filter(|&next| next < self.directory.size) else {
                    return Ok(None);
                };
                let block_size = volume.directory_block_size;
                let start = next - next % block_size;
                *at = start + block_size;
                let block = mapping.read(source, start, block_size as usize)?;
                in_block(volume, &self.directory, &block).map(Some)
            }
        }
    }
}

/// The inode of `name` in a directory.
pub(super) fn find(
    source: &Source<'_>,
    volume: &Superblock,
    directory: &Inode,
    name: &[u8],
) -> Result<Option<u64>, Error> {
    let mut reading = Reading::new(source, volume, directory)?;
    while let Some(names) = reading.next(source, volume)? {
        if let Some(found) = names.into_iter().find(|found| is_same(volume, &found.name, name)) {
            return Ok(Some(found.link));
        }
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

fn local(volume: &Superblock, directory: &Inode) -> Result<Names<u64>, Error> {
    let content = directory.local()?;
    let damaged = Error::damaged(directory.fork_offset(), "an entry of a directory leaves its inode");
    let &[count, wide, ..] = content else {
        return Err(damaged);
    };
    let number_len = if wide > 0 { 8 } else { 4 };
    let mut rest = content.get(2 + number_len..).unwrap_or_default();
    let mut names = Names::new();
    for _ in 0..count {
        let Some(name) = rest.first().and_then(|&len| rest.get(3..3 + usize::from(len))) else {
            return Err(damaged);
        };
        let at = 3 + name.len() + usize::from(volume.has_ftype);
        let Some(number) = rest.get(at..at + number_len) else {
            return Err(damaged);
        };
        names.push(Named {
            name: name.to_vec(),
            link: if wide > 0 {
                u64_at(number, 0)
            } else {
                u32_at(number, 0).into()
            },
        });
        rest = &rest[at + number_len..];
    }
    Ok(names)
}

fn in_block(volume: &Superblock, directory: &Inode, block: &[u8]) -> Result<Names<u64>, Error> {
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
    let (mut at, mut names) = (header, Names::new());
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
        let Some(name) = entries.get(name_start..name_start + name_len) else {
            return damaged("an entry of this inode's directory leaves its block");
        };
        // The first two of a directory stand for itself and its parent.
        if name != b"." && name != b".." {
            names.push(Named {
                name: name.to_vec(),
                link: u64_at(entries, at),
            });
        }
        // Behind the name: the type, room, and where the entry starts.
        at += (9 + name_len + usize::from(volume.has_ftype) + 2).next_multiple_of(8);
    }
    Ok(names)
}
