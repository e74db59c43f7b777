//! What a whole file is of.

use super::block::Block;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;

/// What a file says of itself, for Wireshark's *Capture File Properties*.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Section {
    hardware: String,
    system: String,
    application: String,
    comment: String,
}

impl Section {
    /// Nothing said yet but the program, which is this crate.
    pub fn new() -> Self {
        Self {
            application: concat!("pcap-tap ", env!("CARGO_PKG_VERSION")).to_owned(),
            ..Self::default()
        }
    }

    /// What was captured and where: the pool, the host, the VM and its uuid.
    #[must_use]
    pub fn comment(mut self, text: impl Into<String>) -> Self {
        self.comment = text.into();
        self
    }

    /// The machine that captured.
    #[must_use]
    pub fn hardware(mut self, text: impl Into<String>) -> Self {
        self.hardware = text.into();
        self
    }

    /// The system that captured, such as `XCP-ng 8.3`.
    #[must_use]
    pub fn system(mut self, text: impl Into<String>) -> Self {
        self.system = text.into();
        self
    }

    /// The program that wrote the file.
    #[must_use]
    pub fn application(mut self, text: impl Into<String>) -> Self {
        self.application = text.into();
        self
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut block = Block::new(out, SECTION_HEADER);
        block.u32(BYTE_ORDER);
        // Version 1.0, of unknown length.
        block.u16(1);
        block.u16(0);
        block.bytes(&[0xff; 8]);
        block.text(1, &self.comment);
        block.text(2, &self.hardware);
        block.text(3, &self.system);
        block.text(4, &self.application);
        block.end();
    }
}
