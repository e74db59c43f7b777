//! The rows since a time, of many objects at once.

use std::fmt::Write;

use super::{ARCHIVES, Archive, Function, Source, number};

/// What a client asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query {
    /// From when on, in seconds since 1970; before now where it is negative.
    pub(crate) start: i64,
    /// Seconds between two rows; the nearest archive that is not finer answers.
    pub(crate) interval: i64,
    pub(crate) function: Option<Function>,
}

/// The answer.
#[derive(Debug)]
pub(crate) struct Updates {
    archives: Vec<Archive>,
    sources: Vec<Source>,
    step: i64,
    /// The times of the rows, newest first.
    times: Vec<i64>,
}

impl Updates {
    pub(crate) fn new(query: Query, now: i64, sources: Vec<Source>) -> Self {
        let steps = ARCHIVES.iter().map(|archive| archive.step);
        let step = steps
            .filter(|&step| step <= query.interval)
            .max()
            .unwrap_or(ARCHIVES[0].step);
        let archives: Vec<_> = ARCHIVES
            .into_iter()
            .filter(|archive| archive.step == step)
            .filter(|archive| query.function.is_none_or(|function| function == archive.function))
            .collect();
        let start = if query.start < 0 {
            now.saturating_add(query.start)
        } else {
            query.start
        };
        let times = archives.first().map_or_else(Vec::new, |archive| {
            archive.times(now).take_while(|&time| time > start).collect()
        });
        Self {
            archives,
            sources,
            step,
            times,
        }
    }

    fn legend(&self) -> impl Iterator<Item = String> {
        self.archives.iter().flat_map(|archive| {
            let name = archive.function.name();
            self.sources
                .iter()
                .map(move |source| format!("{name}:{}", source.legend()))
        })
    }

    fn values(&self, time: i64) -> impl Iterator<Item = f64> {
        self.archives.iter().flat_map(move |archive| {
            let sources = self.sources.iter();
            sources.map(move |source| archive.function.apply(source.at(time)))
        })
    }

    /// Start, step, end, rows and columns.
    fn meta(&self) -> [(&'static str, i64); 5] {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        [
            ("start", self.times.last().copied().unwrap_or_default()),
            ("step", self.step),
            ("end", self.times.first().copied().unwrap_or_default()),
            ("rows", count(self.times.len())),
            ("columns", count(self.archives.len() * self.sources.len())),
        ]
    }

    pub(crate) fn xml(&self) -> String {
        let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<xport><meta>".to_owned();
        for (name, value) in self.meta() {
            let _ = write!(text, "<{name}>{value}</{name}>");
        }
        text.push_str("<legend>");
        for entry in self.legend() {
            let _ = write!(text, "<entry>{entry}</entry>");
        }
        text.push_str("</legend></meta><data>");
        for &time in &self.times {
            let _ = write!(text, "<row><t>{time}</t>");
            for value in self.values(time) {
                let _ = write!(text, "<v>{}</v>", number(value));
            }
            text.push_str("</row>");
        }
        text.push_str("</data></xport>");
        text
    }

    /// In JSON, with all numbers as texts unless they are to be `bare`, which is no JSON where one is `NaN`.
    pub(crate) fn json(&self, bare: bool) -> String {
        let quote = |text: String| if bare { text } else { format!("\"{text}\"") };
        let meta: Vec<_> = self
            .meta()
            .iter()
            .map(|(name, value)| format!("\"{name}\":{}", quote(value.to_string())))
            .collect();
        let legend: Vec<_> = self.legend().map(|entry| format!("\"{entry}\"")).collect();
        let rows: Vec<_> = self
            .times
            .iter()
            .map(|&time| {
                let values: Vec<_> = self.values(time).map(|value| quote(number(value))).collect();
                format!(
                    "{{\"t\":{},\"values\":[{}]}}",
                    quote(time.to_string()),
                    values.join(",")
                )
            })
            .collect();
        format!(
            "{{\"meta\":{{{},\"legend\":[{}]}},\"data\":[{}]}}",
            meta.join(","),
            legend.join(","),
            rows.join(",")
        )
    }
}
