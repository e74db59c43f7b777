//! Which bytes a new file has.

mod blocks;
mod emit;
mod reader;

use std::io::{Seek, Write};
use std::ops::Range;

use xen_disk::ReadAt;

pub(super) use blocks::{blocks_of, blocks_with_data, in_order};
pub use reader::PlanReader;

use self::emit::Emitter;
use super::copy::Sparse;
use super::header::USUAL_BLOCK_SIZE;
use super::{Error, Footer};

const BLOCK: u64 = USUAL_BLOCK_SIZE as u64;
/// The bitmap of such a block is one sector.
const BITMAP: usize = 512;
/// How much of the file a block takes.
pub(super) const BLOCK_LEN: usize = BITMAP + BLOCK as usize;

/// A VHD that can be written, and whose length is known.
///
/// ```
/// use std::io::Read;
/// use vhd_mbr::vhd::Writer;
///
/// let plan = Writer::dynamic(vec![7; 3 << 20]).plan()?;
/// assert_eq!(plan.size(), 512 + 1024 + 512 + 2 * (512 + (2 << 20)) + 512);
///
/// let mut body = plan.into_reader(); // for a client that reads what it uploads
/// let length = body.remaining();
/// let mut file = Vec::new();
/// body.read_to_end(&mut file)?;
/// assert_eq!(file.len() as u64, length);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Plan<S> {
    source: S,
    disk_size: u64,
    /// Everything in front of the blocks.
    head: Vec<u8>,
    content: Content,
    footer: [u8; Footer::LEN],
}

/// What is between the head and the footer.
#[derive(Debug)]
pub(super) enum Content {
    /// The disk as it is.
    All,
    /// These blocks, all of whose sectors count as there.
    Blocks(Vec<u32>),
    /// These blocks, of which only the sectors in the ranges are there.
    Changed { blocks: Vec<u32>, changed: Vec<Range<u64>> },
}

impl<S: ReadAt> Plan<S> {
    pub(super) fn new(source: S, disk_size: u64, head: Vec<u8>, content: Content, footer: &Footer) -> Self {
        Self {
            source,
            disk_size,
            head,
            content,
            footer: footer.to_bytes(),
        }
    }

    /// The length of the file in bytes.
    pub fn size(&self) -> u64 {
        let content = match &self.content {
            Content::All => self.disk_size.next_multiple_of(512),
            Content::Blocks(blocks) | Content::Changed { blocks, .. } => blocks.len() as u64 * BLOCK_LEN as u64,
        };
        self.head.len() as u64 + content + Footer::LEN as u64
    }

    /// Writes the file from its start to its end, and gives its length.
    ///
    /// # Errors
    /// Where the disk cannot be read or the output not be written.
    pub fn write_to(&self, output: &mut (impl Write + ?Sized)) -> Result<u64, Error> {
        let mut emitter = Emitter::default();
        let mut written = 0;
        while let Some(piece) = emitter.next(self)? {
            output.write_all(piece).map_err(|source| Error::Write {
                offset: written,
                source,
            })?;
            written += piece.len() as u64;
        }
        output.flush().map_err(|source| Error::Write {
            offset: written,
            source,
        })?;
        Ok(written)
    }

    /// Writes the file with holes where it is zero, and gives its length. `target` must be an empty file.
    ///
    /// # Errors
    /// Where the disk cannot be read or the target not be written.
    pub fn write_with_holes(&self, target: &mut (impl Write + Seek)) -> Result<u64, Error> {
        let mut emitter = Emitter::default();
        let mut file = Sparse::new(target);
        let mut written = 0;
        while let Some(piece) = emitter.next(self)? {
            file.put(written, piece)?;
            written += piece.len() as u64;
        }
        file.finish(written)?;
        Ok(written)
    }

    /// The file, made as it is read.
    pub fn into_reader(self) -> PlanReader<S> {
        PlanReader::new(self)
    }

    /// Gives the disk back.
    pub fn into_inner(self) -> S {
        self.source
    }
}
