//! What is known of every byte of a disk.

use std::collections::BTreeMap;
use std::ops::Range;

/// Why bytes of a disk are in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Doubt {
    /// They differ from their checksum.
    Checksum,
    /// They have no checksum.
    Unchecked,
    /// They are whole, but entries before them are lost or out of order, so that they may belong elsewhere.
    Place,
    /// The archive breaks off within their block.
    CutOff,
    /// Two parts of the archive say different things about them.
    Contradicted,
}

/// How far bytes of a disk can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Trust {
    /// They are what the exported disk held: their checksum holds, or they are zeros that were left out between two
    /// blocks in order; and their place is beyond doubt.
    Trusted,
    /// There are bytes, and they may be wrong.
    Doubtful(Doubt),
    /// Nothing is known. They were not written, so they are zero where the target was.
    Unknown,
}

/// A range of a disk that has one kind of trust.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extent {
    /// Bytes of the disk.
    pub range: Range<u64>,
    /// How far they can be relied on.
    pub trust: Trust,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    Data,
    Zero,
    /// Data of a single block, whose checksum a table at the end holds.
    Awaits,
    Doubt(Doubt),
}

impl Cell {
    pub(super) fn is_trusted(self) -> bool {
        matches!(self, Self::Data | Self::Zero)
    }

    /// Whether the bytes are known to be wrong.
    pub(super) fn is_broken(self) -> bool {
        matches!(self, Self::Doubt(Doubt::Checksum | Doubt::CutOff))
    }
}

/// Ranges by where they start. They do not overlap, and neighbours differ.
#[derive(Debug, Default)]
pub(super) struct Map {
    cells: BTreeMap<u64, (u64, Cell)>,
}

impl Map {
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// What is known within a range, in order.
    pub(super) fn within(&self, range: &Range<u64>) -> Vec<(Range<u64>, Cell)> {
        let before = self.cells.range(..range.start).next_back();
        let inside = self.cells.range(range.start..range.end.max(range.start));
        before
            .into_iter()
            .chain(inside)
            .map(|(&start, &(end, cell))| (start.max(range.start)..end.min(range.end), cell))
            .filter(|(part, _)| !part.is_empty())
            .collect()
    }

    pub(super) fn set(&mut self, range: Range<u64>, cell: Cell) {
        if range.is_empty() {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        // Neighbours that touch count too, so that equal ones become one.
        let first = self.cells.range(..start).next_back().map_or(start, |(&start, _)| start);
        let touched: Vec<u64> = self.cells.range(first..=end).map(|(&start, _)| start).collect();
        for at in touched {
            let Some(&(until, old)) = self.cells.get(&at) else {
                continue;
            };
            if until < range.start {
                continue;
            }
            self.cells.remove(&at);
            if old == cell {
                (start, end) = (start.min(at), end.max(until));
                continue;
            }
            if at < range.start {
                self.cells.insert(at, (range.start.min(until), old));
            }
            if until > range.end {
                self.cells.insert(range.end.max(at), (until, old));
            }
        }
        self.cells.insert(start, (end, cell));
    }

    /// Changes every cell from `start` on.
    pub(super) fn change(&mut self, start: u64, mut change: impl FnMut(Cell) -> Cell) {
        for (part, cell) in self.within(&(start..u64::MAX)) {
            let changed = change(cell);
            if changed != cell {
                self.set(part, changed);
            }
        }
    }

    /// Everything up to `end`, without a gap.
    pub(super) fn extents(&self, end: u64) -> Vec<Extent> {
        let mut extents: Vec<Extent> = Vec::new();
        let mut add = |range: Range<u64>, trust| match extents.last_mut() {
            _ if range.is_empty() => {}
            Some(last) if last.trust == trust => last.range.end = range.end,
            _ => extents.push(Extent { range, trust }),
        };
        let mut at = 0;
        for (&start, &(until, cell)) in &self.cells {
            add(at..start, Trust::Unknown);
            let trust = match cell {
                Cell::Data | Cell::Zero => Trust::Trusted,
                Cell::Awaits => Trust::Doubtful(Doubt::Unchecked),
                Cell::Doubt(doubt) => Trust::Doubtful(doubt),
            };
            add(start..until, trust);
            at = until;
        }
        add(at..end.max(at), Trust::Unknown);
        extents
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sets random ranges and compares with one cell per byte.
    #[test]
    fn ranges_as_bytes() {
        let cells = [
            Cell::Data,
            Cell::Zero,
            Cell::Doubt(Doubt::Place),
            Cell::Doubt(Doubt::Checksum),
        ];
        let mut state = 7u64;
        let mut below = |limit: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % limit
        };
        let mut bytes = [None; 64];
        let mut map = Map::default();
        for round in 0..5000 {
            let start = below(64);
            let end = start + below(65 - start);
            let cell = cells[below(4) as usize];
            if round % 10 == 9 {
                let swap = |cell| match cell {
                    Cell::Doubt(Doubt::Place) => Cell::Data,
                    cell => cell,
                };
                map.change(start, swap);
                bytes[start as usize..]
                    .iter_mut()
                    .for_each(|byte| *byte = byte.map(swap));
            } else {
                map.set(start..end, cell);
                bytes[start as usize..end as usize].fill(Some(cell));
            }
            let mut from_map = [None; 64];
            let mut last: Option<(u64, Cell)> = None;
            for (range, cell) in map.within(&(0..64)) {
                assert_ne!(last, Some((range.start, cell)), "neighbours differ");
                last = Some((range.end, cell));
                from_map[range.start as usize..range.end as usize].fill(Some(cell));
            }
            assert_eq!(from_map, bytes, "round {round}");
            let extents = map.extents(64);
            assert_eq!(
                extents
                    .iter()
                    .map(|extent| extent.range.end - extent.range.start)
                    .sum::<u64>(),
                64
            );
        }
    }
}
