use tokio::sync::watch;

/// How far a capture has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Packets that were written.
    pub packets: u64,
    /// Bytes of packets that were written.
    pub bytes: u64,
    /// Packets that were lost in the control domain. While a capture runs this is two seconds old, where tcpdump (since 4.9)
    /// and pkill are there to tell; otherwise it is of captures that have ended.
    pub dropped: u64,
    /// Devices that are being captured now.
    pub attached: usize,
    /// Devices that have been captured so far, each of which is an interface in the file.
    pub interfaces: usize,
}

/// Tells how far a capture has come, also while somebody waits for its end.
#[derive(Debug, Clone)]
pub struct Gauge(pub(super) watch::Receiver<Progress>);

impl Gauge {
    /// How far it has come, or had when it ended.
    pub fn progress(&self) -> Progress {
        *self.0.borrow()
    }
}
