//! Makes the bytes of a file, piece by piece.

use std::ops::Range;

use xen_disk::ReadAt;

use super::{BITMAP, BLOCK, BLOCK_LEN, Content, Plan};
use crate::vhd::Error;
use crate::vhd::read::read_into;

/// How much of a fixed disk is given out at once.
const PIECE: u64 = 1 << 20;

/// A place in a file, between two pieces.
#[derive(Debug, Default)]
pub(super) struct Emitter {
    stage: Stage,
    /// The piece given out last.
    piece: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy)]
enum Stage {
    #[default]
    Head,
    /// So much of the disk is out, in bytes or in blocks of the plan.
    Content(u64),
    Over,
}

impl Emitter {
    /// The next piece: the head, a block, or the footer. `None` where the file is over.
    pub(super) fn next<S: ReadAt>(&mut self, plan: &Plan<S>) -> Result<Option<&[u8]>, Error> {
        self.piece.clear();
        match self.stage {
            Stage::Head => {
                self.piece.extend(&plan.head);
                self.stage = Stage::Content(0);
            }
            Stage::Content(done) => match self.content(plan, done) {
                Ok(Some(done)) => self.stage = Stage::Content(done),
                Ok(None) => {
                    self.piece.extend(plan.footer);
                    self.stage = Stage::Over;
                }
                Err(error) => {
                    // Half a piece must not get out.
                    self.piece.clear();
                    return Err(error);
                }
            },
            Stage::Over => return Ok(None),
        }
        Ok(Some(&self.piece))
    }

    pub(super) fn piece(&self) -> &[u8] {
        &self.piece
    }

    fn content<S: ReadAt>(&mut self, plan: &Plan<S>, done: u64) -> Result<Option<u64>, Error> {
        match &plan.content {
            Content::All => self.stretch(plan, done),
            Content::Blocks(blocks) => {
                let Some(&block) = blocks.get(done as usize) else {
                    return Ok(None);
                };
                let start = u64::from(block) * BLOCK;
                self.piece.resize(BITMAP, 0xff);
                self.piece.resize(BLOCK_LEN, 0);
                self.data(plan, start, start..start + BLOCK)?;
                Ok(Some(done + 1))
            }
            Content::Changed { blocks, changed } => {
                let Some(&block) = blocks.get(done as usize) else {
                    return Ok(None);
                };
                let start = u64::from(block) * BLOCK;
                self.piece.resize(BLOCK_LEN, 0);
                let first = changed.partition_point(|range| range.end <= start);
                let inside = changed[first..].iter().take_while(|range| range.start < start + BLOCK);
                for range in inside {
                    let part = range.start.max(start)..range.end.min(start + BLOCK);
                    for sector in (part.start - start) / 512..(part.end - start) / 512 {
                        self.piece[(sector / 8) as usize] |= 0x80 >> (sector % 8);
                    }
                    self.data(plan, start, part)?;
                }
                Ok(Some(done + 1))
            }
        }
    }

    /// Puts a part of the disk into the block that starts at `start`; behind the disk's end are zeros.
    fn data<S: ReadAt>(&mut self, plan: &Plan<S>, start: u64, part: Range<u64>) -> Result<(), Error> {
        let end = part.end.min(plan.disk_size);
        let place = |at: u64| BITMAP + (at - start) as usize;
        let mut at = part.start;
        // The piece is zero already, so holes need no reading.
        while at < end {
            let data = plan.source.next_data(at).map_err(|source| Error::Read {
                offset: at,
                len: end - at,
                source,
            })?;
            let Some(data) = data.filter(|data| data.start < end) else {
                break;
            };
            let (from, to) = (data.start.max(at), data.end.min(end));
            read_into(&plan.source, from, &mut self.piece[place(from)..place(to)])?;
            at = to;
        }
        Ok(())
    }

    /// The next stretch of a fixed disk.
    fn stretch<S: ReadAt>(&mut self, plan: &Plan<S>, done: u64) -> Result<Option<u64>, Error> {
        let len = PIECE.min(plan.disk_size - done);
        if len == 0 {
            return Ok(None);
        }
        self.piece.resize(len as usize, 0);
        read_into(&plan.source, done, &mut self.piece)?;
        self.piece.resize(self.piece.len().next_multiple_of(512), 0);
        Ok(Some(done + len))
    }
}
