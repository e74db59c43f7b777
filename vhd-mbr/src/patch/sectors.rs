//! Plans for disks that take whole sectors only.

use std::ops::Range;

use xen_disk::ReadAt;

use super::ApplyError;
use super::plan::{WritePlan, read};

/// Bytes of one range at most, so that each fits in memory and in a request.
const LONGEST: u64 = 1 << 20;

/// Whole sectors of a disk as they are to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SectorRange {
    /// Where they start on the disk.
    pub offset: u64,
    /// Their content: the new bytes and those around them that stay.
    pub bytes: Vec<u8>,
}

/// The whole sectors that a plan changes; from [`WritePlan::sectors`].
#[derive(Debug, Clone)]
pub struct Sectors<'a, D: ?Sized> {
    plan: &'a WritePlan,
    disk: &'a D,
    sector: u64,
    /// Up to where everything has been given.
    done: u64,
}

impl WritePlan {
    /// The plan widened to whole sectors of so many bytes, as an upload to a pool needs it: neighbours together, up to
    /// 1 MiB at once, the last one cut at the disk's end. The bytes around the edits come from `disk`, whose old bytes
    /// have to be there still.
    ///
    /// xapi's `chunked` imports take ranges that start and end on sectors of 512 bytes; 4096 suits disks of either kind.
    ///
    /// # Panics
    /// If the sector size is no power of two from 512 to 65536.
    pub fn sectors<'a, D: ReadAt + ?Sized>(&'a self, disk: &'a D, sector_size: u32) -> Sectors<'a, D> {
        assert!(
            sector_size.is_power_of_two() && (512..=65536).contains(&sector_size),
            "a sector size of {sector_size}"
        );
        Sectors {
            plan: self,
            disk,
            sector: sector_size.into(),
            done: 0,
        }
    }
}

impl<D: ReadAt + ?Sized> Sectors<'_, D> {
    /// The next range to give.
    fn next_range(&self) -> Option<Range<u64>> {
        let edits = &self.plan.edits;
        let first = edits.partition_point(|edit| edit.end() <= self.done);
        let down = |at: u64| at - at % self.sector;
        let start = down(edits.get(first)?.offset).max(self.done);
        let mut end = start;
        for edit in &edits[first..] {
            if down(edit.offset) > end || end - start >= LONGEST {
                break;
            }
            end = end.max(edit.end().div_ceil(self.sector).saturating_mul(self.sector));
        }
        Some(start..end.min(start + LONGEST).min(self.plan.disk_size))
    }

    fn sectors(&self, range: Range<u64>) -> Result<SectorRange, ApplyError> {
        let (offset, len) = (range.start, (range.end - range.start) as usize);
        let mut bytes = read(self.disk, offset, len).map_err(|source| ApplyError::Read {
            offset,
            len: len as u64,
            source,
        })?;
        let edits = &self.plan.edits;
        let first = edits.partition_point(|edit| edit.end() <= range.start);
        for edit in edits[first..].iter().take_while(|edit| edit.offset < range.end) {
            for at in edit.offset.max(range.start)..edit.end().min(range.end) {
                let (inside, index) = ((at - range.start) as usize, (at - edit.offset) as usize);
                if bytes[inside] != edit.old[index] {
                    return Err(ApplyError::Changed { offset: at });
                }
                bytes[inside] = edit.new[index];
            }
        }
        Ok(SectorRange { offset, bytes })
    }
}

impl<D: ReadAt + ?Sized> Iterator for Sectors<'_, D> {
    type Item = Result<SectorRange, ApplyError>;

    fn next(&mut self) -> Option<Self::Item> {
        let range = self.next_range()?;
        self.done = range.end;
        Some(self.sectors(range))
    }
}
