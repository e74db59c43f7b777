//! What the hosts of a pool know together.

use super::{Owner, Series};
use crate::{Error, Host, Ref};

/// Series of many objects, by [`Client::metrics`](crate::Client::metrics).
#[derive(Debug, Default)]
pub struct Metrics {
    /// By owner, name and consolidation; no two are of the same.
    series: Vec<Series>,
    failures: Vec<HostFailure>,
}

/// A host that did not say what it knows.
#[derive(Debug)]
#[non_exhaustive]
pub struct HostFailure {
    /// The host.
    pub host: Ref<Host>,
    /// Its name.
    pub name: String,
    /// Why not.
    pub error: Error,
}

impl Metrics {
    /// Puts together what the hosts said. A VM that was moved, or an SR that several hosts use, is in several answers.
    pub(super) fn new(mut series: Vec<Series>, failures: Vec<HostFailure>) -> Self {
        series.sort_by(|one, two| key(one).cmp(&key(two)));
        let mut merged: Vec<Series> = Vec::with_capacity(series.len());
        for series in series {
            match merged.last_mut() {
                Some(last) if key(last) == key(&series) => last.absorb(series),
                _ => merged.push(series),
            }
        }
        Self {
            series: merged,
            failures,
        }
    }

    /// All series, those of one owner side by side.
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// All series, to keep.
    pub fn into_series(self) -> Vec<Series> {
        self.series
    }

    /// The series of an owner; none where nothing is known of it.
    pub fn of(&self, owner: &Owner) -> &[Series] {
        let start = self.series.partition_point(|series| series.owner < *owner);
        let length = self.series[start..].partition_point(|series| series.owner == *owner);
        &self.series[start..start + length]
    }

    /// The series of the VM with this UUID.
    pub fn vm(&self, uuid: &str) -> &[Series] {
        self.of(&Owner::Vm(uuid.to_owned()))
    }

    /// The series of the host with this UUID.
    pub fn host(&self, uuid: &str) -> &[Series] {
        self.of(&Owner::Host(uuid.to_owned()))
    }

    /// The series of the storage repository with this UUID.
    pub fn sr(&self, uuid: &str) -> &[Series] {
        self.of(&Owner::Sr(uuid.to_owned()))
    }

    /// The series of an owner by the name of its data source; that of averages where there are several.
    pub fn get(&self, owner: &Owner, source: &str) -> Option<&Series> {
        self.of(owner).iter().find(|series| series.source.name() == source)
    }

    /// The hosts that could not be asked; what they know is not here.
    pub fn failures(&self) -> &[HostFailure] {
        &self.failures
    }
}

impl<'a> IntoIterator for &'a Metrics {
    type Item = &'a Series;
    type IntoIter = std::slice::Iter<'a, Series>;

    fn into_iter(self) -> Self::IntoIter {
        self.series.iter()
    }
}

fn key(series: &Series) -> impl Ord + '_ {
    (&series.owner, &series.source, series.consolidation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Consolidation, DataSource, Point};

    fn series(owner: Owner, source: &str, time: i64) -> Series {
        let points = vec![Point { time, value: 1.0 }];
        Series::new(owner, DataSource::new(source), Consolidation::Average, 5, points)
    }

    #[test]
    fn series_are_found_by_owner_and_merged() {
        let (one, two) = (Owner::Vm("1".to_owned()), Owner::Vm("2".to_owned()));
        let metrics = Metrics::new(
            vec![
                series(two.clone(), "cpu0", 10),
                series(one.clone(), "memory", 5),
                series(one.clone(), "cpu0", 5),
                series(two.clone(), "cpu0", 5),
            ],
            Vec::new(),
        );
        assert_eq!(
            (metrics.vm("1").len(), metrics.vm("2").len(), metrics.vm("3").len()),
            (2, 1, 0)
        );
        assert!(metrics.host("1").is_empty() && metrics.sr("9").is_empty());
        assert_eq!(metrics.get(&two, "cpu0").unwrap().points.len(), 2);
        assert!(metrics.get(&one, "cpu1").is_none());
        assert_eq!(metrics.into_iter().count(), 3);
    }
}
