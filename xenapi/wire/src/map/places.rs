//! Finding keys in the entries of a large map.

use std::borrow::Borrow;

/// The places of a map's entries, sorted by key in runs.
///
/// Each run covers entries behind those of the run before it and is shorter than that, so there are few. Adding an
/// entry makes a run of one and merges runs of like length, which moves each place a logarithmic number of times.
#[derive(Clone, Debug)]
pub(super) struct Places {
    runs: Vec<Vec<u32>>,
}

impl Places {
    /// Those of all entries; `None` where there are more than it can count.
    pub(super) fn of<K: Ord, V>(entries: &[(K, V)]) -> Option<Self> {
        let mut run: Vec<u32> = (0..u32::try_from(entries.len()).ok()?).collect();
        sort(&mut run, entries);
        Some(Self { runs: vec![run] })
    }

    /// The place of `key`; of several the last.
    pub(super) fn find<Q: Ord + ?Sized, K: Ord + Borrow<Q>, V>(&self, key: &Q, entries: &[(K, V)]) -> Option<usize> {
        self.runs.iter().rev().find_map(|run| {
            let end = run.partition_point(|&place| key_at(entries, place).borrow() <= key);
            let place = *run.get(end.checked_sub(1)?)?;
            (key_at(entries, place).borrow() == key).then_some(place as usize)
        })
    }

    /// Takes in the entry that was added last; `false` where it is one too many.
    pub(super) fn add_last<K: Ord, V>(&mut self, entries: &[(K, V)]) -> bool {
        let Some(place) = entries.len().checked_sub(1).and_then(|last| u32::try_from(last).ok()) else {
            return false;
        };
        let mut run = vec![place];
        while let Some(mut before) = self.runs.pop_if(|before| before.len() <= run.len()) {
            before.append(&mut run);
            sort(&mut before, entries);
            run = before;
        }
        self.runs.push(run);
        true
    }
}

/// Stable, so that of equal keys the last stays last.
fn sort<K: Ord, V>(run: &mut [u32], entries: &[(K, V)]) {
    run.sort_by(|&one, &other| key_at(entries, one).cmp(key_at(entries, other)));
}

fn key_at<K, V>(entries: &[(K, V)], place: u32) -> &K {
    &entries[place as usize].0
}
