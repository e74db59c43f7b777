//! Series of values, and what they are of.

use std::fmt;

use super::{DataSource, MetricsError};

/// What a measurement is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Owner {
    /// The host of this UUID.
    Host(String),
    /// The VM of this UUID; control domains are VMs too.
    Vm(String),
    /// The storage repository of this UUID.
    Sr(String),
    /// Something of a class that this crate does not know.
    Other {
        /// The class as the server names it.
        class: String,
        /// The object's UUID.
        uuid: String,
    },
}

impl Owner {
    pub(super) fn new(class: &str, uuid: &str) -> Self {
        let uuid = uuid.to_owned();
        match class {
            "host" => Self::Host(uuid),
            "vm" => Self::Vm(uuid),
            "sr" => Self::Sr(uuid),
            _ => Self::Other {
                class: class.to_owned(),
                uuid,
            },
        }
    }

    /// The object's UUID.
    pub fn uuid(&self) -> &str {
        match self {
            Self::Host(uuid) | Self::Vm(uuid) | Self::Sr(uuid) | Self::Other { uuid, .. } => uuid,
        }
    }

    /// The class as the server names it: `host`, `vm` or `sr`.
    pub fn class(&self) -> &str {
        match self {
            Self::Host(_) => "host",
            Self::Vm(_) => "vm",
            Self::Sr(_) => "sr",
            Self::Other { class, .. } => class,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.class(), self.uuid())
    }
}

/// What was made of the samples that fall into one point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Consolidation {
    /// Their mean. Only this is kept every five seconds.
    #[default]
    Average,
    /// The smallest.
    Minimum,
    /// The largest.
    Maximum,
    /// The last.
    Last,
}

impl Consolidation {
    /// How it is called on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Average => "AVERAGE",
            Self::Minimum => "MIN",
            Self::Maximum => "MAX",
            Self::Last => "LAST",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Average, Self::Minimum, Self::Maximum, Self::Last]
            .into_iter()
            .find(|known| known.as_str() == name)
    }
}

impl fmt::Display for Consolidation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The end of the time that the value stands for, in seconds since 1970.
    pub time: i64,
    /// The value; NaN where nothing is known, as before a VM was started.
    pub value: f64,
}

impl Point {
    /// Whether there is a value.
    pub fn is_known(&self) -> bool {
        !self.value.is_nan()
    }
}

/// The values of one data source of one object.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Series {
    /// What was measured.
    pub owner: Owner,
    /// What of it.
    pub source: DataSource,
    /// How samples were brought down to points.
    pub consolidation: Consolidation,
    /// Seconds between two points, as far as the server keeps to it.
    pub step: i64,
    /// The values, oldest first.
    pub points: Vec<Point>,
}

impl Series {
    /// Points of one data source, oldest first, so many seconds apart.
    pub const fn new(
        owner: Owner,
        source: DataSource,
        consolidation: Consolidation,
        step: i64,
        points: Vec<Point>,
    ) -> Self {
        Self {
            owner,
            source,
            consolidation,
            step,
            points,
        }
    }

    /// The newest value that is known.
    pub fn latest(&self) -> Option<Point> {
        self.points.iter().rev().copied().find(Point::is_known)
    }

    /// The values that are known, oldest first.
    pub fn known(&self) -> impl DoubleEndedIterator<Item = Point> + '_ {
        self.points.iter().copied().filter(Point::is_known)
    }

    /// The mean of the values that are known.
    pub fn mean(&self) -> Option<f64> {
        let (count, sum) = self.known().fold((0u32, 0.0), |(count, sum), point| {
            (count.saturating_add(1), sum + point.value)
        });
        (count > 0).then(|| sum / f64::from(count))
    }

    /// Takes in what another host knows of the same: of two points of one time, the one that has a value is kept.
    pub fn absorb(&mut self, other: Self) {
        self.points.extend(other.points);
        self.points.sort_by_key(|point| (point.time, !point.is_known()));
        self.points.dedup_by_key(|point| point.time);
    }
}

/// A legend's entry: what a column is of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    pub(super) owner: Owner,
    pub(super) source: DataSource,
    pub(super) consolidation: Consolidation,
}

impl Column {
    /// Reads `AVERAGE:vm:UUID:cpu0`. A data source's name can hold colons of its own.
    pub(super) fn parse(entry: &str) -> Result<Self, MetricsError> {
        let column = || {
            let mut parts = entry.trim_ascii().splitn(4, ':');
            let consolidation = Consolidation::named(parts.next()?)?;
            let (class, uuid, name) = (parts.next()?, parts.next()?, parts.next()?);
            (!class.is_empty() && !uuid.is_empty() && !name.is_empty()).then(|| Self {
                owner: Owner::new(class, uuid),
                source: DataSource::new(name),
                consolidation,
            })
        };
        column().ok_or_else(|| MetricsError::Legend {
            entry: super::error::excerpt(entry),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(points: &[(i64, f64)]) -> Series {
        Series {
            owner: Owner::Vm("a".to_owned()),
            source: DataSource::new("cpu0"),
            consolidation: Consolidation::Average,
            step: 5,
            points: points.iter().map(|&(time, value)| Point { time, value }).collect(),
        }
    }

    #[test]
    fn the_latest_value_is_the_latest_that_is_known() {
        let series = series(&[(5, 1.0), (10, 2.0), (15, f64::NAN)]);
        assert_eq!(series.latest(), Some(Point { time: 10, value: 2.0 }));
        assert_eq!(series.mean(), Some(1.5));
        assert_eq!(self::series(&[(5, f64::NAN)]).latest(), None);
        assert_eq!(self::series(&[]).mean(), None);
    }

    #[test]
    fn of_two_hosts_the_one_that_knows_is_believed() {
        let mut one = series(&[(5, 1.0), (10, f64::NAN), (15, f64::NAN)]);
        one.absorb(series(&[(10, 2.0), (20, 4.0)]));
        let known: Vec<_> = one.known().map(|point| (point.time, point.value)).collect();
        assert_eq!(known, [(5, 1.0), (10, 2.0), (20, 4.0)]);
        assert_eq!(one.points.len(), 4);
    }

    #[test]
    fn a_legend_names_function_owner_and_source() {
        let column = Column::parse("MAX:host:1-2:a:b").unwrap();
        assert_eq!(column.owner, Owner::Host("1-2".to_owned()));
        assert_eq!(
            (column.source.name(), column.consolidation),
            ("a:b", Consolidation::Maximum)
        );
        assert_eq!(Column::parse("MIN:vgpu:1:x").unwrap().owner.class(), "vgpu");
        for entry in [
            "",
            "cpu0",
            "MEAN:vm:1:cpu0",
            "AVERAGE:vm:1",
            "AVERAGE:vm::cpu0",
            "AVERAGE:vm:1:",
        ] {
            assert!(Column::parse(entry).is_err(), "{entry}");
        }
    }
}
