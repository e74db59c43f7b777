//! What the blocking and the async reader have in common: everything but reading.

use crate::compression::{Compression, Decoder, MAGIC_LEN};
use crate::error::{Error, Result};
use crate::event::Block;
use crate::ova::Ova;
use crate::parser::{Parser, Placed, Step};
use crate::summary::{Check, DiskReport, Summary};
use crate::{Options, Run};

/// Compressed bytes are read in pieces of this size.
const INPUT: usize = 64 << 10;

/// As many bytes behind the end of the archive are read at most, so that a server can finish its reply.
const TRAILING_LIMIT: u64 = 1 << 20;

/// As much of a hole stands in for a first block that was left out.
const USUAL_BLOCK: u64 = 1 << 20;

/// A reader without its source: asks for bytes and hands out disks and runs.
///
/// Every method that goes on gives `None` where it needs bytes in [`Core::space`].
#[derive(Debug)]
pub(crate) struct Core {
    parser: Parser,
    coding: Coding,
    input: Vec<u8>,
    /// Which part of `input` is still to be used.
    start: usize,
    end: usize,
    eof: bool,
    read: u64,
    phase: Phase,
    /// Up to where the disk at hand was handed out, in bytes.
    cursor: u64,
    block: Option<(Placed, Check)>,
}

#[derive(Debug)]
enum Coding {
    Unknown,
    Plain,
    Coded(Decoder),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before the first disk or between two.
    Between,
    /// A disk has begun and was not handed out.
    Fresh,
    /// A disk is handed out and has more to give.
    Open,
    /// A disk is handed out; of it only a hole at its end can be left.
    Tail,
    /// The archive is over.
    Over,
}

/// A [`Run`] whose data is still in the parser.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RunStep {
    Data(Placed, Check),
    Hole { offset: u64, len: u64 },
    End,
}

impl Core {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            parser: Parser::with_options(options),
            coding: Coding::Unknown,
            input: vec![0; INPUT],
            start: 0,
            end: 0,
            eof: false,
            read: 0,
            phase: Phase::Between,
            cursor: 0,
            block: None,
        }
    }

    /// Where bytes of the source are to be put. Never empty while one of the other methods asks for bytes.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        match self.coding {
            Coding::Plain => self.parser.space(),
            // The first bytes only tell the compression, so they are few.
            Coding::Unknown => &mut self.input[self.end..MAGIC_LEN],
            Coding::Coded(_) => {
                self.input.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
                &mut self.input[self.end..]
            }
        }
    }

    /// Tells that the first `n` bytes of [`Core::space`] are filled; 0 is the end of the source.
    pub(crate) fn filled(&mut self, n: usize) {
        self.read = self.read.saturating_add(n as u64);
        match self.coding {
            _ if n == 0 => self.eof = true,
            Coding::Plain => self.parser.advance(n),
            Coding::Unknown | Coding::Coded(_) => self.end += n,
        }
    }

    /// Bytes taken from the source.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.read
    }

    pub(crate) fn parser(&self) -> &Parser {
        &self.parser
    }

    pub(crate) fn compression(&self) -> Option<Compression> {
        match &self.coding {
            Coding::Coded(decoder) => Some(decoder.compression),
            Coding::Unknown | Coding::Plain => None,
        }
    }

    pub(crate) fn known_ova(&self) -> Option<&Ova> {
        self.parser.ova()
    }

    pub(crate) fn summary(&self) -> Option<&Summary> {
        (self.phase == Phase::Over).then(|| self.parser.summary())
    }

    /// The disk handed out last.
    pub(crate) fn disk(&self) -> Option<&DiskReport> {
        self.parser.disk()
    }

    /// Reads the metadata, unless a disk or the end comes before it.
    pub(crate) fn read_ova(&mut self) -> Result<Option<()>> {
        while self.parser.ova().is_none() && self.phase == Phase::Between && self.parser.disk().is_none() {
            if self.step()?.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(()))
    }

    /// Goes to the next disk and tells whether there is one.
    pub(crate) fn next_disk(&mut self) -> Result<Option<bool>> {
        self.block = None;
        loop {
            match self.phase {
                Phase::Fresh => {
                    (self.phase, self.cursor) = (Phase::Open, 0);
                    return Ok(Some(true));
                }
                Phase::Over => return Ok(self.drain()?.map(|()| false)),
                Phase::Between | Phase::Open | Phase::Tail => {
                    if self.step()?.is_none() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Goes to the next run of the disk at hand.
    pub(crate) fn next_run(&mut self) -> Result<Option<RunStep>> {
        loop {
            if let Some((placed, check)) = self.block {
                if let Some(hole) = self.hole_up_to(placed.offset) {
                    return Ok(Some(hole));
                }
                self.block = None;
                self.cursor = self.cursor.max(placed.offset.saturating_add(placed.len));
                return Ok(Some(RunStep::Data(placed, check)));
            }
            if self.phase != Phase::Open {
                let end = match self.parser.disk() {
                    Some(disk) if self.phase == Phase::Tail => disk.end,
                    _ => 0,
                };
                return Ok(Some(self.hole_up_to(end).unwrap_or(RunStep::End)));
            }
            match self.step()? {
                None => return Ok(None),
                Some(Step::Block(placed, check)) => self.block = Some((placed, check)),
                Some(Step::Ova | Step::DiskStart | Step::DiskEnd | Step::End) => {}
            }
        }
    }

    fn hole_up_to(&mut self, end: u64) -> Option<RunStep> {
        let offset = self.cursor;
        let len = end.checked_sub(offset).filter(|&len| len > 0)?;
        self.cursor = end;
        Some(RunStep::Hole { offset, len })
    }

    /// Refuses to look for the first block of a disk of which something was read.
    pub(crate) fn require_fresh(&self) -> Result<()> {
        match self.disk() {
            Some(disk) if self.cursor > 0 => Err(Error::FirstBlockPassed { disk: disk.id.clone() }),
            _ => Ok(()),
        }
    }

    /// The run of a step, with its data.
    pub(crate) fn run(&self, step: RunStep) -> Option<Run<'_>> {
        match step {
            RunStep::Data(placed, check) => Some(Run::Data(self.parser.block(placed, check))),
            RunStep::Hole { offset, len } => Some(Run::Hole { offset, len }),
            RunStep::End => None,
        }
    }

    pub(crate) fn block(&self, step: RunStep) -> Option<Block<'_>> {
        match step {
            RunStep::Data(placed, check) => Some(self.parser.block(placed, check)),
            RunStep::Hole { .. } | RunStep::End => None,
        }
    }

    /// Gives the data of a step away, in the front of the buffer it was read into, and takes `spare` for the next.
    pub(crate) fn swap_block(&mut self, spare: Vec<u8>) -> Vec<u8> {
        self.parser.swap_block(spare)
    }

    /// The first block of a disk, given its first run.
    pub(crate) fn first_block(&mut self, step: RunStep) -> Vec<u8> {
        match step {
            RunStep::Data(placed, _) => self.parser.take_block(placed),
            RunStep::Hole { len, .. } => vec![0; len.min(USUAL_BLOCK) as usize],
            RunStep::End => Vec::new(),
        }
    }

    /// Goes on to the next event, passing bytes to the parser.
    fn step(&mut self) -> Result<Option<Step>> {
        loop {
            let step = self.parser.step();
            match step {
                Ok(Some(Step::DiskStart)) => self.phase = Phase::Fresh,
                Ok(Some(Step::DiskEnd)) if self.phase == Phase::Open => self.phase = Phase::Tail,
                Ok(Some(Step::DiskEnd)) => self.phase = Phase::Between,
                Err(Error::DiskShort { .. }) => self.phase = Phase::Between,
                Ok(Some(Step::End)) => self.phase = Phase::Over,
                _ => {}
            }
            if let Some(step) = step? {
                return Ok(Some(step));
            }
            if !self.pump()? {
                return Ok(None);
            }
        }
    }

    /// Passes bytes to the parser; `false` where the source has to give more first.
    fn pump(&mut self) -> Result<bool> {
        let input = &self.input[self.start..self.end];
        match &mut self.coding {
            Coding::Unknown if input.len() < MAGIC_LEN && !self.eof => return Ok(false),
            Coding::Unknown => {
                self.coding = match Compression::sniff(input) {
                    None => Coding::Plain,
                    Some(compression) => match compression.decoder() {
                        Some(decoder) => Coding::Coded(decoder),
                        None => return Err(Error::CompressionDisabled { compression }),
                    },
                };
                return Ok(true);
            }
            Coding::Plain if !input.is_empty() => {
                self.start += self.parser.push(input);
                return Ok(true);
            }
            Coding::Plain => {}
            Coding::Coded(decoder) => {
                let (consumed, produced) =
                    decoder
                        .decode(input, self.eof, self.parser.space())
                        .map_err(|detail| Error::Decompress {
                            compression: decoder.compression,
                            read: self.read - input.len() as u64,
                            detail,
                        })?;
                self.start += consumed;
                self.parser.advance(produced);
                if consumed + produced > 0 {
                    return Ok(true);
                }
            }
        }
        if self.eof {
            self.parser.end_of_input();
        }
        Ok(self.eof)
    }

    /// Reads what is left of the source behind the end of the archive, within bounds: the end of a compressed stream,
    /// the padding of a tape record.
    fn drain(&mut self) -> Result<Option<()>> {
        while !self.eof && self.parser.trailing() < TRAILING_LIMIT {
            if !self.pump()? {
                return Ok(None);
            }
        }
        Ok(Some(()))
    }

    /// Whether the archive is over, so that a failing source takes nothing away.
    pub(crate) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }
}
