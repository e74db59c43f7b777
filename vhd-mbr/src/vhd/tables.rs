//! Finds and reads the parts that say where everything is.

use xen_disk::ReadAt;

use super::batmap::BatmapError;
use super::disk::FooterAt;
use super::fields::u32_at;
use super::read::{read_into, read_vec, size_of, within};
use super::{Batmap, Error, Footer, Header, Kind, Part, Problem};

/// The table's entry of a block that is not in the file.
pub(super) const UNUSED: u32 = u32::MAX;

/// How much of the table is read at once.
const PIECE: u64 = 64 << 10;

/// The footer at the end of the file, and where it starts; one byte less than a sector is enough.
pub(super) fn end_footer(source: &impl ReadAt, size: u64) -> Result<Result<(Footer, u64), Problem>, Error> {
    let len = size.min(Footer::LEN as u64);
    if len < Footer::LEN as u64 - 1 {
        return Ok(Err(Problem::Missing));
    }
    let sector = read_vec(source, size - len, len)?;
    let whole = Footer::parse(&sector).map(|footer| (footer, size - len));
    // Programs before Virtual PC 2004 left out the last byte.
    Ok(match whole {
        Err(problem @ Problem::Cookie { .. }) => Footer::parse(&sector[1..])
            .map(|footer| (footer, size - len + 1))
            .map_err(|_| problem),
        whole => whole,
    })
}

/// The copy of the footer at the start of the file.
pub(super) fn start_footer(source: &impl ReadAt, size: u64) -> Result<Result<Footer, Problem>, Error> {
    if size < Footer::LEN as u64 {
        return Ok(Err(Problem::Missing));
    }
    let sector = read_vec(source, 0, Footer::LEN as u64)?;
    Ok(match Footer::parse(&sector) {
        // A fixed disk may hold another VHD's first sector, but has no copy of its own.
        Ok(footer) if footer.kind == Kind::Fixed => Err(Problem::Kind(2)),
        other => other,
    })
}

/// The footer to go by.
pub(super) fn footer(source: &impl ReadAt) -> Result<(Footer, FooterAt), Error> {
    let size = size_of(source)?;
    let end = match end_footer(source, size)? {
        Ok((footer, offset)) => return Ok((footer, FooterAt::End { offset })),
        Err(end) => end,
    };
    match start_footer(source, size)? {
        Ok(footer) if end != Problem::Disabled => Ok((footer, FooterAt::Start { end })),
        Ok(_) => Err(Error::NoFooter { end, start: end }),
        Err(start) => Err(Error::NoFooter { end, start }),
    }
}

/// Where the blocks of a dynamic or differencing disk are.
#[derive(Debug)]
pub(super) struct Blocks {
    pub(super) header: Header,
    /// The sector of each block's bitmap. No longer than the disk needs.
    pub(super) table: Vec<u32>,
    pub(super) batmap: Option<Batmap>,
    pub(super) batmap_problem: Option<Problem>,
}

impl Blocks {
    pub(super) fn read(source: &impl ReadAt, footer: &Footer) -> Result<Self, Error> {
        let size = size_of(source)?;
        let header = read_header(source, footer, size)?;
        let damaged = |problem| Error::Damaged {
            part: Part::BlockTable,
            offset: header.table_offset,
            problem,
        };
        let blocks = header.blocks(footer).map_err(damaged)?;
        // A table that is inside the file is no larger than the file.
        if !within(size, header.table_offset, u64::from(blocks) * 4) {
            return Err(damaged(Problem::Missing));
        }
        let table = read_table(source, header.table_offset, blocks)?;
        let place = header.table_end().filter(|_| footer.may_have_batmap());
        let batmap = place.map(|place| Batmap::read(source, size, place));
        let (batmap, batmap_problem) = match batmap.unwrap_or(Ok(None)) {
            Ok(batmap) => (batmap, None),
            Err(BatmapError::Problem(problem)) => (None, Some(problem)),
            Err(BatmapError::Read(error)) => return Err(error),
        };
        Ok(Self {
            header,
            table,
            batmap,
            batmap_problem,
        })
    }

    /// Where a block's bitmap is; `None` for one that is not in the file.
    pub(super) fn offset(&self, block: u32) -> Option<u64> {
        let entry = *self.table.get(block as usize)?;
        (entry != UNUSED).then_some(u64::from(entry) * 512)
    }

    /// Where a block's data is.
    pub(super) fn data_offset(&self, block: u32) -> Option<u64> {
        Some(self.offset(block)? + self.header.bitmap_len())
    }

    /// How much of the file a block takes.
    pub(super) fn block_len(&self) -> u64 {
        self.header.bitmap_len() + u64::from(self.header.block_size)
    }

    /// Where the last of the tables in front of the blocks ends.
    pub(super) fn tables_end(&self) -> u64 {
        let table = self.header.table_end().unwrap_or(u64::MAX);
        let batmap = self.batmap.as_ref().map_or(0, Batmap::end);
        table.max(batmap)
    }

    /// Where the last block ends; 0 where there is none.
    pub(super) fn blocks_end(&self) -> u64 {
        let last = self.table.iter().filter(|&&entry| entry != UNUSED).max();
        last.map_or(0, |&entry| u64::from(entry) * 512 + self.block_len())
    }
}

fn read_header(source: &impl ReadAt, footer: &Footer, size: u64) -> Result<Header, Error> {
    let offset = footer.data_offset;
    let damaged = |problem| Error::Damaged {
        part: Part::Header,
        offset,
        problem,
    };
    if !within(size, offset, Header::LEN as u64) {
        return Err(damaged(Problem::Missing));
    }
    let bytes = read_vec(source, offset, Header::LEN as u64)?;
    Header::parse(&bytes).map_err(damaged)
}

fn read_table(source: &impl ReadAt, offset: u64, entries: u32) -> Result<Vec<u32>, Error> {
    let len = u64::from(entries) * 4;
    let mut table = Vec::with_capacity(entries as usize);
    let mut piece = vec![0; PIECE.min(len) as usize];
    for at in (0..len).step_by(PIECE as usize) {
        let part = &mut piece[..PIECE.min(len - at) as usize];
        read_into(source, offset + at, part)?;
        table.extend(part.chunks_exact(4).map(|entry| u32_at(entry, 0)));
    }
    Ok(table)
}
