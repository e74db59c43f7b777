//! Content in the inode itself: the first 60 bytes instead of the block map, the rest in an extended attribute.

use std::iter;
use std::ops::Range;

use super::Error;
use super::inode::{Inode, MAP, MAP_LEN};
use crate::bytes::{is_at, u16_at, u32_at};
use crate::filetree::{Mapping, Piece};

const ATTRIBUTES_MAGIC: u32 = 0xea02_0000;
const SYSTEM: u8 = 7;
const NAME: &[u8] = b"data";
/// An entry without its name.
const ENTRY: usize = 16;

pub(super) fn mapping(inode: &Inode) -> Result<Mapping, Error> {
    let mut mapping = Mapping::default();
    let mut at = 0;
    for part in parts(inode)? {
        let len = part.len() as u64;
        let piece = Piece {
            file: at..at + len,
            offset: inode.offset + part.start as u64,
            written: true,
        };
        mapping.push(piece).map_err(|why| Error::misplaced(inode.offset, why))?;
        at += len;
    }
    if at < inode.size {
        return Err(Error::damaged(
            inode.offset,
            "a file is larger than its inode, in which it is said to be",
        ));
    }
    Ok(mapping)
}

/// Where the content is within the inode.
pub(super) fn parts(inode: &Inode) -> Result<Vec<Range<usize>>, Error> {
    let first = MAP..MAP + MAP_LEN;
    Ok(iter::once(first).chain(attribute(inode)?).collect())
}

/// Where the value of `system.data` is within the inode.
fn attribute(inode: &Inode) -> Result<Option<Range<usize>>, Error> {
    let raw = &inode.raw;
    let header = 128 + usize::from(u16_at(raw, 0x80));
    if raw.len() <= 128 || u32_at(raw, header) != ATTRIBUTES_MAGIC {
        return Ok(None);
    }
    let first = header + 4;
    let mut at = first;
    // The list ends in four zero bytes.
    while at + ENTRY <= raw.len() && u32_at(raw, at) != 0 {
        let name_len = usize::from(raw[at]);
        if raw[at + 1] == SYSTEM && name_len == NAME.len() && is_at(raw, at + ENTRY, NAME) {
            let start = first + usize::from(u16_at(raw, at + 2));
            let len = u32_at(raw, at + 8) as usize;
            let end = start.checked_add(len).filter(|&end| end <= raw.len());
            let end = end.ok_or_else(|| Error::damaged(inode.offset + at as u64, "an attribute leaves its inode"))?;
            return Ok(Some(start..end));
        }
        at += ENTRY + name_len.next_multiple_of(4);
    }
    Ok(None)
}
