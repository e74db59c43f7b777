//! Blocks and their options.

use crate::Timestamp;

/// Options have lengths of 16 bits.
const LONGEST_TEXT: usize = u16::MAX as usize;

/// A block that is being written, in little-endian order.
pub(super) struct Block<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    has_options: bool,
}

impl<'a> Block<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, kind: u32) -> Self {
        let start = out.len();
        out.extend_from_slice(&kind.to_le_bytes());
        // The length, once it is known.
        out.extend_from_slice(&[0; 4]);
        Self {
            out,
            start,
            has_options: false,
        }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    /// A time in the unit that every interface here has, nanoseconds: its upper half comes first.
    pub(super) fn time(&mut self, time: Timestamp) {
        self.u32((time.0 >> 32) as u32);
        self.u32(time.0 as u32);
    }

    /// Zeros up to a multiple of four.
    pub(super) fn pad(&mut self) {
        let length = (self.out.len() - self.start).next_multiple_of(4);
        self.out.resize(self.start + length, 0);
    }

    pub(super) fn option(&mut self, code: u16, value: &[u8]) {
        let value = &value[..value.len().min(LONGEST_TEXT)];
        self.u16(code);
        self.u16(value.len() as u16);
        self.bytes(value);
        self.pad();
        self.has_options = true;
    }

    /// Leaves empty texts out.
    pub(super) fn text(&mut self, code: u16, text: &str) {
        let mut end = text.len().min(LONGEST_TEXT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        if end > 0 {
            self.option(code, &text.as_bytes()[..end]);
        }
    }

    pub(super) fn end(mut self) {
        if self.has_options {
            self.bytes(&[0; 4]);
        }
        let length = (self.out.len() - self.start + 4) as u32;
        self.u32(length);
        let place = self.start + 4..self.start + 8;
        if let Some(place) = self.out.get_mut(place) {
            place.copy_from_slice(&length.to_le_bytes());
        }
    }
}
