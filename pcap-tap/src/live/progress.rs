/// How far a capture has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Packets that were written.
    pub packets: u64,
    /// Bytes of packets that were written.
    pub bytes: u64,
    /// Packets that were lost in the control domain, as far as tcpdump has told: it does when it ends, so while a capture
    /// runs these are of devices that went away.
    pub dropped: u64,
    /// Devices that are being captured now.
    pub attached: usize,
    /// Devices that have been captured so far, each of which is an interface in the file.
    pub interfaces: usize,
}
