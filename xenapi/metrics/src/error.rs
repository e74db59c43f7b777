//! Why metrics cannot be read.

/// Why a document of metrics cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// The document is something else, an error page perhaps.
    #[error("neither XML nor JSON of metrics: it begins with {beginning:?}")]
    Foreign {
        /// Its first characters.
        beginning: String,
    },
    /// The XML breaks its own rules.
    #[error("the XML is broken at byte {offset}: {reason}")]
    Xml {
        /// Where.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// The JSON breaks its own rules, even when bare `NaN` is forgiven.
    #[error("the JSON cannot be read: {reason}")]
    Json {
        /// What is wrong, and where.
        reason: String,
    },
    /// An entry of the legend is none.
    #[error("the legend holds {entry:?}, which is not FUNCTION:class:uuid:name")]
    Legend {
        /// The entry, shortened.
        entry: String,
    },
    /// A number is none.
    #[error("{place} holds {text:?}, which is no such number")]
    Number {
        /// The element or member that should be a number.
        place: &'static str,
        /// What it holds, shortened.
        text: String,
    },
    /// A row holds more than the legend explains.
    #[error("a row holds {values} values, but there are only {columns} columns")]
    Row {
        /// The values of the row.
        values: usize,
        /// The entries of the legend, or the data sources.
        columns: usize,
    },
    /// Something without which nothing can be understood is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
}

/// The beginning of a text from a document, for an error.
pub(super) fn excerpt(text: &str) -> String {
    shortened(text, 60)
}

/// What a parser says, which may repeat any length of the document.
pub(super) fn reason(error: &dyn std::fmt::Display) -> String {
    shortened(&error.to_string(), 200)
}

fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
