//! Mapping pairs: which clusters of the volume hold which clusters of a stream.

/// Clusters of a stream that follow each other on the volume, or are nowhere. Ends where the next one starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    first: u64,
    /// The first cluster on the volume; `HOLE` where there is none.
    on_volume: u64,
}

const HOLE: u64 = u64::MAX;

/// All runs of a stream, from its first cluster on.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs {
    runs: Vec<Run>,
    end: u64,
    /// How many clusters are not holes.
    allocated: u64,
}

impl Runs {
    /// The number of clusters that are mapped, holes among them.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Where the cluster `index` of the stream is on the volume (none for a hole), and how many follow it there.
    pub(super) fn at(&self, index: u64) -> Option<(Option<u64>, u64)> {
        let next = self.runs.partition_point(|run| run.first <= index);
        let run = self.runs[..next].last().filter(|_| index < self.end)?;
        let end = self.runs.get(next).map_or(self.end, |run| run.first);
        let on_volume = (run.on_volume != HOLE).then(|| run.on_volume + (index - run.first));
        Some((on_volume, end - index))
    }

    /// Goes on with the mapping pairs of the next piece of the stream, on a volume of so many clusters. A cluster index
    /// stays below `limit`.
    pub(super) fn append(&mut self, mut pairs: &[u8], clusters: u64, limit: u64) -> Result<(), &'static str> {
        let mut cluster = 0i64;
        while let Some((&sizes, rest)) = pairs.split_first().filter(|(sizes, _)| **sizes != 0) {
            let (length, rest) = number(rest, sizes & 15).ok_or("a run's length is cut off or too long")?;
            let (distance, rest) = number(rest, sizes >> 4).ok_or("a run's position is cut off or too long")?;
            pairs = rest;
            let length = u64::try_from(length)
                .ok()
                .filter(|&length| length > 0)
                .ok_or("a run's length is not positive")?;
            let end = self.end.checked_add(length).filter(|&end| end <= limit);
            let end = end.ok_or("a stream has more clusters than a stream can have")?;
            let on_volume = if sizes >> 4 == 0 {
                HOLE
            } else {
                cluster = cluster.checked_add(distance).ok_or("a run is outside the volume")?;
                let start = u64::try_from(cluster).map_err(|_| "a run is outside the volume")?;
                if start.checked_add(length).is_none_or(|end| end > clusters) {
                    return Err("a run is outside the volume");
                }
                self.allocated += length;
                if self.allocated > clusters {
                    return Err("a stream has more clusters than the volume");
                }
                start
            };
            self.push(on_volume, end);
        }
        Ok(())
    }

    fn push(&mut self, on_volume: u64, end: u64) {
        let follows = self.runs.last().is_some_and(|last| match last.on_volume {
            HOLE => on_volume == HOLE,
            start => on_volume == start + (self.end - last.first),
        });
        if !follows {
            self.runs.push(Run {
                first: self.end,
                on_volume,
            });
        }
        self.end = end;
    }
}

/// A signed number of `len` bytes.
fn number(bytes: &[u8], len: u8) -> Option<(i64, &[u8])> {
    let (digits, rest) = bytes.split_at_checked(len.into())?;
    let negative = digits.last().is_some_and(|&last| last >= 0x80);
    let mut number = [if negative { 0xff } else { 0 }; 8];
    number.get_mut(..digits.len())?.copy_from_slice(digits);
    Some((i64::from_le_bytes(number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(pairs: &[u8]) -> Result<Runs, &'static str> {
        let mut runs = Runs::default();
        runs.append(pairs, 1000, 1 << 40)?;
        Ok(runs)
    }

    #[test]
    fn runs_forward_backward_and_holes() {
        let runs = runs(&[0x11, 10, 100, 0x11, 5, 0xf6, 0x01, 20, 0x01, 7, 0x21, 1, 0x2c, 1, 0]).unwrap();
        assert_eq!(runs.end(), 43);
        assert_eq!(runs.at(0), Some((Some(100), 10)));
        assert_eq!(runs.at(12), Some((Some(92), 3)));
        assert_eq!(runs.at(15), Some((None, 27)), "two holes in a row are one");
        assert_eq!(runs.at(42), Some((Some(390), 1)));
        assert_eq!(runs.at(43), None);
    }

    #[test]
    fn neighbours_are_one_run() {
        let runs = runs(&[0x11, 10, 100, 0x11, 5, 10, 0]).unwrap();
        assert_eq!(runs.at(3), Some((Some(103), 12)));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for pairs in [
            &[0x11, 10][..],
            &[0x10, 10, 0],
            &[0x11, 0, 5],
            &[0x11, 0xff, 5],
            &[0x11, 1, 0xff],
            &[0x21, 1, 0xe8, 3],
            &[0x19, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
            &[0x22, 0xe8, 3, 0, 0, 0x22, 0xe8, 3, 0, 0],
        ] {
            assert!(runs(pairs).is_err(), "{pairs:x?}");
        }
    }
}
