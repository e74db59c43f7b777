//! What values are counted in.

use std::fmt;

/// What the values of a data source are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// Parts of one: 0.25 is a quarter.
    Fraction,
    /// Bytes.
    Bytes,
    /// KiB, 1024 bytes.
    Kibibytes,
    /// Bytes per second.
    BytesPerSecond,
    /// MiB per second.
    MebibytesPerSecond,
    /// Microseconds.
    Microseconds,
    /// Milliseconds.
    Milliseconds,
    /// How often per second.
    PerSecond,
    /// A number of things.
    Count,
    /// Not known to this crate; the `units` of the class `data_source` may say.
    Unknown,
}

impl Unit {
    /// How many of the plain unit one of these is: bytes for KiB and MiB, seconds for milliseconds and microseconds,
    /// and 1 for all others.
    pub const fn factor(self) -> f64 {
        match self {
            Self::Kibibytes => 1024.0,
            Self::MebibytesPerSecond => 1_048_576.0,
            Self::Milliseconds => 1e-3,
            Self::Microseconds => 1e-6,
            _ => 1.0,
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fraction => "fraction of 1",
            Self::Bytes => "B",
            Self::Kibibytes => "KiB",
            Self::BytesPerSecond => "B/s",
            Self::MebibytesPerSecond => "MiB/s",
            Self::Microseconds => "µs",
            Self::Milliseconds => "ms",
            Self::PerSecond => "1/s",
            Self::Count => "",
            Self::Unknown => "?",
        })
    }
}
