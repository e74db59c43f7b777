//! Which address is where: parts of the address space, called chunks, lie in one piece each.

use std::collections::BTreeMap;

use super::Error;
use super::node::{Key, kind};
use crate::bytes::{u16_at, u64_at};

/// Chunks of a volume: of 1 GiB each, this is more than a PiB.
const MOST: usize = 1 << 20;
/// RAID1C4 keeps so many copies.
const MOST_COPIES: usize = 4;
const HEADER: usize = 48;
const STRIPE: usize = 32;

#[derive(Debug)]
struct Chunk {
    len: u64,
    /// Where its copies are on the volume.
    copies: Vec<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Chunks(BTreeMap<u64, Chunk>);

impl Chunks {
    /// Those that a superblock lists, whose place is that of the list.
    pub(super) fn of_superblock((list, place): &(Vec<u8>, u64), device: u64) -> Result<Self, Error> {
        let mut chunks = Self::default();
        let mut at = 0;
        while at < list.len() {
            let key = Key::read(list, at);
            let item = list.get(at + Key::LEN..).unwrap_or_default();
            let item = &item[..item.len().min(len(item))];
            chunks.add(key, item, place + at as u64, device)?;
            at += Key::LEN + item.len();
        }
        Ok(chunks)
    }

    /// Adds a chunk behind all others.
    pub(super) fn add(&mut self, key: Key, item: &[u8], place: u64, device: u64) -> Result<(), Error> {
        let damaged = |what| Error::damaged(place, what);
        let (start, len) = (key.offset, u64_at(item, 0));
        if key.kind != kind::CHUNK || item.len() < HEADER + STRIPE || item.len() != self::len(item) {
            return Err(damaged("there is no chunk where one should be"));
        }
        if len == 0 || start.checked_add(len).is_none() || start < self.end() {
            return Err(damaged("a chunk is where another one is"));
        }
        if self.0.len() == MOST {
            return Err(Error::unsupported("more than 1048576 chunks"));
        }
        check_profile(u64_at(item, 24), u16_at(item, 44))?;
        let stripes = item[HEADER..].chunks_exact(STRIPE);
        let own = stripes.filter(|stripe| u64_at(stripe, 0) == device);
        let copies: Vec<_> = own.take(MOST_COPIES).map(|stripe| u64_at(stripe, 8)).collect();
        if copies.is_empty() {
            return Err(Error::unsupported("its other devices"));
        }
        if copies.iter().any(|copy| copy.checked_add(len).is_none()) {
            return Err(damaged("a chunk is not on the volume"));
        }
        self.0.insert(start, Chunk { len, copies });
        Ok(())
    }

    fn end(&self) -> u64 {
        self.0.last_key_value().map_or(0, |(start, chunk)| start + chunk.len)
    }

    /// Where the copies of these bytes are on the volume, of which there is at least one.
    pub(super) fn places(&self, address: u64, len: u64) -> Result<impl Iterator<Item = u64> + Clone, Error> {
        let before = self.0.range(..=address).next_back();
        let inside = before.map(|(start, chunk)| (address - start, chunk));
        let fits = |&(at, chunk): &(u64, &Chunk)| at < chunk.len && len <= chunk.len - at;
        let (at, chunk) = inside.filter(fits).ok_or(Error::Nowhere { address })?;
        Ok(chunk.copies.iter().map(move |copy| copy + at))
    }

    /// Where the first copy is.
    pub(super) fn place(&self, address: u64, len: u64) -> Result<u64, Error> {
        self.places(address, len)?.next().ok_or(Error::Nowhere { address })
    }
}

/// How long the item of a chunk says that it is.
fn len(item: &[u8]) -> usize {
    HEADER + usize::from(u16_at(item, 44)) * STRIPE
}

fn check_profile(flags: u64, stripes: u16) -> Result<(), Error> {
    const RAID0: u64 = 1 << 3;
    const RAID10_5_6: u64 = 1 << 6 | 1 << 7 | 1 << 8;
    /// The bits that say what is in it, and how it is kept.
    const KNOWN: u64 = 0x7ff;
    if flags & RAID10_5_6 != 0 || flags & RAID0 != 0 && stripes > 1 {
        return Err(Error::unsupported("stripes over several devices"));
    }
    if flags & !KNOWN != 0 {
        return Err(Error::unsupported("chunks of an unknown kind"));
    }
    Ok(())
}
