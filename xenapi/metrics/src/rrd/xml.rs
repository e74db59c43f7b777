//! A database in XML.

use std::sync::Arc;

use super::{Archive, Rrd, RrdSource, Sampling};
use crate::error::excerpt;
use crate::number::{float, integer, step};
use crate::{Consolidation, DataSource, MetricsError, xml};

/// A database that is being read.
#[derive(Default)]
struct Draft {
    step: Option<i64>,
    last_update: Option<i64>,
    source: RrdSource,
    sources: Vec<RrdSource>,
    archive: DraftArchive,
    archives: Vec<DraftArchive>,
    is_whole: bool,
}

#[derive(Default)]
struct DraftArchive {
    consolidation: Option<Consolidation>,
    samples_per_row: Option<i64>,
    most_unknown: f64,
    values: Vec<f64>,
    /// How many values the row has that is being read.
    width: usize,
}

pub(super) fn read(text: &str) -> Result<Rrd, MetricsError> {
    let mut draft = Draft::default();
    xml::walk(text, |path, text| draft.take(path, text))?;
    draft.finish()
}

impl Draft {
    fn take(&mut self, path: &str, text: &str) -> Result<(), MetricsError> {
        match path {
            "rrd/step" => self.step = Some(step("step", text)?),
            "rrd/lastupdate" => self.last_update = Some(integer("lastupdate", text)?),
            "rrd/ds/name" => self.source.source = DataSource::new(text),
            "rrd/ds/type" => self.source.sampling = Sampling::named(text),
            "rrd/ds/minimal_heartbeat" => self.source.heartbeat = float("minimal_heartbeat", text)?,
            "rrd/ds/min" => self.source.minimum = float("min", text)?,
            "rrd/ds/max" => self.source.maximum = float("max", text)?,
            // The only one that some releases leave empty or fill with a word, so it is not worth an error.
            "rrd/ds/last_ds" => self.source.last_sample = float("last_ds", text).unwrap_or(f64::NAN),
            "rrd/ds" => self.sources.push(std::mem::take(&mut self.source)),
            "rrd/rra/cf" => {
                let known = Consolidation::named(text.trim_ascii());
                self.archive.consolidation = Some(known.ok_or_else(|| MetricsError::Legend { entry: excerpt(text) })?);
            }
            "rrd/rra/pdp_per_row" => self.archive.samples_per_row = Some(step("pdp_per_row", text)?),
            "rrd/rra/params/xff" => self.archive.most_unknown = float("xff", text)?,
            "rrd/rra/database/row/v" => {
                self.archive.values.push(float("v", text)?);
                self.archive.width += 1;
            }
            "rrd/rra/database/row" => self.row()?,
            "rrd/rra" => self.archives.push(std::mem::take(&mut self.archive)),
            "rrd" => self.is_whole = true,
            _ => {}
        }
        Ok(())
    }

    /// Values lie side by side, so each row must have one for each data source.
    fn row(&mut self) -> Result<(), MetricsError> {
        let (values, columns) = (std::mem::take(&mut self.archive.width), self.sources.len());
        if values == columns {
            Ok(())
        } else {
            Err(MetricsError::Row { values, columns })
        }
    }

    fn finish(self) -> Result<Rrd, MetricsError> {
        if !self.is_whole {
            return Err(MetricsError::Missing("<rrd>"));
        }
        let step = self.step.ok_or(MetricsError::Missing("the step"))?;
        let last_update = self.last_update.ok_or(MetricsError::Missing("the last update"))?;
        let sources: Arc<[_]> = self.sources.into();
        let archives = self.archives.into_iter().map(|draft| {
            if !sources.is_empty() && draft.values.len() % sources.len() != 0 {
                return Err(MetricsError::Row {
                    values: draft.values.len(),
                    columns: sources.len(),
                });
            }
            let samples = draft
                .samples_per_row
                .ok_or(MetricsError::Missing("the width of a row"))?;
            let step = step.saturating_mul(samples);
            Ok(Archive {
                consolidation: draft
                    .consolidation
                    .ok_or(MetricsError::Missing("the function of an archive"))?,
                step,
                most_unknown: draft.most_unknown,
                sources: sources.clone(),
                newest: last_update.saturating_sub(last_update.rem_euclid(step)),
                values: draft.values,
            })
        });
        Ok(Rrd {
            step,
            last_update,
            archives: archives.collect::<Result<_, _>>()?,
            sources,
        })
    }
}
