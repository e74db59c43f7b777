//! How a watch fares.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// How a watch fares: whether what it told is the present state of the pool.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Health {
    /// Whether the last request to the server went well. Until then what was told may be outdated.
    pub is_live: bool,
    /// When the server last answered. With nothing to tell it does so every half minute.
    pub last_success: Option<Instant>,
    /// How long the last changes lay here before they were all taken: a reader slower than the pool shows here.
    pub lag: Duration,
    /// What went wrong last, also where it has been overcome.
    pub last_error: Option<Arc<str>>,
    /// How often everything was listed anew: after a lost session, at another coordinator, when the server's count of
    /// changes went back.
    pub restarts: u64,
    /// How many objects were found to be gone without an event that said so, or there without one.
    pub mended: u64,
}
