//! Undoes the compression around an archive.

use std::io::{self, ErrorKind, Read};

use crate::compression::{Compression, Decoder, MAGIC_LEN};
use crate::error::{Error, Result};

/// Compressed bytes are read in pieces of this size.
const INPUT: usize = 64 << 10;

/// The bytes of an archive, however it is compressed.
#[derive(Debug)]
pub(super) struct Plain<R> {
    source: R,
    input: Vec<u8>,
    /// Which part of `input` is still to be used.
    start: usize,
    end: usize,
    eof: bool,
    read: u64,
    /// `None` until the first bytes were seen, then the decoder where there is one.
    coding: Option<Option<Decoder>>,
}

impl<R: Read> Plain<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            input: vec![0; INPUT],
            start: 0,
            end: 0,
            eof: false,
            read: 0,
            coding: None,
        }
    }

    /// Reads some bytes into `output`, none at the end.
    pub(super) fn read(&mut self, output: &mut [u8]) -> Result<usize> {
        loop {
            match &mut self.coding {
                None => self.sniff()?,
                Some(Some(decoder)) => {
                    let input = &self.input[self.start..self.end];
                    let (consumed, produced) =
                        decoder
                            .decode(input, self.eof, output)
                            .map_err(|detail| Error::Decompress {
                                compression: decoder.compression,
                                read: self.read - input.len() as u64,
                                detail,
                            })?;
                    self.start += consumed;
                    if produced > 0 {
                        return Ok(produced);
                    }
                    if consumed == 0 {
                        if self.eof {
                            return Ok(0);
                        }
                        self.fill()?;
                    }
                }
                Some(None) if self.start < self.end => {
                    let n = output.len().min(self.end - self.start);
                    output[..n].copy_from_slice(&self.input[self.start..self.start + n]);
                    self.start += n;
                    return Ok(n);
                }
                Some(None) => {
                    let n = retry(|| self.source.read(output), self.read)?;
                    self.read += n as u64;
                    return Ok(n);
                }
            }
        }
    }

    fn sniff(&mut self) -> Result<()> {
        while self.end < MAGIC_LEN && !self.eof {
            self.fill()?;
        }
        let decoder = match Compression::sniff(&self.input[..self.end]) {
            None => None,
            Some(compression) => Some(
                compression
                    .decoder()
                    .ok_or(Error::CompressionDisabled { compression })?,
            ),
        };
        self.coding = Some(decoder);
        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        self.input.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let space = &mut self.input[self.end..];
        let n = retry(|| self.source.read(space), self.read)?;
        self.end += n;
        self.read += n as u64;
        self.eof = n == 0;
        Ok(())
    }
}

fn retry(mut read: impl FnMut() -> io::Result<usize>, so_far: u64) -> Result<usize> {
    loop {
        match read() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other.map_err(|source| Error::Io { read: so_far, source }),
        }
    }
}
