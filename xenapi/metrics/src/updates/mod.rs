//! What `/rrd_updates` answers: the rows of many data sources since a time.

mod json;
mod xml;

use super::error::excerpt;
use super::series::Column;
use super::{MetricsError, Point, Series};

/// A document of `/rrd_updates`, of one host.
///
/// It is read in each form that servers have had: XML, JSON with numbers as text (since xapi 23.31), and JSON with
/// bare numbers, `NaN` and `Infinity` among them. The server sends the newest row first; here the oldest is first.
///
/// ```
/// use xenapi_metrics::Updates;
///
/// let document = br#"{"meta": {"start": 5, "step": 5, "end": 10, "rows": 2, "columns": 1,
///     "legend": ["AVERAGE:vm:7f1c0a52:cpu0"]},
///     "data": [{"t": 10, "values": [0.25]}, {"t": 5, "values": [NaN]}]}"#;
/// let updates = Updates::parse(document)?;
/// assert_eq!(updates.series[0].points[1].value, 0.25);
/// # Ok::<(), xenapi_metrics::MetricsError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Updates {
    /// From when on there are rows, in seconds since 1970.
    pub start: i64,
    /// Until when.
    pub end: i64,
    /// Seconds between two rows.
    pub step: i64,
    /// The columns in the server's order, all with the same times unless rows broke off.
    pub series: Vec<Series>,
}

/// A document as it came.
#[derive(Debug, Default)]
struct Document {
    start: Option<i64>,
    end: Option<i64>,
    step: Option<i64>,
    legend: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Debug, Default)]
struct Row {
    time: Option<i64>,
    values: Vec<f64>,
}

impl Updates {
    /// Reads a document in whichever form it has.
    ///
    /// # Errors
    /// [`MetricsError`] for a document that is none.
    pub fn parse(document: &[u8]) -> Result<Self, MetricsError> {
        let text = String::from_utf8_lossy(document);
        let text = text.trim_start_matches('\u{feff}').trim_ascii_start();
        let document = match text.as_bytes().first() {
            Some(b'<') => xml::read(text)?,
            Some(b'{') => json::read(text)?,
            _ => {
                return Err(MetricsError::Foreign {
                    beginning: excerpt(text),
                });
            }
        };
        document.columns()
    }
}

impl Document {
    /// Turns rows into columns. A row that is too short lacks its last points; one that is too long cannot be
    /// understood.
    fn columns(self) -> Result<Updates, MetricsError> {
        let step = self.step.ok_or(MetricsError::Missing("the step"))?;
        let mut series = Vec::with_capacity(self.legend.len());
        for entry in &self.legend {
            let column = Column::parse(entry)?;
            series.push(Series {
                owner: column.owner,
                source: column.source,
                consolidation: column.consolidation,
                step,
                points: Vec::new(),
            });
        }
        let mut times = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            if row.values.len() > series.len() {
                return Err(MetricsError::Row {
                    values: row.values.len(),
                    columns: series.len(),
                });
            }
            times.push(row.time.ok_or(MetricsError::Missing("the time of a row"))?);
        }
        let mut order: Vec<_> = (0..times.len()).rev().collect();
        order.sort_by_key(|&row| times[row]);
        for row in order {
            let time = times[row];
            for (series, &value) in series.iter_mut().zip(&self.rows[row].values) {
                series.points.push(Point { time, value });
            }
        }
        let (first, last) = (times.iter().min().copied(), times.iter().max().copied());
        Ok(Updates {
            start: self.start.or(first).unwrap_or_default(),
            end: self.end.or(last).unwrap_or_default(),
            step,
            series,
        })
    }
}

#[cfg(test)]
mod tests;
