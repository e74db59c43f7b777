//! What is known of where a disk has data.

use std::collections::BTreeMap;
use std::ops::Range;

use super::flight::Extent;

/// How much of it is kept; more is forgotten and asked for again.
const MOST: usize = 1 << 17;
/// How much of one reply is kept.
const MOST_AT_ONCE: usize = 1 << 16;

/// Stretches of a disk by their first byte, none overlapping another.
#[derive(Debug, Default)]
pub(super) struct Allocation(BTreeMap<u64, Known>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) end: u64,
    pub(super) is_zero: bool,
}

impl Allocation {
    /// The stretch that byte `at` is in.
    pub(super) fn at(&self, at: u64) -> Option<(Range<u64>, bool)> {
        let (&start, known) = self.0.range(..=at).next_back()?;
        (at < known.end).then_some((start..known.end, known.is_zero))
    }

    /// Adds what a server tells of the disk from `offset` on.
    pub(super) fn learn(&mut self, offset: u64, extents: &[Extent]) {
        if self.0.len() > MOST {
            self.0.clear();
        }
        let mut start = offset;
        for extent in extents.iter().take(MOST_AT_ONCE) {
            let end = start + u64::from(extent.length);
            self.put(start..end, extent.is_zero);
            start = end;
        }
    }

    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    fn put(&mut self, mut range: Range<u64>, is_zero: bool) {
        self.cut(range.start);
        self.cut(range.end);
        while let Some((&start, _)) = self.0.range(range.clone()).next() {
            self.0.remove(&start);
        }
        if let Some((&start, &known)) = self.0.range(..range.start).next_back()
            && known.end == range.start
            && known.is_zero == is_zero
        {
            range.start = start;
        }
        let end = range.end;
        self.0.insert(range.start, Known { end, is_zero });
    }

    /// Makes byte `at` the first of its stretch.
    fn cut(&mut self, at: u64) {
        if let Some((&start, known)) = self.0.range_mut(..at).next_back()
            && at < known.end
        {
            let rest = *known;
            known.end = at;
            debug_assert!(start < at);
            self.0.insert(at, rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extents(kinds: &[(u32, bool)]) -> Vec<Extent> {
        kinds
            .iter()
            .map(|&(length, is_zero)| Extent { length, is_zero })
            .collect()
    }

    #[test]
    fn what_is_learnt_later_counts() {
        let mut allocation = Allocation::default();
        allocation.learn(100, &extents(&[(100, false), (100, true)]));
        assert_eq!(allocation.at(99), None);
        assert_eq!(allocation.at(100), Some((100..200, false)));
        assert_eq!(allocation.at(299), Some((200..300, true)));
        assert_eq!(allocation.at(300), None);
        allocation.learn(150, &extents(&[(100, true)]));
        assert_eq!(allocation.at(149), Some((100..150, false)));
        assert_eq!(allocation.at(150), Some((150..250, true)));
        assert_eq!(allocation.at(250), Some((250..300, true)));
    }

    #[test]
    fn neighbours_of_one_kind_are_joined() {
        let mut allocation = Allocation::default();
        allocation.learn(0, &extents(&[(10, true)]));
        allocation.learn(10, &extents(&[(10, true), (10, false)]));
        assert_eq!(allocation.at(15), Some((0..20, true)));
        assert_eq!(allocation.0.len(), 2);
    }
}
