//! A packet and when it was seen.

use std::fmt;
use std::time::{Duration, SystemTime};

/// A captured packet.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packet<'a> {
    /// When it was seen, by the clock of the machine that captured it.
    pub time: Timestamp,
    /// How long it was on the wire, in bytes; `data` is shorter where a snapshot length cut it.
    pub length: u32,
    /// Its bytes, from the link layer's header on.
    pub data: &'a [u8],
}

/// Nanoseconds since 1970 (UTC); up to the year 2554.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(
    /// The nanoseconds.
    pub u64,
);

impl<'a> Packet<'a> {
    /// A packet that was captured whole.
    pub fn new(time: Timestamp, data: &'a [u8]) -> Self {
        Self {
            time,
            length: u32::try_from(data.len()).unwrap_or(u32::MAX),
            data,
        }
    }

    /// Whether bytes of it are missing at its end.
    pub fn is_cut(&self) -> bool {
        self.data.len() < self.length as usize
    }
}

/// Says how much there is, and leaves out what.
impl fmt::Debug for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packet")
            .field("time", &self.time)
            .field("length", &self.length)
            .field("captured", &self.data.len())
            .finish()
    }
}

impl Timestamp {
    /// Seconds and nanoseconds since 1970.
    pub(crate) fn from_parts(seconds: u32, nanoseconds: u64) -> Self {
        Self(u64::from(seconds) * 1_000_000_000 + nanoseconds)
    }
}

/// Times before 1970 become 1970, those behind 2554 become 2554.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        Self::UNIX_EPOCH + Duration::from_nanos(time.0)
    }
}
