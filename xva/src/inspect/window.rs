//! The bytes of an archive, decompressed, with a view of what comes next.

use std::io::{ErrorKind, Read};
use std::ops::Range;

use crate::compression::{Compression, Decoder, MAGIC_LEN};
use crate::error::Error;

/// Bytes are read in pieces of this size.
const PIECE: usize = 128 << 10;

/// Looks ahead in a source without going on.
pub(crate) struct Window<R> {
    source: R,
    coding: Coding,
    /// Bytes of the source, of which those in this range are not decoded yet.
    input: Vec<u8>,
    input_range: Range<usize>,
    read: u64,
    source_over: bool,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    position: u64,
    over: bool,
    failure: Option<Error>,
}

enum Coding {
    Unknown,
    Plain,
    Coded(Decoder),
}

impl<R: Read> Window<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            coding: Coding::Unknown,
            input: vec![0; PIECE],
            input_range: 0..0,
            read: 0,
            source_over: false,
            buffer: vec![0; PIECE],
            start: 0,
            end: 0,
            position: 0,
            over: false,
            failure: None,
        }
    }

    /// Where in the archive the next byte is.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Bytes taken from the source, compressed as they are.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.read
    }

    pub(crate) fn compression(&self) -> Option<Compression> {
        match &self.coding {
            Coding::Coded(decoder) => Some(decoder.compression),
            Coding::Unknown | Coding::Plain => None,
        }
    }

    /// What ended the archive, unless it was its end.
    pub(crate) fn take_failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    /// Whether the compressed stream breaks off.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.failure.is_none() && matches!(&self.coding, Coding::Coded(decoder) if self.over && decoder.is_inside())
    }

    /// The next `len` bytes, fewer only where the archive ends.
    pub(crate) fn peek(&mut self, len: usize) -> &[u8] {
        while self.end - self.start < len && !self.over {
            if self.start > 0 && self.start + len > self.buffer.len() {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            }
            if self.end == self.buffer.len() {
                // Grows with the bytes that are there, not with what a header claims. A piece more than what was asked for
                // keeps bytes from being moved at every step.
                let size = len.min(self.end.saturating_mul(2)).max(self.end) + PIECE;
                self.buffer.resize(size, 0);
            }
            if let Err(error) = self.fill() {
                self.failure = Some(error);
                self.over = true;
            }
        }
        &self.buffer[self.start..self.end.min(self.start.saturating_add(len))]
    }

    /// Goes on by at most `len` bytes of those that [`Window::peek`] gave.
    pub(crate) fn consume(&mut self, len: usize) {
        let len = len.min(self.end - self.start);
        self.start += len;
        self.position = self.position.saturating_add(len as u64);
    }

    /// Appends the next `len` bytes to `target`; fewer where the archive ends. Gives how many there were.
    pub(crate) fn read_into(&mut self, target: &mut Vec<u8>, len: u64) -> u64 {
        self.each_piece(len, |_, piece| target.extend_from_slice(piece))
    }

    /// Goes on by `len` bytes and shows them in pieces, each with its position. Gives how many there were.
    pub(crate) fn each_piece(&mut self, len: u64, mut look: impl FnMut(u64, &[u8])) -> u64 {
        let mut left = len;
        while left > 0 {
            let position = self.position;
            let piece = self.peek(left.min(PIECE as u64) as usize);
            if piece.is_empty() {
                break;
            }
            let taken = piece.len();
            look(position, piece);
            self.consume(taken);
            left -= taken as u64;
        }
        len - left
    }

    /// Puts at least one more byte into the buffer, or finds the end.
    fn fill(&mut self) -> Result<(), Error> {
        loop {
            match &mut self.coding {
                Coding::Unknown => {
                    if self.input_range.len() < MAGIC_LEN && !self.source_over {
                        self.read_input(MAGIC_LEN)?;
                        continue;
                    }
                    self.coding = match Compression::sniff(&self.input[self.input_range.clone()]) {
                        None => Coding::Plain,
                        Some(compression) => Coding::Coded(
                            compression
                                .decoder()
                                .ok_or(Error::CompressionDisabled { compression })?,
                        ),
                    };
                }
                Coding::Plain if !self.input_range.is_empty() => {
                    let input = &self.input[self.input_range.clone()];
                    let space = &mut self.buffer[self.end..];
                    let len = input.len().min(space.len());
                    space[..len].copy_from_slice(&input[..len]);
                    self.input_range.start += len;
                    self.end += len;
                    return Ok(());
                }
                Coding::Plain => {
                    let len = read(&mut self.source, &mut self.buffer[self.end..], self.read)?;
                    self.read += len as u64;
                    self.end += len;
                    self.over = len == 0;
                    return Ok(());
                }
                Coding::Coded(decoder) => {
                    let input = &self.input[self.input_range.clone()];
                    let (consumed, produced) = decoder
                        .decode(input, self.source_over, &mut self.buffer[self.end..])
                        .map_err(|detail| Error::Decompress {
                            compression: decoder.compression,
                            read: self.read - input.len() as u64,
                            detail,
                        })?;
                    self.input_range.start += consumed;
                    self.end += produced;
                    if produced > 0 {
                        return Ok(());
                    }
                    let stuck = consumed == 0 && (self.source_over || self.input_range.len() == self.input.len());
                    if stuck {
                        self.over = true;
                        return Ok(());
                    }
                    if consumed == 0 {
                        self.read_input(PIECE)?;
                    }
                }
            }
        }
    }

    /// Reads until at most `len` bytes wait in front of the decoder.
    fn read_input(&mut self, len: usize) -> Result<(), Error> {
        self.input.copy_within(self.input_range.clone(), 0);
        self.input_range = 0..self.input_range.len();
        let got = read(&mut self.source, &mut self.input[self.input_range.end..len], self.read)?;
        self.source_over = got == 0;
        self.input_range.end += got;
        self.read += got as u64;
        Ok(())
    }
}

fn read(source: &mut impl Read, space: &mut [u8], read: u64) -> Result<usize, Error> {
    loop {
        match source.read(space) {
            // A source that claims more than there is room for.
            Ok(len) => return Ok(len.min(space.len())),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(source) => return Err(Error::Io { read, source }),
        }
    }
}
