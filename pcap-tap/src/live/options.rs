use std::collections::BTreeMap;

use super::recorder::Source;

/// What is kept of the packets, and what is said of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) filter: String,
    pub(super) snapshot_length: u32,
    pub(super) ring_kib: u32,
    /// The names of networks, by their bridges.
    pub(super) networks: BTreeMap<String, String>,
}

impl Options {
    /// The description ends with what people call the network, too.
    pub(super) fn with_network(&self, mut source: Source) -> Source {
        let bridge = source.description.rsplit(" / ").next();
        if let Some(name) = bridge.and_then(|bridge| self.networks.get(bridge)) {
            source.description = format!("{} ({name})", source.description);
        }
        source
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            filter: String::new(),
            // libpcap's most. Guests that segment in hardware send frames far longer than their MTU.
            snapshot_length: 262_144,
            // Immediate mode has slots of the snapshot length, and of the usual 2 MiB loses most of a burst.
            ring_kib: 65_536,
            networks: BTreeMap::new(),
        }
    }
}
