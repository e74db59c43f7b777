//! `00 FE`, the COBS of (header, payload, tag if signed, CRC-32), `00`.

use std::time::Duration;

use crate::packet::{MAX_PAYLOAD, Packet};
use crate::secret::{FrameKey, Tag};

/// Follows the zero at a frame's start. No UTF-8 text has it, and it is not telnet's 0xFF.
const MARK: u8 = 0xFE;
/// More than the longest header, tag and checksum need.
const OVERHEAD: usize = 160;
/// The longest frame between its zeros.
const MAX_FRAME: usize = cobs::max_encoding_length(MAX_PAYLOAD + OVERHEAD);
const CRC: usize = 4;
/// What has not ended after a pause of this length is taken for text.
const PAUSE: Duration = Duration::from_millis(500);

/// Appends one frame to `out`.
pub(crate) fn encode(packet: &Packet, payload: &[u8], key: Option<&FrameKey>, out: &mut Vec<u8>) {
    let mut raw = postcard::to_allocvec(packet).expect("headers have no unserializable parts");
    raw.extend_from_slice(payload);
    if let Some(key) = key {
        let tag = key.tag(&raw);
        raw.extend_from_slice(&tag);
    }
    raw.extend_from_slice(&crc32fast::hash(&raw).to_le_bytes());

    out.extend_from_slice(&[0, MARK]);
    let start = out.len();
    out.resize(start + cobs::max_encoding_length(raw.len()), 0);
    let length = cobs::encode(&raw, &mut out[start..]);
    out.truncate(start + length);
    out.push(0);
}

/// A frame whose checksum is right.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) packet: Packet,
    raw: Vec<u8>,
    payload: usize,
    tag: Tag,
}

impl Frame {
    fn decode(encoded: &[u8]) -> Option<Self> {
        let mut raw = encoded.to_vec();
        let length = cobs::decode_in_place(&mut raw).ok()?;
        raw.truncate(length);
        let sum = raw.split_off(length.checked_sub(CRC)?);
        if crc32fast::hash(&raw).to_le_bytes() != *sum {
            return None;
        }
        let (packet, rest) = postcard::take_from_bytes::<Packet>(&raw).ok()?;
        let payload = raw.len() - rest.len();
        let mut tag = Tag::default();
        if matches!(packet, Packet::Session(_)) {
            let signed = rest.len().checked_sub(tag.len())?;
            if signed > MAX_PAYLOAD {
                return None;
            }
            tag.copy_from_slice(&rest[signed..]);
            raw.truncate(payload + signed);
        }
        Some(Self {
            packet,
            raw,
            payload,
            tag,
        })
    }

    pub(crate) fn is_signed_with(&self, key: &FrameKey) -> bool {
        key.verify(&self.raw, &self.tag)
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.raw[self.payload..]
    }
}

/// What the line brought.
#[derive(Debug)]
pub(crate) enum Piece {
    Text(Vec<u8>),
    Frame(Box<Frame>),
}

/// Parts frames from text, and keeps both in order. Holds one frame at most.
#[derive(Debug)]
pub(crate) struct Deframer {
    state: State,
    candidate: Vec<u8>,
    heard: Duration,
    pub(crate) damaged: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Text,
    /// Behind a zero, where a frame may start.
    Boundary,
    Frame,
}

impl Deframer {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Boundary,
            candidate: Vec::new(),
            heard: Duration::ZERO,
            damaged: 0,
        }
    }

    pub(crate) fn feed(&mut self, mut bytes: &[u8], now: Duration, mut sink: impl FnMut(Piece)) {
        self.expire(now, &mut sink);
        self.heard = now;
        while let Some(&first) = bytes.first() {
            match self.state {
                State::Boundary if first == MARK => {
                    self.state = State::Frame;
                    bytes = &bytes[1..];
                }
                State::Boundary if first == 0 => bytes = &bytes[1..],
                State::Boundary => self.state = State::Text,
                State::Text => {
                    let end = memchr::memchr(0, bytes);
                    let text = &bytes[..end.unwrap_or(bytes.len())];
                    if !text.is_empty() {
                        sink(Piece::Text(text.to_vec()));
                    }
                    bytes = &bytes[text.len()..];
                    if end.is_some() {
                        self.state = State::Boundary;
                    }
                }
                State::Frame => {
                    let room = MAX_FRAME + 1 - self.candidate.len();
                    let within = &bytes[..bytes.len().min(room)];
                    match memchr::memchr(0, within) {
                        Some(end) => {
                            self.candidate.extend_from_slice(&bytes[..end]);
                            bytes = &bytes[end + 1..];
                            self.state = State::Boundary;
                            self.finish(&mut sink);
                        }
                        None => {
                            self.candidate.extend_from_slice(within);
                            bytes = &bytes[within.len()..];
                            if self.candidate.len() > MAX_FRAME {
                                self.state = State::Text;
                                self.give_up(&mut sink);
                            }
                        }
                    }
                }
            }
        }
    }

    /// When [`expire`](Self::expire) has something to do.
    pub(crate) fn wake_at(&self) -> Option<Duration> {
        (self.state == State::Frame).then(|| self.heard.saturating_add(PAUSE))
    }

    /// Lets go of what began like a frame and never ended.
    pub(crate) fn expire(&mut self, now: Duration, sink: &mut impl FnMut(Piece)) {
        if self.wake_at().is_some_and(|at| now >= at) {
            self.state = State::Text;
            self.give_up(sink);
        }
    }

    fn finish(&mut self, sink: &mut impl FnMut(Piece)) {
        match Frame::decode(&self.candidate) {
            Some(frame) => {
                self.candidate.clear();
                sink(Piece::Frame(Box::new(frame)));
            }
            None => self.give_up(sink),
        }
    }

    fn give_up(&mut self, sink: &mut impl FnMut(Piece)) {
        self.damaged += 1;
        let mut text = std::mem::take(&mut self.candidate);
        text.insert(0, MARK);
        sink(Piece::Text(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Packet {
        Packet::Hello {
            version: 1,
            host: [7; 16],
        }
    }

    fn read(bytes: &[u8], step: usize) -> (Vec<u8>, usize, u64) {
        let (mut text, mut frames) = (Vec::new(), 0);
        let mut deframer = Deframer::new();
        let mut sink = |piece| match piece {
            Piece::Text(bytes) => text.extend(bytes),
            Piece::Frame(frame) => {
                assert_eq!(frame.packet, hello());
                frames += 1;
            }
        };
        for part in bytes.chunks(step) {
            deframer.feed(part, Duration::ZERO, &mut sink);
        }
        deframer.expire(PAUSE, &mut sink);
        (text, frames, deframer.damaged)
    }

    #[test]
    fn text_around_frames_passes_in_any_pieces() {
        let mut bytes = b"boot: Linux\r\n".to_vec();
        encode(&hello(), &[], None, &mut bytes);
        bytes.extend(b"login: ");
        encode(&hello(), &[], None, &mut bytes);
        encode(&hello(), &[], None, &mut bytes);
        for step in [1, 2, 7, 1000] {
            assert_eq!(read(&bytes, step), (b"boot: Linux\r\nlogin: ".to_vec(), 3, 0));
        }
    }

    #[test]
    fn a_kernel_message_inside_a_frame_costs_that_frame_alone() {
        let mut frame = Vec::new();
        encode(&hello(), &[], None, &mut frame);
        let mut bytes = frame[..9].to_vec();
        bytes.extend(b"[   12.3] usb 1-1: new device\r\n");
        bytes.extend(&frame[9..]);
        bytes.extend(&frame);
        let (text, frames, damaged) = read(&bytes, 4);
        assert_eq!((frames, damaged), (1, 1));
        assert!(memchr::memmem::find(&text, b"usb 1-1: new device\r\n").is_some());
    }

    #[test]
    fn an_endless_frame_is_text_after_its_greatest_length() {
        let mut bytes = vec![0, MARK];
        bytes.extend(vec![b'x'; 3 * MAX_FRAME]);
        encode(&hello(), &[], None, &mut bytes);
        let (text, frames, damaged) = read(&bytes, 100);
        assert_eq!((text.len(), frames, damaged), (3 * MAX_FRAME + 1, 1, 1));
    }

    #[test]
    fn a_start_without_end_is_text_after_a_pause() {
        assert_eq!(read(&[0, MARK, b'a', b'b'], 1), (vec![MARK, b'a', b'b'], 0, 1));
    }
}
