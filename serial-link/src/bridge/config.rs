use std::time::Duration;

/// How a bridge is built.
#[derive(Debug, Clone)]
pub struct Config {
    pub(super) ring: usize,
    pub(super) shortest: Duration,
    pub(super) longest: Duration,
    pub(super) patience: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ring: 1 << 20,
            shortest: Duration::from_millis(50),
            longest: Duration::from_millis(800),
            patience: Duration::from_secs(20),
        }
    }
}

impl Config {
    /// How many bytes are kept for readers: 1 MiB, and at least 4 KiB.
    pub fn ring(mut self, bytes: usize) -> Self {
        self.ring = bytes.max(4096);
        self
    }

    /// How long it waits before it connects again: 50 ms at first, twice as long each time, at most 800 ms.
    pub fn backoff(mut self, shortest: Duration, longest: Duration) -> Self {
        self.shortest = shortest.max(Duration::from_millis(1));
        self.longest = longest.max(self.shortest);
        self
    }

    /// How long one attempt to connect may take: 20 s. Waiting for QEMU to connect ([`Incoming`]) is taken up again after
    /// it, and misses nothing.
    ///
    /// [`Incoming`]: crate::reach::Incoming
    pub fn patience(mut self, longest: Duration) -> Self {
        self.patience = longest;
        self
    }
}
