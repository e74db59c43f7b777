//! Plans for changes within a file.

use std::ops::Range;

use xen_disk::ReadAt;

use super::plan::Draft;
use super::{Change, LIMIT, OnDisk, Refused, WritePlan};
use crate::layout::{Layout, Place};

/// Bytes that are compared at once.
const CHUNK: u64 = 1 << 20;

impl WritePlan {
    /// Plans changes of a file that is at `layout` of a volume, which is at `volume` of `disk`.
    ///
    /// Bytes that are there already are no part of the plan. The layout has to be that of the same disk: whoever reads it
    /// from a snapshot and writes to another gets what they ask for.
    ///
    /// # Errors
    /// If anything speaks against it; nothing is ever written here.
    pub fn for_file(disk: &dyn ReadAt, volume: &OnDisk, layout: &Layout, changes: &[Change]) -> Result<Self, Refused> {
        if !layout.obstacles.is_empty() {
            return Err(Refused::Obstacles(layout.obstacles.clone()));
        }
        let mut file = File {
            volume,
            layout,
            draft: Draft::new(disk)?,
        };
        for change in changes {
            file.change(change)?;
        }
        file.draft.finish()
    }
}

struct File<'a> {
    volume: &'a OnDisk,
    layout: &'a Layout,
    draft: Draft<'a>,
}

/// A part of a file in one piece of the disk.
struct Part {
    file: u64,
    disk: Range<u64>,
}

impl File<'_> {
    fn change(&mut self, change: &Change) -> Result<(), Refused> {
        if let Some(expected) = &change.expected {
            for part in self.parts(change.offset, expected.len() as u64)? {
                let wanted = slice(expected, &part, change.offset);
                let found = self.draft.read(part.disk.start, wanted.len())?;
                if let Some(index) = (0..wanted.len()).find(|&index| found[index] != wanted[index]) {
                    return Err(Refused::Unexpected {
                        file: part.file + index as u64,
                        disk: part.disk.start + index as u64,
                    });
                }
            }
        }
        let new = self.padded(change)?;
        for part in self.parts(change.offset, new.len() as u64)? {
            let new = slice(&new, &part, change.offset);
            let old = self.draft.read(part.disk.start, new.len())?;
            self.draft.put(part.disk.start, &old, new)?;
        }
        Ok(())
    }

    /// The new bytes, filled up where they are to be the whole file.
    fn padded(&self, change: &Change) -> Result<Vec<u8>, Refused> {
        let (mut bytes, size) = (change.bytes.clone(), self.layout.size);
        let len = bytes.len() as u64;
        let Some(padding) = change.padding.filter(|_| len < size) else {
            return Ok(bytes);
        };
        let byte = padding.byte().ok_or(Refused::Shorter { size, len })?;
        if size > LIMIT {
            return Err(Refused::TooMuch {
                bytes: size,
                limit: LIMIT,
            });
        }
        bytes.resize(size as usize, byte);
        Ok(bytes)
    }

    /// Where `len` bytes of the file from `offset` on are on the disk, in pieces that are no longer than a chunk.
    fn parts(&self, offset: u64, len: u64) -> Result<Vec<Part>, Refused> {
        let size = self.layout.size;
        let end = offset.saturating_add(len);
        if end > size {
            return Err(Refused::BeyondEnd { size, end });
        }
        if len > LIMIT {
            return Err(Refused::TooMuch {
                bytes: len,
                limit: LIMIT,
            });
        }
        let mut parts = Vec::new();
        let mut at = offset;
        let first = self.layout.extents.partition_point(|extent| extent.file.end <= at);
        for extent in self.layout.extents[first..]
            .iter()
            .take_while(|extent| extent.file.start < end)
        {
            let file = at..extent.file.end.min(end);
            let start = match extent.place {
                Place::Data { offset } => offset,
                Place::Hole => return Err(Refused::Hole(file)),
                Place::Unwritten { .. } => return Err(Refused::Unwritten(file)),
                Place::Encoded { .. } => return Err(Refused::Encoded(file)),
            };
            let inside = at
                .checked_sub(extent.file.start)
                .and_then(|inside| start.checked_add(inside));
            let range = inside.and_then(|start| Some(start..start.checked_add(file.end - at)?));
            let ranges = range.and_then(|range| self.volume.ranges(range));
            for range in ranges.ok_or_else(|| Refused::OutsideDisk(file.clone()))? {
                if range.end > self.draft.disk_size() {
                    return Err(Refused::OutsideDisk(file));
                }
                for start in range.clone().step_by(CHUNK as usize) {
                    let disk = start..range.end.min(start + CHUNK);
                    at += disk.end - disk.start;
                    parts.push(Part {
                        file: at - (disk.end - disk.start),
                        disk,
                    });
                }
            }
        }
        if at < end {
            return Err(Refused::OutsideDisk(at..end));
        }
        Ok(parts)
    }
}

/// The bytes of a part among those from byte `offset` of the file on.
fn slice<'a>(bytes: &'a [u8], part: &Part, offset: u64) -> &'a [u8] {
    let start = (part.file - offset) as usize;
    &bytes[start..start + (part.disk.end - part.disk.start) as usize]
}
