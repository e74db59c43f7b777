//! The nodes of trees.

use super::Error;
use super::key::{KEY, Key};
use crate::bytes::{u32_at, u64_at};

const HEAD: usize = 0x65;
const ITEM: usize = KEY + 8;
const POINTER: usize = KEY + 16;
const MOST_LEVELS: u8 = 8;

/// Where a tree begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Root {
    pub(super) logical: u64,
    pub(super) level: u8,
}

/// A node whose checksum is right.
#[derive(Debug)]
pub(super) struct Node {
    bytes: Vec<u8>,
    /// Where it is on the disk.
    place: u64,
    count: usize,
    level: u8,
}

/// An entry of a leaf.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) key: Key,
    pub(super) data: Vec<u8>,
    /// Where the data is on the disk.
    pub(super) place: u64,
}

impl Node {
    pub(super) fn parse(bytes: Vec<u8>, place: u64, root: Root) -> Result<Self, Error> {
        let damaged = |at: u64, what| Error::damaged(place + at, what);
        if bytes.len() < HEAD || crc32c::crc32c(&bytes[32..]) != u32_at(&bytes, 0) {
            return Err(damaged(0, "the checksum of a node is wrong"));
        }
        if u64_at(&bytes, 0x30) != root.logical {
            return Err(damaged(0x30, "a node belongs somewhere else"));
        }
        let (count, level) = (u32_at(&bytes, 0x60) as usize, bytes[0x64]);
        if level != root.level || level >= MOST_LEVELS {
            return Err(damaged(0x64, "a node is not of the level that it should be"));
        }
        let entry = if level == 0 { ITEM } else { POINTER };
        if count > (bytes.len() - HEAD) / entry {
            return Err(damaged(0x60, "a node has more entries than room"));
        }
        Ok(Self {
            bytes,
            place,
            count,
            level,
        })
    }

    pub(super) fn level(&self) -> u8 {
        self.level
    }

    pub(super) fn is_leaf(&self) -> bool {
        self.level == 0
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn place(&self) -> u64 {
        self.place
    }

    fn entry(&self, index: usize) -> &[u8] {
        let len = if self.is_leaf() { ITEM } else { POINTER };
        let from = HEAD + index * len;
        self.bytes.get(from..from + len).unwrap_or_default()
    }

    pub(super) fn key(&self, index: usize) -> Key {
        Key::parse(self.entry(index))
    }

    /// The node that an entry of an inner node leads to.
    pub(super) fn child(&self, index: usize) -> Root {
        Root {
            logical: u64_at(self.entry(index), KEY),
            level: self.level.saturating_sub(1),
        }
    }

    /// An entry of a leaf.
    pub(super) fn item(&self, index: usize) -> Result<Item, Error> {
        let entry = self.entry(index);
        let (from, len) = (u32_at(entry, KEY) as usize, u32_at(entry, KEY + 4) as usize);
        let data = HEAD
            .checked_add(from)
            .and_then(|from| self.bytes.get(from..from.checked_add(len)?));
        let Some(data) = data else {
            return Err(Error::damaged(self.place, "an item is not in its node"));
        };
        Ok(Item {
            key: Key::parse(entry),
            data: data.to_vec(),
            place: self.place + (HEAD + from) as u64,
        })
    }

    /// How many keys at the front fulfil a condition that none behind them does.
    pub(super) fn partition_point(&self, holds: impl Fn(Key) -> bool) -> usize {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if holds(self.key(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}
