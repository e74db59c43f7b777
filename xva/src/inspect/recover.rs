//! What follows a damaged header.

use std::io::Read;

use super::{CHECKSUM_LIMIT, Expected, Found, Inspector, Sink};
use crate::block::{Name, USUAL_LEN};
use crate::checksum::{Algorithm, Digest};
use crate::error::{LooksLike, Result};
use crate::tar::{BLOCK, Header, Kind, padded};
use crate::verify::{Finding, Place};

/// So many checksums are computed at most in search of the end of one block.
const ATTEMPTS: usize = 4;

/// An archive may end with zeros up to a tape record of this many bytes.
const RECORD: usize = 10 << 10;

/// Looking for headers may go over the archive this often, so that time stays in proportion.
const SEARCH_FACTOR: u64 = 8;

/// And over so many bytes in any case.
const SEARCH_ALLOWANCE: u64 = 64 << 20;

impl<R: Read, S: Sink> Inspector<'_, R, S> {
    /// Goes on where no header stands: finds out what the header was for, or looks for the next one.
    pub(super) fn recover(&mut self, position: u64) -> Result<()> {
        let looks_like = LooksLike::guess(self.walk.window.peek(BLOCK));
        let place = Place::new(position..position + BLOCK as u64);
        self.sink.finding(Finding::DamagedHeader { place, looks_like });
        if self.recover_checksum()? {
            return Ok(());
        }
        self.flush()?;
        if self.recover_metadata() || self.recover_block()? {
            return Ok(());
        }
        self.walk.window.consume(BLOCK);
        self.search()
    }

    /// Takes what follows for the checksum that is due, where it looks like one.
    fn recover_checksum(&mut self) -> Result<bool> {
        let Some(content) = self.walk.ahead(BLOCK..2 * BLOCK) else {
            return Ok(false);
        };
        let len = content.iter().position(|&byte| byte == 0).unwrap_or(BLOCK);
        let (text, padding) = content.split_at(len);
        let digest = [Algorithm::Xxh64, Algorithm::Sha1]
            .into_iter()
            .find_map(|algorithm| Some((algorithm, algorithm.parse(text)?)));
        let Some((algorithm, digest)) = digest.filter(|_| padding.iter().all(|&byte| byte == 0)) else {
            return Ok(false);
        };
        let Some(mut found) = self.pending.take() else {
            return Ok(false);
        };
        self.walk.window.consume(2 * BLOCK);
        // Unless it fits, it may be the checksum of a later entry.
        self.lost |= algorithm.digest(&found.data) != digest;
        found.archive.end = self.walk.position();
        self.tracks.list[found.disk].count(algorithm);
        self.deliver(found, Expected::Checksum(digest))?;
        Ok(true)
    }

    /// Takes what follows up to the first block for `ova.xml`, where nothing came before.
    fn recover_metadata(&mut self) -> bool {
        if self.entries > 0 || self.metadata_seen || self.walk.ahead(BLOCK..BLOCK + 1) != Some(b"<") {
            return false;
        }
        let limit = usize::try_from(self.options.metadata_limit).unwrap_or(usize::MAX / 2);
        let mut end = 2 * BLOCK;
        while end <= limit {
            let Some(next) = self.walk.ahead(end..end + BLOCK) else {
                break;
            };
            let is_end = next.iter().all(|&byte| byte == 0);
            if is_end || self.walk.header_ahead(end).is_some_and(|header| self.is_ours(&header)) {
                let text = self.walk.ahead(BLOCK..end).unwrap_or_default();
                let text = text.trim_ascii_end();
                let len = text.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
                let text = text[..len].to_vec();
                let position = self.walk.position();
                self.walk.window.consume(end);
                self.entries += 1;
                self.understand(Place::new(position..position + end as u64), &text);
                return true;
            }
            end += BLOCK;
        }
        false
    }

    /// Takes what follows for a block, where a checksum behind it fits.
    fn recover_block(&mut self) -> Result<bool> {
        let track = self.tracks.current();
        let unit = track.map_or(USUAL_LEN, |track| track.counter.unit());
        let size = track.and_then(|track| track.virtual_size);
        let last = size.and_then(|size| size.checked_rem(unit)).unwrap_or(0);
        let limit = unit.max(USUAL_LEN).min(self.options.block_limit);
        let usual = [unit, 0, last];
        let allowed = SEARCH_ALLOWANCE.saturating_add(self.walk.position().saturating_mul(SEARCH_FACTOR));
        let others_end = if self.searched <= allowed { limit } else { 0 };
        let others = (BLOCK as u64..=others_end).step_by(BLOCK);
        let mut attempts = ATTEMPTS;
        let mut furthest = 0;
        for len in usual.into_iter().chain(others).filter(|&len| len <= limit) {
            furthest = furthest.max(len);
            let at = BLOCK + padded(len) as usize;
            let Some(header) = self.walk.header_ahead(at) else {
                continue;
            };
            let Some((disk, number, algorithm, digest)) = self.checksum_ahead(&header, at) else {
                continue;
            };
            let data = self.walk.ahead(BLOCK..BLOCK + len as usize).unwrap_or_default();
            if algorithm.digest(data) == digest {
                let data = data.to_vec();
                return self.take_recovered(&disk, number, algorithm, digest, data, at + 2 * BLOCK);
            }
            attempts -= 1;
            if attempts == 0 {
                break;
            }
        }
        self.searched = self.searched.saturating_add(furthest);
        Ok(false)
    }

    /// The checksum whose header stands `at` bytes ahead, if it can be the next one.
    fn checksum_ahead(&mut self, header: &Header, at: usize) -> Option<(String, u64, Algorithm, Digest)> {
        let Name::Checksum {
            disk,
            number,
            algorithm,
        } = Name::parse(&header.name)
        else {
            return None;
        };
        let size = header.size.filter(|&size| size <= CHECKSUM_LIMIT)? as usize;
        let is_next = match self.tracks.current() {
            Some(track) if track.id == disk => number >= track.counter.next(),
            _ => number == 0 && self.is_new(disk),
        };
        let text = self.walk.ahead(at + BLOCK..at + BLOCK + size)?;
        let digest = algorithm.parse(text).filter(|_| is_next)?;
        Some((disk.to_owned(), number, algorithm, digest))
    }

    fn take_recovered(
        &mut self,
        disk: &str,
        number: u64,
        algorithm: Algorithm,
        digest: Digest,
        data: Vec<u8>,
        len: usize,
    ) -> Result<bool> {
        let position = self.walk.position();
        let Some(index) = self.enter(disk, position)? else {
            return Ok(false);
        };
        self.walk.window.consume(len);
        let archive = position..self.walk.position();
        self.entries += 2;
        let Some(step) = self.advance(index, number, data.len() as u64, Place::new(archive.clone())) else {
            return Ok(true);
        };
        self.tracks.list[index].count(algorithm);
        let found = Found {
            disk: index,
            number,
            offset: step.offset,
            data,
            archive,
            expected: Expected::Nothing,
            placed: step.placed,
            again: step.again,
        };
        self.deliver(found, Expected::Checksum(digest))?;
        Ok(true)
    }

    /// Passes over everything up to the next header.
    pub(super) fn search(&mut self) -> Result<()> {
        let start = self.walk.position();
        self.go_to_next_header()?;
        self.lost = true;
        let place = Place::new(start..self.walk.position());
        if !place.archive.is_empty() {
            self.sink.finding(Finding::PassedOver { place });
        }
        Ok(())
    }

    /// Goes to the next header of an entry that belongs to the archive, or else to the end; tells which.
    pub(super) fn go_to_next_header(&mut self) -> Result<bool> {
        self.flush()?;
        loop {
            if self.walk.header_ahead(0).is_some_and(|header| self.is_ours(&header)) {
                return Ok(true);
            }
            let rest = self.walk.window.peek(RECORD + 1);
            let is_end = (2 * BLOCK..=RECORD).contains(&rest.len()) && rest.iter().all(|&byte| byte == 0);
            if is_end || rest.is_empty() {
                return Ok(false);
            }
            self.walk.window.consume(BLOCK);
            self.sink.progress(self.walk.position());
        }
    }

    /// Whether a header found in the middle of other bytes can be the next one of this archive.
    fn is_ours(&self, header: &Header) -> bool {
        let size = header.size.unwrap_or(u64::MAX);
        if self.walk.has_extensions() && matches!(header.kind, Kind::LongName | Kind::Pax) {
            return true;
        }
        if header.kind != Kind::Regular {
            return false;
        }
        let (disk, number, limit) = match Name::parse(&header.name) {
            Name::Metadata => return !self.metadata_seen && size <= self.options.metadata_limit,
            Name::Block { disk, number } => (disk, number, self.options.block_limit),
            Name::Checksum { disk, number, .. } => (disk, number, CHECKSUM_LIMIT),
            Name::Other => return false,
        };
        let fits = match self.tracks.current() {
            Some(track) if track.id == disk => number >= track.counter.next(),
            _ => self.is_new(disk),
        };
        fits && size <= limit
    }

    /// Whether a disk can begin here.
    fn is_new(&self, disk: &str) -> bool {
        self.tracks.find(disk).is_none() && (self.ova.is_none() || self.tracks.is_promised(disk))
    }
}
