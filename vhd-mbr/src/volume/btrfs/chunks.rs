//! Where on the disk the volume's own addresses are.

use std::collections::BTreeMap;

use super::Error;
use crate::bytes::{u16_at, u64_at};

const HEAD: usize = 48;
const STRIPE: usize = 32;
/// RAID 0, 10, 5 and 6: pieces of one address range at several places.
const STRIPED: u64 = 0x08 | 0x40 | 0x80 | 0x100;
/// A chunk has 256 MiB at least on any disk of some size; so many are 256 TiB.
const MOST: usize = 1 << 20;

/// The chunks of a volume on one disk.
#[derive(Debug)]
pub(super) struct Chunks {
    device: u64,
    sector: u64,
    /// By the address at which each begins.
    chunks: BTreeMap<u64, Chunk>,
}

#[derive(Debug)]
struct Chunk {
    len: u64,
    is_striped: bool,
    /// Where its copies begin on the disk.
    copies: Vec<u64>,
}

impl Chunks {
    pub(super) fn new(device: u64, sector: u64) -> Self {
        Self {
            device,
            sector,
            chunks: BTreeMap::new(),
        }
    }

    /// Adds the chunk that an item describes, and gives the item's length. `place` is where the item is.
    pub(super) fn add(&mut self, logical: u64, item: &[u8], place: u64) -> Result<usize, Error> {
        let stripes = usize::from(u16_at(item, 44));
        let item_len = HEAD + stripes * STRIPE;
        let Some(stripes) = item.get(HEAD..item_len).filter(|stripes| !stripes.is_empty()) else {
            return Err(Error::damaged(place, "a chunk is cut off"));
        };
        let len = u64_at(item, 0);
        let sound = len.is_multiple_of(self.sector) && logical.is_multiple_of(self.sector);
        if len == 0 || !sound || logical.checked_add(len).is_none() {
            return Err(Error::damaged(place, "a chunk has no possible length"));
        }
        if self.chunks.len() == MOST {
            return Err(Error::damaged(place, "there are too many chunks"));
        }
        let here = stripes
            .chunks_exact(STRIPE)
            .filter(|stripe| u64_at(stripe, 0) == self.device);
        let chunk = Chunk {
            len,
            is_striped: u64_at(item, 24) & STRIPED != 0,
            copies: here.map(|stripe| u64_at(stripe, 8)).collect(),
        };
        self.chunks.insert(logical, chunk);
        Ok(item_len)
    }

    /// Where on the disk the copies of these bytes begin; one at least.
    pub(super) fn copies(&self, logical: u64, len: u64) -> Result<Vec<u64>, Error> {
        let nowhere = || Error::NoChunk { logical };
        let (&start, chunk) = self.chunks.range(..=logical).next_back().ok_or_else(nowhere)?;
        if logical.checked_add(len).is_none_or(|end| end - start > chunk.len) {
            return Err(nowhere());
        }
        if chunk.is_striped {
            return Err(Error::Unsupported {
                feature: "striped data",
            });
        }
        let copies = chunk.copies.iter().filter_map(|copy| copy.checked_add(logical - start));
        let copies: Vec<_> = copies.collect();
        if copies.is_empty() {
            return Err(nowhere());
        }
        Ok(copies)
    }
}
