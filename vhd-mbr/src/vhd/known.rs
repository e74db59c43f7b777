//! What a disk has said of its data.

use std::io;
use std::ops::Range;
use std::sync::Mutex;

use xen_disk::ReadAt;

use super::disk::lock;

/// The last answer of a disk to the question for its next data. It is remembered because a gap is asked for as often as
/// something else ends inside it.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Option<Answer>>);

#[derive(Debug)]
struct Answer {
    from: u64,
    data: Option<Range<u64>>,
}

impl Known {
    /// The first data of `disk` that ends behind `from`.
    pub(super) fn next_data(&self, disk: &impl ReadAt, from: u64) -> io::Result<Option<Range<u64>>> {
        let mut known = lock(&self.0);
        if let Some(answer) = &*known {
            let ends_behind = |data: &Range<u64>| from < data.end;
            if answer.from <= from && answer.data.as_ref().is_none_or(ends_behind) {
                return Ok(answer.data.clone());
            }
        }
        let data = disk.next_data(from)?.filter(|data| data.end > from.max(data.start));
        let answer = Answer {
            from,
            data: data.clone(),
        };
        *known = Some(answer);
        Ok(data)
    }

    /// Forgets it, as the disk is about to change.
    pub(super) fn forget(&self) {
        *lock(&self.0) = None;
    }
}
