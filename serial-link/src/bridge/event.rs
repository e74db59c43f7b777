use std::time::Duration;

/// Something about a bridge has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The port is open.
    Connected,
    /// The port is not open, or not any more.
    Disconnected {
        /// Why.
        reason: String,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// It is over: the line will not be connected any more.
    Ended {
        /// Why.
        reason: String,
    },
    /// A program that is served wanted the input and did not get it.
    Refused {
        /// The program.
        name: String,
        /// Why, and who has the input.
        reason: String,
    },
    /// A reader was too slow.
    Lost {
        /// The reader.
        reader: String,
        /// How many bytes it did not get.
        bytes: u64,
    },
    /// Another has the input, or nobody.
    Writer {
        /// Who.
        name: Option<String>,
    },
}

/// A bridge at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Whether the port is open.
    pub connected: bool,
    /// Whether it is over, for the reason that is the last error.
    pub ended: bool,
    /// Why it was not, the last time.
    pub last_error: Option<String>,
    /// The position of the oldest byte that is kept.
    pub start: u64,
    /// The position of the next byte: how many have come in all.
    pub end: u64,
    /// The readers.
    pub readers: Vec<String>,
    /// The one who may write.
    pub writer: Option<String>,
}
