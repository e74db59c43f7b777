//! Updates in XML, the form that every release knows.

use super::{Document, Row};
use crate::number::{float, integer, step};
use crate::{MetricsError, xml};

pub(super) fn read(text: &str) -> Result<Document, MetricsError> {
    let mut document = Document::default();
    let mut row = Row::default();
    let mut is_whole = false;
    xml::walk(text, |path, text| {
        match path {
            "xport/meta/start" => document.start = Some(integer("start", text)?),
            "xport/meta/end" => document.end = Some(integer("end", text)?),
            "xport/meta/step" => document.step = Some(step("step", text)?),
            "xport/meta/legend/entry" => document.legend.push(text.to_owned()),
            "xport/data/row/t" => row.time = Some(integer("t", text)?),
            "xport/data/row/v" => row.values.push(float("v", text)?),
            "xport/data/row" => {
                let values = Vec::with_capacity(row.values.len());
                document
                    .rows
                    .push(std::mem::replace(&mut row, Row { time: None, values }));
            }
            "xport" => is_whole = true,
            _ => {}
        }
        Ok(())
    })?;
    if is_whole {
        Ok(document)
    } else {
        Err(MetricsError::Missing("<xport>"))
    }
}
