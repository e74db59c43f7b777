//! Finds the blocks of a disk with few reads.

use super::entry::{Entry, Found, look};
use super::run::{Run, Spot};
use crate::block::{Counter, Name};
use crate::error::{Error, Result};
use xen_disk::ReadAt;

/// The archive that a map is of.
pub(super) struct Ground<'a, S> {
    pub(super) source: &'a S,
    /// The archive's length in bytes.
    pub(super) size: u64,
}

/// Where the blocks of one disk lie: what was found so far, and where to look on.
#[derive(Debug, Clone)]
pub(super) struct Map {
    pub(super) id: String,
    pub(super) virtual_size: Option<u64>,
    pub(super) runs: Vec<Run>,
    /// Where the next entry starts that was not looked at.
    pub(super) frontier: u64,
    counter: Counter,
    /// Whether the frontier is behind the disk's last entry.
    pub(super) complete: bool,
    pace: Pace,
}

/// How the entries of a run are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// Where the distance between two says that they are. An empty block takes a number and no place on the disk, so
    /// where numbers are missing between two entries, only a disk that ends where it should proves that none were empty.
    Leap,
    /// One by one, where leaping went wrong.
    Step,
}

/// Where a byte of a disk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In this entry of this run.
    Block { run: usize, entry: u64 },
    /// In no block: it is zero, and so is all up to here.
    Hole { until: u64 },
}

/// A block's entry with its number.
struct Numbered {
    entry: Entry,
    number: u64,
}

impl Map {
    /// Of a disk whose first entry starts at `position`.
    pub(super) fn new(id: &str, virtual_size: Option<u64>, position: u64) -> Self {
        Self {
            id: id.to_owned(),
            virtual_size,
            runs: Vec::new(),
            frontier: position,
            counter: Counter::default(),
            complete: false,
            pace: Pace::Leap,
        }
    }

    /// Of a disk that is known as far as these runs go.
    pub(super) fn known(id: &str, virtual_size: Option<u64>, runs: Vec<Run>, frontier: u64) -> Self {
        Self {
            id: id.to_owned(),
            virtual_size,
            runs,
            frontier,
            counter: Counter::default(),
            complete: true,
            pace: Pace::Leap,
        }
    }

    /// Where the disk's last block ends, as far as the map goes.
    pub(super) fn end(&self) -> u64 {
        self.runs.last().map_or(0, Run::end)
    }

    /// Where the byte at `offset` is. Looks on in the archive where that is not known.
    pub(super) fn find(&mut self, ground: &Ground<'_, impl ReadAt>, offset: u64) -> Result<Place> {
        self.or_step(|map| map.search(ground, offset))
    }

    /// Does something again at the slower pace where blocks are not where the faster one took them to be.
    fn or_step<T>(&mut self, mut task: impl FnMut(&mut Self) -> Result<T>) -> Result<T> {
        match task(self) {
            Err(Error::Moved { .. }) if self.pace == Pace::Leap => {
                let start = self.runs.first().map_or(self.frontier, |run| run.position);
                *self = Self {
                    pace: Pace::Step,
                    ..Self::new(&self.id, self.virtual_size, start)
                };
                task(self)
            }
            done => done,
        }
    }

    fn search(&mut self, ground: &Ground<'_, impl ReadAt>, offset: u64) -> Result<Place> {
        while !self.complete && self.end() <= offset {
            self.explore(ground)?;
        }
        if self.is_doubtful() {
            self.finish(ground)?;
        }
        self.require_end(offset)?;
        let after = self.runs.partition_point(|run| run.offset <= offset);
        let next = self.runs.get(after).map_or(u64::MAX, |run| run.offset);
        let Some(place) = after.checked_sub(1) else {
            return Ok(Place::Hole { until: next });
        };
        if offset >= self.runs[place].end() {
            return Ok(Place::Hole { until: next });
        }
        let number = (offset - self.runs[place].offset) / self.runs[place].unit;
        let mut halve = false;
        loop {
            let run = &self.runs[place];
            match run.find(number, halve) {
                Spot::Entry(entry) => return Ok(Place::Block { run: place, entry }),
                Spot::Hole { until } => {
                    let until = run.offset + until.min(u64::MAX / run.unit - 1) * run.unit;
                    return Ok(Place::Hole { until: until.min(next) });
                }
                Spot::Ask(entry) => {
                    let width = run.width(number);
                    let position = run.entry_at(entry).unwrap_or(u64::MAX);
                    let (first, unit) = (run.number, run.unit);
                    let found = self.block(ground, position)?;
                    let found = found.filter(|found| found.entry.size == unit);
                    let found = found.and_then(|found| found.number.checked_sub(first));
                    if !found.is_some_and(|found| self.runs[place].mark(entry, found)) {
                        return Err(Error::Moved {
                            position,
                            disk: self.id.clone(),
                        });
                    }
                    halve = self.runs[place].width(number) > width / 2;
                }
            }
        }
    }

    /// Goes on to the end of the disk.
    pub(super) fn complete(&mut self, ground: &Ground<'_, impl ReadAt>) -> Result<()> {
        self.or_step(|map| map.finish(ground))
    }

    fn finish(&mut self, ground: &Ground<'_, impl ReadAt>) -> Result<()> {
        while !self.complete {
            self.explore(ground)?;
        }
        match self.is_doubtful() {
            true => Err(Error::Moved {
                position: self.frontier,
                disk: self.id.clone(),
            }),
            false => Ok(()),
        }
    }

    /// Whether there may be empty blocks among those that were leapt over.
    fn is_doubtful(&self) -> bool {
        let proven = self.complete && self.virtual_size == Some(self.end());
        self.pace == Pace::Leap && !proven && self.runs.iter().any(Run::has_gaps)
    }

    /// A disk's last block is never left out: what no block follows was cut off, and is not zero.
    fn require_end(&self, offset: u64) -> Result<()> {
        match self.virtual_size {
            Some(virtual_size) if self.complete && (self.end()..virtual_size).contains(&offset) => {
                Err(Error::DiskShort {
                    position: self.frontier,
                    disk: self.id.clone(),
                    end: self.end(),
                    virtual_size,
                })
            }
            _ => Ok(()),
        }
    }

    /// The block of this disk whose entry starts at a place, if one does.
    fn block(&self, ground: &Ground<'_, impl ReadAt>, position: u64) -> Result<Option<Numbered>> {
        if position >= ground.size {
            return Ok(None);
        }
        let Found::Entry(entry) = look(ground.source, ground.size, position)? else {
            return Ok(None);
        };
        let number = match Name::parse(&entry.name) {
            Name::Block { disk, number } if disk == self.id && entry.regular => number,
            _ => return Ok(None),
        };
        Ok(Some(Numbered { entry, number }))
    }

    /// Looks at what comes next: a run of blocks, an empty one, or something that is not of this disk.
    fn explore(&mut self, ground: &Ground<'_, impl ReadAt>) -> Result<()> {
        let position = self.frontier;
        let Some(Numbered { entry, number }) = self.block(ground, position)? else {
            if let Found::Other(error) = look(ground.source, ground.size, position)? {
                return Err(error);
            }
            self.complete = true;
            return Ok(());
        };
        let moved = |map: &Self| Error::Moved {
            position,
            disk: map.id.clone(),
        };
        let offset = self.counter.place(number, entry.size).map_err(|_| moved(self))?;
        if self
            .virtual_size
            .is_some_and(|size| offset.saturating_add(entry.size) > size)
        {
            return Err(moved(self));
        }
        let next = self.after(ground, &entry)?;
        self.frontier = next;
        if entry.size == 0 {
            return Ok(());
        }
        let head = entry.content - position;
        let mut run = Run::new(position, next - position, head, offset, entry.size, number);
        self.extend(ground, &mut run)?;
        // The counter goes on behind the last block: as if all numbers between had been left out.
        let last = run.last_number();
        if last > number && self.counter.place(last, run.unit).is_err() {
            return Err(moved(self));
        }
        self.frontier = run.entry_at(run.entries()).ok_or_else(|| moved(self))?;
        self.runs.push(run);
        Ok(())
    }

    /// Where the next block starts, behind the checksum of this one if it has one.
    fn after(&self, ground: &Ground<'_, impl ReadAt>, block: &Entry) -> Result<u64> {
        if block.next >= ground.size {
            return Ok(block.next);
        }
        match look(ground.source, ground.size, block.next)? {
            Found::Entry(entry) if matches!(Name::parse(&entry.name), Name::Checksum { disk, .. } if disk == self.id) => {
                Ok(entry.next)
            }
            _ => Ok(block.next),
        }
    }

    /// Finds how far blocks follow each other at the same distance: tries the farthest that can be, then twice as far as
    /// known each time, then halves what is left.
    fn extend(&self, ground: &Ground<'_, impl ReadAt>, run: &mut Run) -> Result<()> {
        if self.pace == Pace::Step {
            return self.step(ground, run);
        }
        let most_on_disk = self
            .virtual_size
            .map_or(u64::MAX, |size| (size - run.offset) / run.unit);
        let most = most_on_disk.min((ground.size - run.position) / run.stride);
        if most < 2 {
            return Ok(());
        }
        if self.belongs(ground, run, most - 1)? {
            return self.confirm(ground, run);
        }
        let (mut known, mut wrong, mut step) = (0, most - 1, 1);
        while wrong - known > 1 {
            let entry = match known + step {
                entry if step > 0 && entry < wrong => entry,
                _ => {
                    step = 0;
                    known + (wrong - known) / 2
                }
            };
            if self.belongs(ground, run, entry)? {
                known = entry;
                step *= 2;
            } else {
                wrong = entry;
                step = 0;
            }
        }
        self.confirm(ground, run)
    }

    /// Whether an entry is a block of the run, whose number is then noted.
    fn belongs(&self, ground: &Ground<'_, impl ReadAt>, run: &mut Run, entry: u64) -> Result<bool> {
        let Some(position) = run.entry_at(entry) else {
            return Ok(false);
        };
        let Some(found) = self.block(ground, position)? else {
            return Ok(false);
        };
        let number = found.number.checked_sub(run.number);
        let end = number.and_then(|number| run.offset.checked_add((number.checked_add(1)?).checked_mul(run.unit)?));
        let inside = end.is_some_and(|end| self.virtual_size.is_none_or(|size| end <= size));
        let alike = found.entry.size == run.unit && found.entry.content - position == run.head;
        Ok(inside && alike && number.is_some_and(|number| run.mark(entry, number)))
    }

    /// Something must start where the run ends. Where nothing does, what was taken for blocks lies inside of others, as
    /// in the copy of an archive on the disk, so only the first is believed, and the rest is gone through one by one.
    fn confirm(&self, ground: &Ground<'_, impl ReadAt>, run: &mut Run) -> Result<()> {
        let end = run.entry_at(run.entries()).unwrap_or(u64::MAX);
        if end >= ground.size || !matches!(look(ground.source, ground.size, end)?, Found::Other(_)) {
            return Ok(());
        }
        *run = Run::new(run.position, run.stride, run.head, run.offset, run.unit, run.number);
        self.step(ground, run)
    }

    /// Goes on entry by entry as long as they belong to the run.
    fn step(&self, ground: &Ground<'_, impl ReadAt>, run: &mut Run) -> Result<()> {
        while self.belongs(ground, run, run.entries())? {}
        Ok(())
    }
}
