//! What Windows had still to write into a hive: its logs, in both of their formats.
//!
//! Facts: the description of the format that Maxim Suhanov has published, and what hivex and Windows accept.

use std::collections::BTreeMap;

use xen_disk::ReadAt;

use super::base::{BaseBlock, CELLS};
use super::error::read;
use super::{Error, marvin};
use crate::bytes::{is_at, u32_at, u64_at};

const SECTOR: u64 = 512;
/// The head of an entry, up to its list of pages.
const HEAD: usize = 40;
/// No entry is longer: Windows writes its logs out long before.
const LONGEST: u64 = 64 << 20;
/// All that logs hold.
const MOST: u64 = 256 << 20;

/// Sectors of the file that have another content, by their places.
#[derive(Debug, Default)]
pub(super) struct Pages(BTreeMap<u64, Box<[u8]>>);

impl Pages {
    /// Where the last of them ends in the file.
    pub(super) fn end(&self) -> u64 {
        let last = self.0.last_key_value();
        last.map_or(0, |(start, sector)| start + sector.len() as u64)
    }

    /// Notes what stands from a sector's start on.
    fn note(&mut self, offset: u64, bytes: &[u8]) {
        for (number, sector) in bytes.chunks(SECTOR as usize).enumerate() {
            self.0.insert(offset + number as u64 * SECTOR, sector.into());
        }
    }

    /// Puts what is noted into bytes that were read from the file at `offset`.
    pub(super) fn put_over(&self, offset: u64, bytes: &mut [u8]) {
        let end = offset + bytes.len() as u64;
        for (&start, sector) in self.0.range(offset.saturating_sub(SECTOR - 1)..end) {
            let (from, to) = (start.max(offset), (start + sector.len() as u64).min(end));
            if from < to {
                let there = &sector[(from - start) as usize..(to - start) as usize];
                bytes[(from - offset) as usize..(to - offset) as usize].copy_from_slice(there);
            }
        }
    }
}

/// One entry of a log of the newer format.
struct Entry {
    sequence: u32,
    /// How long all cells are with it.
    length: u64,
    pages: Vec<(u64, Vec<u8>)>,
}

/// What the hive is with its logs.
pub(super) fn replay(hive: BaseBlock, logs: &[&dyn ReadAt]) -> Result<(BaseBlock, Pages), Error> {
    let mut newer = Vec::new();
    let mut older = None;
    for log in logs {
        let size = log.size().map_err(|source| Error::Read {
            offset: 0,
            len: 0,
            source,
        })?;
        if size <= SECTOR || size > MOST {
            continue;
        }
        let Ok(base) = BaseBlock::read(log) else { continue };
        let start = read(log, SECTOR, 4)?;
        if !base.is_checksum_right {
            continue;
        } else if is_at(&start, 0, b"HvLE") {
            let entries = entries(log, size)?;
            newer.extend(
                entries
                    .first()
                    .map(|entry| entry.sequence)
                    .map(|first| (first, base, entries)),
            );
        } else if is_at(&start, 0, b"DIRT") {
            older = Some((base, dirty_sectors(log, size)?));
        }
    }
    if newer.is_empty() {
        return Ok(match older {
            Some((base, pages)) if is_of(&hive, &base) => (of_log(base), pages),
            _ => (hive, Pages::default()),
        });
    }
    newer.sort_by_key(|(first, ..)| *first);
    let mut base = match newer.first() {
        Some((_, base, _)) if !hive.is_checksum_right => of_log(base.clone()),
        _ => hive,
    };
    let mut pages = Pages::default();
    let mut expected = None;
    for entry in newer.into_iter().flat_map(|(.., entries)| entries) {
        let is_due = expected.map_or(entry.sequence >= base.secondary_sequence, |due| entry.sequence == due);
        if !is_due {
            continue;
        }
        for (offset, bytes) in &entry.pages {
            pages.note(CELLS + offset, bytes);
        }
        base.length = entry.length;
        expected = Some(entry.sequence.wrapping_add(1));
    }
    Ok((base, pages))
}

/// Whether a log of the older format belongs to this state of the hive.
fn is_of(hive: &BaseBlock, log: &BaseBlock) -> bool {
    !hive.is_checksum_right || log.primary_sequence >= hive.secondary_sequence
}

/// The hive's base block, out of the copy that its log has.
fn of_log(log: BaseBlock) -> BaseBlock {
    BaseBlock {
        secondary_sequence: log.primary_sequence,
        ..log
    }
}

/// The entries of a log up to the first that is not whole.
fn entries(log: &dyn ReadAt, size: u64) -> Result<Vec<Entry>, Error> {
    let mut found: Vec<Entry> = Vec::new();
    let mut at = SECTOR;
    while at + HEAD as u64 <= size {
        let head = read(log, at, HEAD as u64)?;
        let len = u64::from(u32_at(&head, 4));
        if !is_at(&head, 0, b"HvLE") || !len.is_multiple_of(SECTOR) || !(SECTOR..=LONGEST.min(size - at)).contains(&len)
        {
            break;
        }
        let bytes = read(log, at, len)?;
        let Some(entry) = entry(&bytes) else { break };
        let follows = found
            .last()
            .is_none_or(|last| entry.sequence == last.sequence.wrapping_add(1));
        if !follows {
            break;
        }
        found.push(entry);
        at += len;
    }
    Ok(found)
}

fn entry(bytes: &[u8]) -> Option<Entry> {
    let is_whole = u64_at(bytes, 24) == marvin::hash(&bytes[HEAD..]) && u64_at(bytes, 32) == marvin::hash(&bytes[..32]);
    if !is_whole {
        return None;
    }
    let count = u32_at(bytes, 20) as usize;
    let list = bytes.get(HEAD..HEAD.checked_add(count.checked_mul(8)?)?)?;
    let mut rest = &bytes[HEAD + list.len()..];
    let mut pages = Vec::new();
    for page in list.chunks_exact(8) {
        let (offset, len) = (u64::from(u32_at(page, 0)), u32_at(page, 4) as usize);
        if !offset.is_multiple_of(SECTOR) {
            return None;
        }
        pages.push((offset, rest.get(..len)?.to_vec()));
        rest = &rest[len..];
    }
    Some(Entry {
        sequence: u32_at(bytes, 12),
        length: u32_at(bytes, 16).into(),
        pages,
    })
}

/// The sectors that a log of the older format has: a bit for each of the hive's, and then those whose bit is set.
fn dirty_sectors(log: &dyn ReadAt, size: u64) -> Result<Pages, Error> {
    let base = BaseBlock::read(log)?;
    let bits = read(
        log,
        SECTOR + 4,
        (base.length / SECTOR).div_ceil(8).min(size.saturating_sub(SECTOR + 4)),
    )?;
    let mut at = (SECTOR + 4 + bits.len() as u64).next_multiple_of(SECTOR);
    let mut pages = Pages::default();
    for number in (0..bits.len() as u64 * 8).filter(|number| bits[*number as usize / 8] >> (number % 8) & 1 == 1) {
        if at + SECTOR > size {
            // The log broke off, so nothing of it counts.
            return Ok(Pages::default());
        }
        pages.note(CELLS + number * SECTOR, &read(log, at, SECTOR)?);
        at += SECTOR;
    }
    Ok(pages)
}
