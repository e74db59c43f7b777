/// What is kept of the packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) filter: String,
    pub(super) snapshot_length: u32,
    pub(super) ring_kib: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            filter: String::new(),
            // libpcap's most. Guests that segment in hardware send frames far longer than their MTU.
            snapshot_length: 262_144,
            // Immediate mode has slots of the snapshot length, and of the usual 2 MiB loses most of a burst.
            ring_kib: 65_536,
        }
    }
}
