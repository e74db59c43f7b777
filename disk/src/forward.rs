//! Disks that only go forward.

use std::io::{self, Read};

/// A disk that comes in from its start to its end, and cannot go back: a download, an archive.
pub trait Forward {
    /// The next run, behind the one before; `None` at the disk's end.
    ///
    /// # Errors
    /// Whatever the source reports; it is not asked again then.
    fn next_run(&mut self) -> io::Result<Option<Run<'_>>>;
}

/// A run of a disk that comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run<'a> {
    /// Bytes, and where on the disk they are. What lies between them and the run before is zero.
    Data {
        /// Where they begin, in bytes.
        offset: u64,
        /// The bytes.
        data: &'a [u8],
    },
    /// Up to here the disk is zero.
    Zeros {
        /// The first byte behind them.
        end: u64,
    },
}

/// A disk's bytes from its start to its end, zeros and all.
#[derive(Debug)]
pub struct RawForward<R> {
    source: R,
    buffer: Box<[u8]>,
    offset: u64,
    size: u64,
}

/// How much is taken from a source at once: what is read in vain is less.
const PIECE: u64 = 128 << 10;

impl<R: Read> RawForward<R> {
    /// The disk of this size, in bytes, whose bytes a source gives.
    pub fn new(source: R, size: u64) -> Self {
        Self {
            source,
            buffer: vec![0; PIECE.min(size) as usize].into(),
            offset: 0,
            size,
        }
    }
}

impl<R: Read> Forward for RawForward<R> {
    fn next_run(&mut self) -> io::Result<Option<Run<'_>>> {
        let offset = self.offset;
        let len = PIECE.min(self.size - offset);
        if len == 0 {
            return Ok(None);
        }
        let data = &mut self.buffer[..len as usize];
        self.source.read_exact(data)?;
        self.offset += len;
        Ok(Some(if data.iter().all(|&byte| byte == 0) {
            Run::Zeros { end: self.offset }
        } else {
            Run::Data { offset, data }
        }))
    }
}
