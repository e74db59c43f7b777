//! An image that arrives as a stream, read as xapi's own tool reads it.

use super::{BLOCK, SECTOR, UNUSED};

/// Why a stream is no image that can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Defect {
    #[error("no dynamic VHD")]
    NotDynamic,
    #[error("a VHD with a block size other than 2 MiB, or too large a table")]
    Layout,
    #[error("a VHD whose blocks overlap or lie behind the end of the disk")]
    Block,
}

/// The largest table that is read, in entries: disks of 64 TiB.
const MAX_ENTRIES: u32 = 32 << 20;

/// Takes an image piece by piece.
///
/// Blocks must come in the order of their places in the stream, which is what a stream needs; whatever lies between
/// them is skipped.
#[derive(Debug)]
pub(crate) struct Reader {
    stage: Stage,
    /// How many bytes of the stream were taken.
    at: u64,
    /// The part that is being collected.
    part: Vec<u8>,
    /// Where in the stream each block lies, and its number; the next one last.
    blocks: Vec<(u64, u64)>,
    disk: u64,
    length: u64,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Footer,
    Header { at: u64 },
    Table { at: u64, entries: u32 },
    Block { at: u64, number: u64 },
    Rest,
}

impl Reader {
    /// A reader at the start of a stream of `length` bytes, for a disk of `disk` bytes.
    pub(crate) fn new(length: u64, disk: u64) -> Self {
        Self {
            stage: Stage::Footer,
            at: 0,
            part: Vec::new(),
            blocks: Vec::new(),
            disk,
            length,
        }
    }

    /// Whether all of the stream was taken.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.stage, Stage::Rest) && self.at >= self.length
    }

    /// Takes the next bytes of the stream; `write` gets what belongs on the disk and where.
    pub(crate) fn push(&mut self, mut input: &[u8], mut write: impl FnMut(u64, &[u8])) -> Result<(), Defect> {
        while !input.is_empty() {
            let (start, length) = self.wanted();
            if self.at < start {
                let skipped = usize::try_from(start - self.at).unwrap_or(usize::MAX).min(input.len());
                input = &input[skipped..];
                self.at += skipped as u64;
                continue;
            }
            let missing = usize::try_from(length)
                .unwrap_or(usize::MAX)
                .saturating_sub(self.part.len());
            let (taken, rest) = input.split_at(missing.min(input.len()));
            input = rest;
            self.at += taken.len() as u64;
            if matches!(self.stage, Stage::Rest) {
                continue;
            }
            self.part.extend_from_slice(taken);
            if self.part.len() as u64 == length {
                let part = std::mem::take(&mut self.part);
                self.stage = self.next_stage(&part, &mut write)?;
            }
        }
        Ok(())
    }

    /// Where in the stream the part lies that is read now, and how long it is.
    fn wanted(&self) -> (u64, u64) {
        match self.stage {
            Stage::Footer => (0, SECTOR),
            Stage::Header { at } => (at + self.part.len() as u64, 2 * SECTOR),
            Stage::Table { at, entries } => (at + self.part.len() as u64, u64::from(entries) * 4),
            Stage::Block { at, .. } => (at + self.part.len() as u64, SECTOR + BLOCK),
            Stage::Rest => (0, u64::MAX),
        }
    }

    fn next_stage(&mut self, part: &[u8], write: &mut impl FnMut(u64, &[u8])) -> Result<Stage, Defect> {
        match self.stage {
            Stage::Footer if part.starts_with(b"conectix") && matches!(number(part, 60), 3 | 4) => {
                let at = u64::from(number(part, 16)) << 32 | u64::from(number(part, 20));
                self.after(at).map(|at| Stage::Header { at })
            }
            Stage::Header { .. } if part.starts_with(b"cxsparse") => {
                let at = u64::from(number(part, 16)) << 32 | u64::from(number(part, 20));
                let (entries, block) = (number(part, 28), number(part, 32));
                if u64::from(block) != BLOCK || entries == 0 || entries > MAX_ENTRIES {
                    return Err(Defect::Layout);
                }
                self.after(at).map(|at| Stage::Table { at, entries })
            }
            Stage::Footer | Stage::Header { .. } => Err(Defect::NotDynamic),
            Stage::Table { .. } => {
                self.blocks = (0_u64..)
                    .zip(part.chunks_exact(4))
                    .map(|(block, entry)| (number(entry, 0), block))
                    .filter(|(sector, _)| *sector != UNUSED)
                    .map(|(sector, block)| (u64::from(sector) * SECTOR, block))
                    .collect();
                self.blocks.sort_unstable_by(|one, two| two.cmp(one));
                self.next_block()
            }
            Stage::Block { number, .. } => {
                self.write_block(number, part, write)?;
                self.next_block()
            }
            Stage::Rest => Ok(Stage::Rest),
        }
    }

    fn next_block(&mut self) -> Result<Stage, Defect> {
        match self.blocks.pop() {
            Some((at, number)) => self.after(at).map(|at| Stage::Block { at, number }),
            None => Ok(Stage::Rest),
        }
    }

    /// A place in the stream that was not passed yet.
    fn after(&self, at: u64) -> Result<u64, Defect> {
        if at >= self.at && at <= u64::MAX >> 1 {
            Ok(at)
        } else {
            Err(Defect::Block)
        }
    }

    /// Hands on the sectors that the block holds, each run of them at once.
    fn write_block(&self, number: u64, part: &[u8], write: &mut impl FnMut(u64, &[u8])) -> Result<(), Defect> {
        let (bitmap, data) = part.split_at(SECTOR as usize);
        let held = |sector: usize| bitmap[sector / 8] & 0x80 >> (sector % 8) != 0;
        let sectors = (BLOCK / SECTOR) as usize;
        let mut sector = 0;
        while sector < sectors {
            let run = (sector..sectors).take_while(|&sector| held(sector)).count();
            let (start, end) = (sector * SECTOR as usize, (sector + run) * SECTOR as usize);
            self.write_run(number * BLOCK + start as u64, &data[start..end], write)?;
            sector += run.max(1);
        }
        Ok(())
    }

    fn write_run(&self, offset: u64, data: &[u8], write: &mut impl FnMut(u64, &[u8])) -> Result<(), Defect> {
        let room = self.disk.saturating_sub(offset);
        // The last block may be larger than what is left of the disk, but there is nothing in its tail.
        let (inside, behind) = data.split_at(data.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
        if behind.iter().any(|&byte| byte != 0) {
            return Err(Defect::Block);
        }
        if !inside.is_empty() {
            write(offset, inside);
        }
        Ok(())
    }
}

/// Four bytes as a number; zero where they are not there.
fn number(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    four.map_or(0, u32::from_be_bytes)
}
