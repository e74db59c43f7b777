//! What `/vm_rrd`, `/host_rrd` and `/sr_rrd` answer: everything that is kept of one object.

mod xml;

use std::sync::Arc;

use super::error::excerpt;
use super::{Consolidation, DataSource, MetricsError, Point, Resolution};

/// The round-robin database of one object: each data source, in archives of different resolution.
///
/// ```no_run
/// # fn peak(document: &[u8]) -> Result<(), xenapi_metrics::MetricsError> {
/// use xenapi_metrics::{Consolidation, Resolution, Rrd};
///
/// let rrd = Rrd::parse(document)?;
/// if let Some(year) = rrd.archive(Consolidation::Maximum, Resolution::Day) {
///     let peak = year.points("cpu_avg").map(|day| day.value).fold(f64::NAN, f64::max);
///     println!("the busiest moment of the year: {peak}");
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Rrd {
    /// Seconds between two samples.
    pub step: i64,
    /// When the last sample was taken, in seconds since 1970.
    pub last_update: i64,
    /// The data sources, in the order of the archives' columns.
    pub sources: Arc<[RrdSource]>,
    /// The archives, in the server's order.
    pub archives: Vec<Archive>,
}

impl Rrd {
    /// Reads the XML of a database.
    ///
    /// # Errors
    /// [`MetricsError`] for a document that is none.
    pub fn parse(document: &[u8]) -> Result<Self, MetricsError> {
        let text = String::from_utf8_lossy(document);
        let text = text.trim_start_matches('\u{feff}').trim_ascii_start();
        if text.starts_with('<') {
            return xml::read(text);
        }
        Err(MetricsError::Foreign {
            beginning: excerpt(text),
        })
    }

    /// The archive with this consolidation and resolution. There is none of minima and maxima for every five seconds.
    pub fn archive(&self, consolidation: Consolidation, resolution: Resolution) -> Option<&Archive> {
        self.archives
            .iter()
            .find(|archive| archive.consolidation == consolidation && archive.step == resolution.seconds())
    }
}

/// What is known of a data source beside its values.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RrdSource {
    /// Its name.
    pub source: DataSource,
    /// What its samples are.
    pub sampling: Sampling,
    /// After how many seconds without a sample its value is unknown.
    pub heartbeat: f64,
    /// Samples below this are taken for unknown.
    pub minimum: f64,
    /// Samples above this are taken for unknown.
    pub maximum: f64,
    /// The last sample: the counter itself where a rate is made of it. NaN where there was none.
    pub last_sample: f64,
}

impl Default for RrdSource {
    fn default() -> Self {
        Self {
            source: DataSource::new(""),
            sampling: Sampling::Gauge,
            heartbeat: f64::INFINITY,
            minimum: f64::NEG_INFINITY,
            maximum: f64::INFINITY,
            last_sample: f64::NAN,
        }
    }
}

/// What the samples of a data source are, and how values are made of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Sampling {
    /// The value itself.
    Gauge,
    /// A counter since it was last read: the value is the rate per second.
    Absolute,
    /// A counter that goes on: the value is the rate per second.
    Derive,
    /// Another one.
    Other(String),
}

impl Sampling {
    fn named(name: &str) -> Self {
        match name {
            "GAUGE" => Self::Gauge,
            "ABSOLUTE" => Self::Absolute,
            "DERIVE" => Self::Derive,
            _ => Self::Other(name.to_owned()),
        }
    }
}

/// Some resolution of all data sources.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Archive {
    /// How samples were brought down to rows.
    pub consolidation: Consolidation,
    /// Seconds between two rows.
    pub step: i64,
    /// The part of a row's samples that may be unknown, before the row is.
    pub most_unknown: f64,
    sources: Arc<[RrdSource]>,
    newest: i64,
    /// Row after row, the oldest first.
    values: Vec<f64>,
}

impl Archive {
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.values.len().checked_div(self.sources.len()).unwrap_or_default()
    }

    /// The values of a data source, oldest first; nothing for one that is not recorded.
    pub fn points(&self, source: &str) -> impl DoubleEndedIterator<Item = Point> + ExactSizeIterator + '_ {
        let column = self.sources.iter().position(|known| known.source.name() == source);
        let rows = if column.is_some() { self.rows() } else { 0 };
        let column = column.unwrap_or_default();
        let first = self
            .newest
            .saturating_sub(self.step.saturating_mul(place(rows.saturating_sub(1))));
        (0..rows).map(move |row| Point {
            time: first.saturating_add(self.step.saturating_mul(place(row))),
            value: self.values[row * self.sources.len() + column],
        })
    }
}

fn place(row: usize) -> i64 {
    i64::try_from(row).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
