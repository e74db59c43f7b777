//! What items are found by.

use crate::bytes::u64_at;

/// Keys are ordered by object, kind and offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) object: u64,
    pub(super) kind: u8,
    pub(super) offset: u64,
}

/// How long a key is on disk.
pub(super) const KEY: usize = 17;

/// Kinds of items.
pub(super) const INODE: u8 = 1;
pub(super) const DIR_ITEM: u8 = 84;
pub(super) const DIR_INDEX: u8 = 96;
pub(super) const EXTENT_DATA: u8 = 108;
pub(super) const EXTENT_CSUM: u8 = 128;
pub(super) const ROOT: u8 = 132;
pub(super) const ROOT_REF: u8 = 156;
pub(super) const CHUNK: u8 = 228;

impl Key {
    pub(super) fn new(object: u64, kind: u8, offset: u64) -> Self {
        Self { object, kind, offset }
    }

    pub(super) fn parse(bytes: &[u8]) -> Self {
        Self {
            object: u64_at(bytes, 0),
            kind: bytes.get(8).copied().unwrap_or(0),
            offset: u64_at(bytes, 9),
        }
    }

    /// Whether it is one of an object's items of a kind.
    pub(super) fn is_of(&self, object: u64, kind: u8) -> bool {
        self.object == object && self.kind == kind
    }
}
