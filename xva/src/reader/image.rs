//! Writes raw images with holes.

use std::io::{Seek, SeekFrom, Write};

use crate::error::{Error, Result};

/// Zeros are looked for in pieces of this size, the smallest that file systems leave out.
const PIECE: usize = 4096;

static ZEROS: [u8; PIECE] = [0; PIECE];

pub(super) struct Writer<'a, W> {
    target: &'a mut W,
    /// Where the target stands, in bytes; unknown before the first write.
    position: Option<u64>,
    /// Up to where something was written.
    written: u64,
    /// How long the image is so far.
    end: u64,
}

impl<'a, W: Write + Seek> Writer<'a, W> {
    pub(super) fn new(target: &'a mut W) -> Self {
        Self {
            target,
            position: None,
            written: 0,
            end: 0,
        }
    }

    /// Leaves zeros up to `end`.
    pub(super) fn hole(&mut self, end: u64) {
        self.end = end;
    }

    pub(super) fn data(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        for (start, data) in stretches(data) {
            self.write(offset + start as u64, data)?;
        }
        self.end = offset + data.len() as u64;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<u64> {
        if self.written < self.end {
            self.write(self.end - 1, &[0])?;
        }
        self.target.flush().map_err(|source| Error::Target {
            offset: self.end,
            source,
        })?;
        Ok(self.end)
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        let mut write = || {
            if self.position != Some(offset) {
                self.target.seek(SeekFrom::Start(offset))?;
            }
            self.target.write_all(data)
        };
        write().map_err(|source| Error::Target { offset, source })?;
        self.written = offset + data.len() as u64;
        self.position = Some(self.written);
        Ok(())
    }
}

/// The parts of a block that are not zero, each with its place in the block.
fn stretches(data: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let is_zero = |start: usize| {
        let piece = &data[start..data.len().min(start + PIECE)];
        *piece == ZEROS[..piece.len()]
    };
    let next = move |from: usize, zero: bool| (from..data.len()).step_by(PIECE).find(|&start| is_zero(start) == zero);
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = next(from, false)?;
        from = next(start, true).unwrap_or(data.len());
        Some((start, &data[start..from]))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn zeros_are_left_out() {
        let mut data = vec![0; 5 * PIECE + 10];
        data[PIECE] = 1;
        data[3 * PIECE - 1] = 1;
        data[5 * PIECE + 9] = 1;
        let found: Vec<_> = stretches(&data).map(|(start, data)| (start, data.len())).collect();
        assert_eq!(found, [(PIECE, 2 * PIECE), (5 * PIECE, 10)]);
        assert_eq!(stretches(&[0; 3 * PIECE]).count(), 0);
        assert_eq!(stretches(&[]).count(), 0);
    }

    #[test]
    fn a_hole_at_the_end_gives_the_image_its_length() {
        let mut target = Cursor::new(Vec::new());
        let mut image = Writer::new(&mut target);
        image.hole(10_000);
        assert_eq!(image.finish().unwrap(), 10_000);
        assert_eq!(target.into_inner(), vec![0; 10_000]);
    }
}
