//! What was lost.

use super::block::Block;
use super::interface::InterfaceId;
use crate::Timestamp;

const STATISTICS: u32 = 5;

/// What an interface saw and what of it was lost. Wireshark shows the last that it reads of each interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// When this was true.
    pub time: Timestamp,
    /// When the capture began.
    pub start: Option<Timestamp>,
    /// When it ended.
    pub end: Option<Timestamp>,
    /// Packets that matched the filter: tcpdump's *received by filter*.
    pub received: Option<u64>,
    /// Packets that were lost because nobody took them in time: tcpdump's *dropped by kernel*.
    pub dropped: Option<u64>,
    /// Packets that are in the file.
    pub delivered: Option<u64>,
    /// Anything else.
    pub comment: String,
}

impl Statistics {
    pub(super) fn write(&self, interface: InterfaceId, out: &mut Vec<u8>) {
        let mut block = Block::new(out, STATISTICS);
        block.u32(interface.0);
        block.time(self.time);
        block.text(1, &self.comment);
        for (code, time) in [(2, self.start), (3, self.end)] {
            if let Some(Timestamp(time)) = time {
                block.option(code, &time.rotate_left(32).to_le_bytes());
            }
        }
        for (code, count) in [(4, self.received), (5, self.dropped), (8, self.delivered)] {
            if let Some(count) = count {
                block.option(code, &count.to_le_bytes());
            }
        }
        block.end();
    }
}
