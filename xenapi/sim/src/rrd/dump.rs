//! All archives of one object.

use std::fmt::Write;

use super::archive::STEP;
use super::{ARCHIVES, Archive, Source, number};

/// The metrics of one object with everything that is kept of them.
#[derive(Debug)]
pub(crate) struct Dump {
    pub(crate) now: i64,
    pub(crate) sources: Vec<Source>,
}

impl Dump {
    /// What is known of a source beside its rows.
    fn facts(&self, source: &Source) -> [(&'static str, String); 8] {
        let last = number(source.at(self.now));
        [
            ("name", source.name.clone()),
            ("type", source.kind.to_owned()),
            ("minimal_heartbeat", "300".to_owned()),
            ("min", "0.0".to_owned()),
            ("max", number(source.max)),
            ("last_ds", last.clone()),
            ("value", last),
            ("unknown_sec", "0".to_owned()),
        ]
    }

    /// The rows of an archive, oldest first as they are dumped.
    fn rows(&self, archive: &Archive) -> Vec<Vec<String>> {
        let mut times: Vec<_> = archive.times(self.now).collect();
        times.reverse();
        let row = |time: i64| {
            let values = self
                .sources
                .iter()
                .map(|source| archive.function.apply(source.at(time)));
            values.map(number).collect()
        };
        times.into_iter().map(row).collect()
    }

    pub(crate) fn xml(&self) -> String {
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<rrd><version>0003</version><step>{STEP}</step>\
             <lastupdate>{}</lastupdate>",
            self.now
        );
        for source in &self.sources {
            text.push_str("<ds>");
            for (name, value) in self.facts(source) {
                let _ = write!(text, "<{name}>{value}</{name}>");
            }
            text.push_str("</ds>");
        }
        for archive in &ARCHIVES {
            let _ = write!(
                text,
                "<rra><cf>{}</cf><pdp_per_row>{}</pdp_per_row><params><xff>{}</xff></params><cdp_prep>",
                archive.function.name(),
                archive.step / STEP,
                archive.unknown
            );
            for _ in &self.sources {
                text.push_str(
                    "<ds><primary_value>0.0</primary_value><secondary_value>0.0</secondary_value><value>0.0</value>\
                     <unknown_datapoints>0</unknown_datapoints></ds>",
                );
            }
            text.push_str("</cdp_prep><database>");
            for row in self.rows(archive) {
                let _ = write!(text, "<row><v>{}</v></row>", row.join("</v><v>"));
            }
            text.push_str("</database></rra>");
        }
        text.push_str("</rrd>");
        text
    }

    /// In JSON, with all numbers as texts unless they are to be `bare`.
    pub(crate) fn json(&self, bare: bool) -> String {
        let quote = |text: &str| if bare { text.to_owned() } else { format!("\"{text}\"") };
        let sources: Vec<_> = self
            .sources
            .iter()
            .map(|source| {
                let facts = self.facts(source).map(|(name, value)| {
                    let value = if matches!(name, "name" | "type") {
                        format!("\"{value}\"")
                    } else {
                        quote(&value)
                    };
                    format!("\"{name}\":{value}")
                });
                format!("{{{}}}", facts.join(","))
            })
            .collect();
        let archives: Vec<_> = ARCHIVES
            .iter()
            .map(|archive| {
                let rows: Vec<_> = self
                    .rows(archive)
                    .iter()
                    .map(|row| {
                        let values: Vec<_> = row.iter().map(|value| quote(value)).collect();
                        format!("[{}]", values.join(","))
                    })
                    .collect();
                format!(
                    "{{\"cf\":\"{}\",\"pdp_per_row\":{},\"params\":{{\"xff\":{}}},\"database\":[{}]}}",
                    archive.function.name(),
                    quote(&(archive.step / STEP).to_string()),
                    quote(archive.unknown),
                    rows.join(",")
                )
            })
            .collect();
        format!(
            "{{\"version\":\"0003\",\"step\":{},\"lastupdate\":{},\"ds\":[{}],\"rra\":[{}]}}",
            quote(&STEP.to_string()),
            quote(&self.now.to_string()),
            sources.join(","),
            archives.join(",")
        )
    }
}
