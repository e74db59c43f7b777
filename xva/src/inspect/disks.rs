//! Blocks, their checksums and their places.

use std::io::Read;

use super::walk::Entry;
use super::{CHECKSUM_LIMIT, Expected, Found, Inspector, Sink};
use crate::block::{Counter, Misplaced};
use crate::checksum::{Algorithm, Digest};
use crate::error::Result;
use crate::verify::{Finding, Place};

/// Where a number leads.
pub(super) struct Step {
    pub(super) offset: u64,
    pub(super) placed: bool,
    pub(super) again: bool,
}

impl<R: Read, S: Sink> Inspector<'_, R, S> {
    pub(super) fn block(&mut self, entry: &Entry, disk: &str, number: u64) -> Result<()> {
        if entry.size > self.options.block_limit {
            return self.too_large(entry);
        }
        let Some(index) = self.enter(disk, entry.position)? else {
            return self.other(entry);
        };
        let archive = entry.position..self.walk.position() + entry.size;
        let end = self.tracks.list[index].end;
        let Some(step) = self.advance(index, number, entry.size, Place::new(archive.clone())) else {
            return self.skip(entry);
        };
        let mut data = std::mem::take(&mut self.spare);
        let whole = self.read(entry, &mut data);
        let found = Found {
            disk: index,
            number,
            offset: step.offset,
            archive: entry.position..self.walk.position(),
            data,
            expected: Expected::CutOff,
            placed: step.placed,
            again: step.again,
        };
        if whole {
            self.pending = Some(found);
            return Ok(());
        }
        self.tracks.list[index].end = end.max(found.on_disk().end);
        self.deliver(found, Expected::CutOff)
    }

    pub(super) fn checksum(&mut self, entry: &Entry, disk: &str, number: u64, algorithm: Algorithm) -> Result<()> {
        let tracks = &self.tracks.list;
        let settles = |found: &mut Found| found.number == number && tracks[found.disk].id == disk;
        let pending = self.pending.take_if(settles);
        self.flush()?;
        let mut place = Place::new(entry.position..self.walk.position() + entry.size).block(disk, number, None);
        let mut text = Vec::new();
        let readable = entry.size <= CHECKSUM_LIMIT && self.read(entry, &mut text);
        let digest = algorithm.parse(&text).filter(|_| readable);
        match digest {
            Some(digest) if digest.to_string().as_bytes() != text => {
                let place = place.clone();
                self.sink.finding(Finding::ChecksumForm { place });
            }
            None => {
                if let Some(found) = &pending {
                    place.archive.start = found.archive.start;
                    place.on_disk = Some(found.on_disk());
                }
                self.sink.finding(Finding::ChecksumMalformed { place });
            }
            Some(_) => {}
        }
        match (pending, digest) {
            (Some(mut found), Some(digest)) => {
                found.archive.end = self.walk.position();
                self.tracks.list[found.disk].count(algorithm);
                self.deliver(found, Expected::Checksum(digest))?;
            }
            (Some(found), None) => self.deliver(found, Expected::Nothing)?,
            (None, digest) => self.block_missing(entry, disk, number, digest)?,
        }
        match entry.size > CHECKSUM_LIMIT {
            true => self.too_large(entry),
            false => Ok(()),
        }
    }

    /// Counts a block of which there is only the checksum.
    fn block_missing(&mut self, entry: &Entry, disk: &str, number: u64, digest: Option<Digest>) -> Result<()> {
        let Some(index) = self.enter(disk, entry.position)? else {
            return Ok(());
        };
        let mut place = Place::new(entry.position..self.walk.position()).block(disk, number, None);
        // More may be missing than this block.
        self.lost = true;
        let track = &self.tracks.list[index];
        if number >= track.counter.next() {
            let empty = [Algorithm::Xxh64, Algorithm::Sha1].map(|algorithm| algorithm.digest(b""));
            let gap = (number - track.counter.next()).saturating_mul(track.counter.unit());
            let left = track.virtual_size.unwrap_or(u64::MAX);
            let left = left.saturating_sub(track.counter.end().saturating_add(gap));
            let len = match digest {
                Some(digest) if empty.contains(&digest) => 0,
                _ => track.counter.unit().min(left),
            };
            // Cut to what is left of the disk, it would seem to end where the disk ends in any case.
            let cut = left < track.counter.unit();
            self.tracks.list[index].confirmable &= !cut;
            let track = &self.tracks.list[index];
            if !track.begun || digest.is_none() {
                // The length of gaps is not known, or not whether this number stands for one.
                self.tracks.list[index].certain = false;
            }
            if let Some(step) = self.advance(index, number, len, place.clone()) {
                place.on_disk = Some(step.offset..step.offset.saturating_add(len));
            }
        }
        self.sink.finding(Finding::BlockMissing { place });
        Ok(())
    }

    /// Gives a block its place and tells what is odd about its number.
    pub(super) fn advance(&mut self, index: usize, number: u64, len: u64, place: Place) -> Option<Step> {
        let track = &mut self.tracks.list[index];
        let lost = std::mem::take(&mut self.lost);
        let (before, next) = (track.counter.end(), track.counter.next());
        let begun = std::mem::replace(&mut track.begun, true);
        let place = place.block(&track.id, number, None);
        let beyond = Finding::BeyondEnd {
            place: place.clone(),
            virtual_size: track.virtual_size.unwrap_or(u64::MAX),
        };
        // Empty entries may be among those that were passed over, and they take numbers without covering anything.
        track.certain &= number <= next || (begun && !lost);
        let mut again = false;
        let mut this_one_placed = true;
        let offset = match track.place(number, len) {
            Ok(offset) => offset,
            Err(Misplaced::Overflow) => {
                self.sink.finding(beyond);
                return None;
            }
            Err(Misplaced::Backwards { previous }) => {
                again = true;
                let place = place.clone();
                if number == previous {
                    self.sink.finding(Finding::Duplicate { place });
                    this_one_placed = false;
                    track.last_offset
                } else {
                    self.sink.finding(Finding::Backwards { place, previous });
                    if number == 0 && !lost {
                        track.restart();
                        self.sink.restart(index);
                        track.place(0, len).unwrap_or(0)
                    } else {
                        (track.certain, track.confirmable) = (false, false);
                        let unit = track.counter.unit();
                        let offset = number.saturating_mul(unit);
                        track.counter = Counter::resume(number + 1, offset.saturating_add(len), unit);
                        offset
                    }
                }
            }
        };
        let restarted = again && number == 0 && this_one_placed && track.certain;
        let on_disk = offset..offset.saturating_add(len);
        let place = Place {
            on_disk: Some(on_disk.clone()),
            ..place
        };
        if !begun && number != 0 {
            let place = place.clone();
            self.sink.finding(Finding::FirstBlockMissing { place });
        }
        let unit = track.counter.unit();
        let gap = offset > before && !again;
        if gap && begun {
            track.first_gap.get_or_insert(before);
            if !lost {
                track.left_out += number - next;
                self.sink.hole(index, before..offset, track.certain);
            }
        }
        let first_len = *self.tracks.first_len.get_or_insert(len);
        if !len.is_multiple_of(512) || (gap && unit != first_len) {
            let place = place.clone();
            self.sink.finding(Finding::BlockLength { place });
        }
        let size = track.virtual_size.unwrap_or(u64::MAX);
        if on_disk.end > size && len > 0 {
            track.overran = true;
            let Finding::BeyondEnd { virtual_size, .. } = beyond else {
                return None;
            };
            self.sink.finding(Finding::BeyondEnd { place, virtual_size });
        } else if len == 0 && offset >= size {
            self.sink.finding(Finding::BehindEnd { place });
        }
        Some(Step {
            offset,
            placed: track.certain && this_one_placed,
            again: again && !restarted,
        })
    }

    /// Goes to the disk with this id. `None` where there are too many.
    pub(super) fn enter(&mut self, id: &str, position: u64) -> Result<Option<usize>> {
        if self.tracks.is_current(id) {
            return Ok(self.tracks.current);
        }
        self.leave_disk()?;
        let place = Place::new(position..self.walk.position()).disk(id);
        if let Some(index) = self.tracks.find(id) {
            self.sink.finding(Finding::DiskReturned { place });
            self.tracks.current = Some(index);
            self.lost = true;
            return Ok(Some(index));
        }
        let previous = self.tracks.list.last().map(|track| track.id.clone());
        let Some(index) = self.tracks.begin(id) else {
            return Ok(None);
        };
        if let Some(previous) = previous.filter(|previous| previous.as_str() > id) {
            let place = place.clone();
            self.sink.finding(Finding::DiskOrder { place, previous });
        }
        if self.ova.is_some() && !self.tracks.is_promised(id) {
            self.sink.finding(Finding::DiskUnexpected { place });
        }
        self.sink.disk(id, self.tracks.list[index].virtual_size)?;
        self.tracks.current = Some(index);
        Ok(Some(index))
    }

    pub(super) fn leave_disk(&mut self) -> Result<()> {
        let Some(index) = self.tracks.current.take() else {
            return Ok(());
        };
        let track = &mut self.tracks.list[index];
        track.left_at = self.walk.position();
        let confirmed = !self.lost && track.is_confirmed();
        let refuted = track.overran.then(|| track.first_gap.unwrap_or(0));
        self.sink.disk_left(index, confirmed, refuted)
    }

    /// Delivers a block behind which no checksum came.
    pub(super) fn flush(&mut self) -> Result<()> {
        let Some(found) = self.pending.take() else {
            return Ok(());
        };
        if self.ova.as_ref().is_some_and(|ova| ova.version().export_vsn < 2) {
            self.awaits_table = true;
            return self.deliver(found, Expected::Table);
        }
        let id = &self.tracks.list[found.disk].id;
        let place = Place::new(found.archive.clone()).block(id, found.number, Some(found.on_disk()));
        self.sink.finding(Finding::ChecksumMissing { place });
        // Where bytes were taken out of a block, it ends amid the entries that followed it.
        self.lost = true;
        self.deliver(found, Expected::Nothing)
    }

    pub(super) fn deliver(&mut self, mut found: Found, expected: Expected) -> Result<()> {
        found.expected = expected;
        let track = &mut self.tracks.list[found.disk];
        if found.data.is_empty() {
            track.heartbeats += 1;
        } else {
            track.blocks += 1;
            track.data += found.data.len() as u64;
        }
        self.spare = self.sink.block(found)?;
        Ok(())
    }
}
