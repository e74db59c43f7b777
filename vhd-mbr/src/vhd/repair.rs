use super::read::size_of;
use super::tables::{self, Blocks};
use super::{Error, Footer, Grow, Header, Kind, Platform};

/// What [`repair`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repaired {
    /// Nothing, as the footer and its copy are whole and the same.
    Nothing,
    /// It has written the footer at the end from its copy.
    Footer {
        /// Where.
        offset: u64,
    },
    /// It has written the copy at the start from the footer.
    Copy,
}

/// Puts a damaged or missing footer right from its copy at the start, or the copy from the footer. Nothing else of the
/// file changes.
///
/// ```
/// use vhd_mbr::vhd::{Repaired, Writer, check, repair};
///
/// let mut file = Vec::new();
/// Writer::dynamic(vec![1; 2 << 20]).plan()?.write_to(&mut file)?;
/// let whole = file.clone();
/// file.truncate(file.len() - 512);
/// assert_eq!(repair(&mut file)?, Repaired::Footer { offset: file.len() as u64 - 512 });
/// assert!(file == whole);
/// # Ok::<(), vhd_mbr::vhd::Error>(())
/// ```
///
/// # Errors
/// [`Error::NoFooter`] where neither can be used, [`Error::BlockOutside`] where a part of the data is missing too, and
/// where reading or writing fails.
pub fn repair(file: &mut (impl Grow + ?Sized)) -> Result<Repaired, Error> {
    let mut file = file;
    let size = size_of(&file)?;
    let end = tables::end_footer(&file, size)?;
    let start = tables::start_footer(&file, size)?;
    match (end, start) {
        (Ok((footer, _)), start) => {
            let has_copy = start.is_ok_and(|start| start == footer);
            if footer.kind == Kind::Fixed || has_copy {
                return Ok(Repaired::Nothing);
            }
            // Only where there is a header behind it was there a copy.
            Blocks::read(&file, &footer)?;
            put(&mut file, 0, &footer)?;
            Ok(Repaired::Copy)
        }
        (Err(_), Ok(footer)) => {
            // A disabled file stays so.
            tables::footer(&file)?;
            let offset = free_end(&file, &footer, size)?;
            let needed = offset + Footer::LEN as u64;
            if size < needed {
                let grown = file.set_size(needed);
                grown.map_err(|source| Error::Write { offset: size, source })?;
            }
            put(&mut file, offset, &footer)?;
            Ok(Repaired::Footer { offset })
        }
        (Err(end), Err(start)) => Err(Error::NoFooter { end, start }),
    }
}

/// Where the footer belongs: in the last sector, unless that is a block's.
fn free_end(file: &impl Grow, footer: &Footer, size: u64) -> Result<u64, Error> {
    let blocks = Blocks::read(file, footer)?;
    for block in 0..blocks.table.len() as u32 {
        let Some(offset) = blocks.offset(block) else {
            continue;
        };
        if offset + blocks.block_len() > size {
            return Err(Error::BlockOutside {
                block,
                offset,
                len: blocks.header.block_size.into(),
                size,
            });
        }
    }
    let locators = blocks.header.locators.iter();
    let locators = locators
        .filter(|locator| locator.platform != Platform::NONE)
        .map(|locator| locator.offset.saturating_add(locator.len.into()))
        .filter(|&end| end <= size);
    let header = footer.data_offset + Header::LEN as u64;
    let used = blocks.blocks_end().max(blocks.tables_end().min(size)).max(header);
    let used = locators.fold(used, u64::max).next_multiple_of(512);
    Ok(used.max(size.next_multiple_of(512).saturating_sub(Footer::LEN as u64)))
}

fn put(file: &mut impl Grow, offset: u64, footer: &Footer) -> Result<(), Error> {
    let written = file
        .write_all_at(offset, &footer.to_bytes())
        .and_then(|()| file.flush());
    written.map_err(|source| Error::Write { offset, source })
}
