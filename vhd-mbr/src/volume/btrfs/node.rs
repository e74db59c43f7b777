//! Nodes of trees, checked when they are read.

use std::ops::Range;

use super::Error;
use super::superblock::Superblock;
use crate::bytes::{array, u32_at, u64_at};

/// Kinds of items.
pub(super) mod kind {
    pub(in super::super) const INODE: u8 = 1;
    pub(in super::super) const NAME: u8 = 84;
    pub(in super::super) const NAME_BY_INDEX: u8 = 96;
    pub(in super::super) const EXTENT: u8 = 108;
    pub(in super::super) const CHECKSUMS: u8 = 128;
    pub(in super::super) const SUBVOLUME: u8 = 132;
    pub(in super::super) const SUBVOLUME_NAME: u8 = 156;
    pub(in super::super) const CHUNK: u8 = 228;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) object: u64,
    pub(super) kind: u8,
    pub(super) offset: u64,
}

impl Key {
    pub(super) const LEN: usize = 17;

    pub(super) fn new(object: u64, kind: u8, offset: u64) -> Self {
        Self { object, kind, offset }
    }

    pub(super) fn read(bytes: &[u8], at: usize) -> Self {
        let [kind] = array(bytes, at + 8);
        Self::new(u64_at(bytes, at), kind, u64_at(bytes, at + 9))
    }
}

/// Trees have so many levels at most.
const LEVELS: u8 = 8;
const HEADER: usize = 101;
/// An entry of a leaf: a key, and where its data is behind the header.
const ITEM: usize = 25;
/// An entry of another node: a key, an address and a generation.
const CHILD: usize = 33;

/// What is said of a node where it is referred to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pointer {
    pub(super) address: u64,
    level: u8,
    generation: u64,
    /// Its first key; a root is the only node that may be empty.
    first: Option<Key>,
}

impl Pointer {
    pub(super) fn root(address: u64, level: u8, generation: u64) -> Self {
        Self {
            address,
            level,
            generation,
            first: None,
        }
    }
}

#[derive(Debug)]
pub(super) struct Node {
    raw: Vec<u8>,
    /// Where it is on the volume.
    pub(super) place: u64,
}

impl Node {
    /// A node that has been read from `place`.
    pub(super) fn parse(raw: Vec<u8>, place: u64, address: u64, superblock: &Superblock) -> Result<Self, Error> {
        let node = Self { raw, place };
        let what = if !superblock.checksum.matches(&node.raw[32..], &node.raw) {
            "the checksum of a node does not match"
        } else if u64_at(&node.raw, 48) != address || array(&node.raw, 32) != superblock.id {
            "a node is not the one that should be here"
        } else if node.level() >= LEVELS || !node.fits() {
            "a node has more in it than it can hold"
        } else if !(1..node.count()).all(|slot| node.key(slot - 1) < node.key(slot)) {
            "the keys of a node are not in order"
        } else {
            return Ok(node);
        };
        Err(Error::damaged(place, what))
    }

    /// Whether this is what is referred to.
    pub(super) fn check(&self, pointer: &Pointer) -> Result<(), Error> {
        let is_first = match pointer.first {
            Some(first) => self.count() > 0 && self.key(0) == first,
            None => self.count() > 0 || self.is_leaf(),
        };
        if is_first && self.level() == pointer.level && u64_at(&self.raw, 80) == pointer.generation {
            return Ok(());
        }
        Err(Error::damaged(
            self.place,
            "a node is not what the one above says that it is",
        ))
    }

    fn fits(&self) -> bool {
        let count = u32_at(&self.raw, 96) as usize;
        let len = if self.is_leaf() { ITEM } else { CHILD };
        let room = self.raw.len() - HEADER;
        count <= room / len && (!self.is_leaf() || (0..count).all(|slot| self.range(slot).end <= self.raw.len()))
    }

    fn level(&self) -> u8 {
        self.raw[100]
    }

    pub(super) fn is_leaf(&self) -> bool {
        self.level() == 0
    }

    /// How many entries it has.
    pub(super) fn count(&self) -> usize {
        u32_at(&self.raw, 96) as usize
    }

    fn entry(&self, slot: usize) -> usize {
        HEADER + slot * if self.is_leaf() { ITEM } else { CHILD }
    }

    pub(super) fn key(&self, slot: usize) -> Key {
        Key::read(&self.raw, self.entry(slot))
    }

    /// The entry that has the key or comes before it, or the first one.
    pub(super) fn slot(&self, key: Key) -> usize {
        let (mut low, mut high) = (0, self.count());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match self.key(middle) <= key {
                true => low = middle,
                false => high = middle,
            }
        }
        low
    }

    /// The child of an entry, where this is no leaf.
    pub(super) fn child(&self, slot: usize) -> Pointer {
        let at = self.entry(slot);
        Pointer {
            address: u64_at(&self.raw, at + Key::LEN),
            level: self.level().saturating_sub(1),
            generation: u64_at(&self.raw, at + Key::LEN + 8),
            first: Some(self.key(slot)),
        }
    }

    /// Where the data of an entry is, where this is a leaf.
    pub(super) fn range(&self, slot: usize) -> Range<usize> {
        let at = self.entry(slot);
        // Both are below 4 GiB, of which there is room for three in any number of 64 bits.
        let start = HEADER as u64 + u64::from(u32_at(&self.raw, at + 17));
        let end = start + u64::from(u32_at(&self.raw, at + 21));
        usize::try_from(start).unwrap_or(usize::MAX)..usize::try_from(end).unwrap_or(usize::MAX)
    }

    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.raw.get(range).unwrap_or_default()
    }
}
