//! The label of a physical volume and the areas where descriptions of its group are (`lib/label/label.h` and
//! `lib/format_text/layout.h` of LVM2).

use super::Error;
use crate::bytes::{is_at, u32_at, u64_at};
use crate::filetree::Source;

const SECTOR: u64 = 512;
const LABEL_SECTORS: u64 = 4;
const AREA_MAGIC: &[u8] = b" LVM2 x[5A%r0N*>";
/// An area starts with a header of one sector.
const AREA_HEADER: u64 = 512;
const IGNORED: u32 = 1;
/// The description of thousands of logical volumes is smaller.
const LONGEST: u64 = 32 << 20;
/// As many areas as one header has room for.
const MOST_AREAS: usize = 16;

/// What stands at the start of a physical volume.
#[derive(Debug)]
pub(super) struct Label {
    pub(super) id: String,
    areas: Vec<(u64, u64)>,
}

impl Label {
    pub(super) fn read(source: &Source<'_>) -> Result<Self, Error> {
        for number in 0..LABEL_SECTORS.min(source.size() / SECTOR) {
            let offset = number * SECTOR;
            let sector = source.read(offset, SECTOR as usize)?;
            let is_label = is_at(&sector, 0, b"LABELONE") && is_at(&sector, 24, b"LVM2 001");
            // A copy of a label elsewhere is not the one of this volume.
            if is_label && u64_at(&sector, 8) == number {
                return Self::parse(&sector, offset);
            }
        }
        Err(Error::NotLvm)
    }

    fn parse(sector: &[u8], offset: u64) -> Result<Self, Error> {
        if u32_at(sector, 16) != checksum(&sector[20..]) {
            return Err(Error::damaged(offset + 16, "the checksum of the label is wrong"));
        }
        let header = u32_at(sector, 20) as usize;
        let id = sector.get(header..).and_then(|header| format_id(header.get(..32)?));
        let id = id.ok_or(Error::damaged(offset + 20, "the label has no id"))?;
        let mut lists = sector.get(header + 40..).unwrap_or_default().chunks_exact(16);
        let place = |entry: &[u8]| (u64_at(entry, 0), u64_at(entry, 8));
        // Areas of data come first; each list ends in zeros.
        let is_used = |&(offset, _): &(u64, u64)| offset != 0;
        lists.by_ref().map(place).take_while(is_used).for_each(drop);
        let areas = lists.map(place).take_while(is_used).take(MOST_AREAS).collect();
        Ok(Self { id, areas })
    }

    /// The descriptions of the group that the areas have now, and what is wrong where one cannot be read.
    pub(super) fn descriptions(&self, source: &Source<'_>) -> Vec<Result<String, Error>> {
        let read = |&(offset, size): &(u64, u64)| description(source, offset, size).transpose();
        self.areas.iter().filter_map(read).collect()
    }
}

/// The description in an area; none where it has none.
fn description(source: &Source<'_>, offset: u64, size: u64) -> Result<Option<String>, Error> {
    let header = source.read(offset, AREA_HEADER as usize)?;
    let damaged = |at: u64, what| Err(Error::damaged(offset.saturating_add(at), what));
    if !is_at(&header, 4, AREA_MAGIC) || u32_at(&header, 20) != 1 {
        return damaged(4, "this is not the metadata area that should be here");
    }
    if u32_at(&header, 0) != checksum(&header[4..]) {
        return damaged(0, "the checksum of a metadata area is wrong");
    }
    let (start, len, sum, flags) = (
        u64_at(&header, 40),
        u64_at(&header, 48),
        u32_at(&header, 56),
        u32_at(&header, 60),
    );
    if start == 0 || flags & IGNORED != 0 {
        return Ok(None);
    }
    if start < AREA_HEADER || start >= size || len > LONGEST || len > size - AREA_HEADER {
        return damaged(40, "the description is not in its area");
    }
    // The area is a ring.
    let first = len.min(size - start);
    let mut text = source.read(offset.saturating_add(start), first as usize)?;
    text.extend(source.read(offset.saturating_add(AREA_HEADER), (len - first) as usize)?);
    if checksum(&text) != sum {
        return damaged(56, "the checksum of the description is wrong");
    }
    let Ok(text) = String::from_utf8(text) else {
        return damaged(start, "the description is not text");
    };
    Ok(Some(text.trim_end_matches('\0').to_owned()))
}

/// CRC-32 as LVM2 begins and ends it.
fn checksum(bytes: &[u8]) -> u32 {
    const START: u32 = 0xf597_a6cf;
    let mut sum = crc32fast::Hasher::new_with_initial(!START);
    sum.update(bytes);
    !sum.finalize()
}

/// 32 letters and digits, in groups as LVM2 writes them.
pub(crate) fn format_id(raw: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(raw).ok()?;
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let groups = [0..6, 6..10, 10..14, 14..18, 18..22, 22..26, 26..32];
    Some(groups.map(|group| &text[group]).join("-"))
}
