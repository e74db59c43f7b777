//! Where packets were seen.

use super::block::Block;
use crate::Mac;
use crate::pcap::LinkType;

const INTERFACE: u32 = 1;

/// Nanoseconds: ten to the minus ninth.
const NANOSECONDS: u8 = 9;

/// An interface of a VM, at one host and for one run of the VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    link_type: LinkType,
    name: String,
    description: String,
    filter: String,
    comment: String,
    snapshot_length: u32,
    mac: Option<Mac>,
}

/// An interface of the file that a [`Writer`](super::Writer) writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InterfaceId(pub(super) u32);

impl Interface {
    /// An interface with this name, such as `vif7.0`.
    pub fn new(name: impl Into<String>, link_type: LinkType) -> Self {
        Self {
            link_type,
            name: name.into(),
            description: String::new(),
            filter: String::new(),
            comment: String::new(),
            snapshot_length: 262_144,
            mac: None,
        }
    }

    /// The VM, the interface's number and the network.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }

    /// The filter that was captured with, as tcpdump takes it.
    #[must_use]
    pub fn filter(mut self, text: impl Into<String>) -> Self {
        self.filter = text.into();
        self
    }

    /// Anything else, such as why this interface follows another.
    #[must_use]
    pub fn comment(mut self, text: impl Into<String>) -> Self {
        self.comment = text.into();
        self
    }

    /// At most so many bytes of each packet are kept. Unless said, 262,144: the frames of a guest that segments in
    /// hardware are longer than its MTU.
    #[must_use]
    pub fn snapshot_length(mut self, bytes: u32) -> Self {
        self.snapshot_length = bytes;
        self
    }

    /// Its address.
    #[must_use]
    pub fn mac(mut self, mac: Mac) -> Self {
        self.mac = Some(mac);
        self
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut block = Block::new(out, INTERFACE);
        block.u16(self.link_type.0);
        block.u16(0);
        block.u32(self.snapshot_length);
        block.text(1, &self.comment);
        block.text(2, &self.name);
        block.text(3, &self.description);
        if let Some(mac) = &self.mac {
            block.option(6, &mac.0);
        }
        block.option(9, &[NANOSECONDS]);
        if !self.filter.is_empty() {
            // 0: a text as libpcap takes it.
            block.option(11, &[&[0], self.filter.as_bytes()].concat());
        }
        block.end();
    }
}
