//! Where the blocks of a disk lie, as far as that is known.

/// Blocks of one disk that follow each other in the archive at equal distances.
///
/// Only some of the numbers in between may be known; each is found by the arithmetic of the others and looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    /// Where the first entry starts in the archive.
    pub(super) position: u64,
    /// From one entry to the next, in bytes.
    pub(super) stride: u64,
    /// From the start of an entry to its content, in bytes.
    pub(super) head: u64,
    /// Where the first block belongs on the disk.
    pub(super) offset: u64,
    /// The length of each block.
    pub(super) unit: u64,
    /// Entries whose numbers are known, both counted from the first block: the first and the last at least. Both rise.
    marks: Vec<(u64, u64)>,
    /// The number in the first block's name.
    pub(super) number: u64,
}

/// Where a block of a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spot {
    /// It is this entry.
    Entry(u64),
    /// There is none, nor for any up to this number.
    Hole { until: u64 },
    /// This entry has to be looked at.
    Ask(u64),
}

impl Run {
    /// A run of one block.
    pub(super) fn new(position: u64, stride: u64, head: u64, offset: u64, unit: u64, number: u64) -> Self {
        Self {
            position,
            stride,
            head,
            offset,
            unit,
            marks: vec![(0, 0)],
            number,
        }
    }

    /// Where an entry starts in the archive.
    pub(super) fn entry_at(&self, entry: u64) -> Option<u64> {
        self.position.checked_add(entry.checked_mul(self.stride)?)
    }

    /// Notes the number, counted from the first block's, that an entry has; `false` where it cannot be, since numbers
    /// rise by one at least from each entry to the next.
    pub(super) fn mark(&mut self, entry: u64, number: u64) -> bool {
        let fits = |low: (u64, u64), high: (u64, u64)| {
            let entries = high.0.checked_sub(low.0);
            entries.is_some_and(|entries| high.1.checked_sub(low.1).is_some_and(|numbers| numbers >= entries))
        };
        let place = self.marks.partition_point(|mark| mark.0 < entry);
        let (before, after) = self.marks.split_at(place);
        if let Some(&known) = after.first().filter(|known| known.0 == entry) {
            return known.1 == number;
        }
        let here = (entry, number);
        let fits =
            before.last().is_none_or(|&low| fits(low, here)) && after.first().is_none_or(|&high| fits(here, high));
        if fits {
            self.marks.insert(place, here);
        }
        fits
    }

    /// The last entry and its number.
    fn last(&self) -> (u64, u64) {
        self.marks.last().copied().unwrap_or_default()
    }

    /// How many entries there are.
    pub(super) fn entries(&self) -> u64 {
        self.last().0 + 1
    }

    /// The number in the last block's name.
    pub(super) fn last_number(&self) -> u64 {
        self.number + self.last().1
    }

    /// Whether numbers are missing between its first and its last entry.
    pub(super) fn has_gaps(&self) -> bool {
        let (entry, number) = self.last();
        number > entry
    }

    /// Where the last block ends on the disk.
    pub(super) fn end(&self) -> u64 {
        self.offset + (self.last().1 + 1) * self.unit
    }

    /// Where the block is that has a number, counted from the first block's. `halve` asks for the middle of what is left
    /// rather than for the likely place.
    pub(super) fn find(&self, number: u64, halve: bool) -> Spot {
        let Some(((low, low_number), (high, high_number))) = self.around(number) else {
            return Spot::Hole { until: u64::MAX };
        };
        if number == low_number {
            return Spot::Entry(low);
        }
        if high_number - low_number == high - low {
            return Spot::Entry(low + (number - low_number));
        }
        if high - low == 1 {
            return Spot::Hole { until: high_number };
        }
        // No entry can be farther than one number each allows.
        let first = (low + 1).max(high.saturating_sub(high_number - number));
        let last = (high - 1).min(low + (number - low_number));
        let likely = if halve {
            low + (high - low) / 2
        } else {
            let share = u128::from(number - low_number) * u128::from(high - low) / u128::from(high_number - low_number);
            low + share as u64
        };
        Spot::Ask(likely.clamp(first, last))
    }

    /// How many entries may be the one with a number.
    pub(super) fn width(&self, number: u64) -> u64 {
        self.around(number).map_or(0, |((low, _), (high, _))| high - low)
    }

    /// The marks on both sides of a number.
    fn around(&self, number: u64) -> Option<((u64, u64), (u64, u64))> {
        let above = self.marks.partition_point(|mark| mark.1 <= number);
        let low = *self.marks.get(above.checked_sub(1)?)?;
        let high = self.marks.get(above).copied();
        (high.is_some() || low.1 == number).then(|| (low, high.unwrap_or(low)))
    }

    /// The marks, to keep them.
    pub(super) fn marks(&self) -> &[(u64, u64)] {
        &self.marks
    }
}
