use std::ops::Range;

use xen_disk::{ReadAt, WriteAt};

use super::read::{read_into, size_of};
use super::{Error, Vhd};

/// How much is read at once.
const BATCH: u64 = 1 << 20;
/// The coarsest that differences are told.
const COARSEST: u64 = 16 << 20;

/// Writes what a VHD itself holds onto `base`, and gives the number of bytes written. Where the VHD is the difference
/// from what `base` was, `base` is then what the VHD and its parent are together.
///
/// ```
/// use vhd_mbr::vhd::{Parent, Vhd, Writer, apply, changed_ranges};
///
/// let before = vec![1; 8 << 20];
/// let mut after = before.clone();
/// after[5_000_000..5_000_010].fill(2);
///
/// let changed = changed_ranges(&after, &before, 4096)?;
/// assert_eq!(changed, [4_997_120..5_001_216]);
/// let mut file = Vec::new();
/// Writer::differencing(&after, Parent::raw(), changed).plan()?.write_to(&mut file)?;
///
/// let mut disk = before;
/// assert_eq!(apply(&Vhd::open(&file)?, &mut disk)?, 4096);
/// assert_eq!(disk, after);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::TargetTooSmall`] where `base` ends before the VHD's disk does, as after the disk was made larger. Where
/// reading or writing fails.
pub fn apply<S: ReadAt, P: ReadAt>(delta: &Vhd<S, P>, base: &mut (impl WriteAt + ?Sized)) -> Result<u64, Error> {
    fits(delta.disk_size(), base)?;
    let mut buffer = vec![0; BATCH as usize];
    let (mut at, mut written) = (0, 0);
    while let Some(run) = delta.next_present(at)? {
        at = run.start;
        while at < run.end {
            let part = &mut buffer[..BATCH.min(run.end - at) as usize];
            delta.read(at, part)?;
            let put = base.write_all_at(at, part);
            put.map_err(|source| Error::Write { offset: at, source })?;
            at += part.len() as u64;
            written += part.len() as u64;
        }
    }
    base.flush().map_err(|source| Error::Write { offset: at, source })?;
    Ok(written)
}

/// Whether a disk of `needed` bytes can be written to `target`.
pub(super) fn fits(needed: u64, target: &(impl ReadAt + ?Sized)) -> Result<(), Error> {
    let size = size_of(target)?;
    if size < needed {
        return Err(Error::TargetTooSmall { needed, size });
    }
    Ok(())
}

/// Where `disk` differs from `base`, in order and in multiples of `granularity` bytes, which is rounded up to sectors.
/// What `base` does not have counts as zero.
///
/// Stretches in which neither holds data are not read.
///
/// # Errors
/// Where one of them cannot be read.
pub fn changed_ranges(
    disk: &(impl ReadAt + ?Sized),
    base: &(impl ReadAt + ?Sized),
    granularity: u64,
) -> Result<Vec<Range<u64>>, Error> {
    let grain = granularity.clamp(512, COARSEST).next_multiple_of(512);
    let batch = BATCH.next_multiple_of(grain);
    let (size, base_size) = (size_of(disk)?, size_of(base)?);
    let (mut new, mut old) = (vec![0; batch as usize], vec![0; batch as usize]);
    let mut changed: Vec<Range<u64>> = Vec::new();
    let (mut next_new, mut next_old) = (Ahead::new(disk), Ahead::new(base));
    let mut at = 0;
    while at < size {
        let starts = [next_new.data_from(at)?, next_old.data_from(at)?];
        let Some(start) = starts.into_iter().flatten().min().filter(|&start| start < size) else {
            break;
        };
        at = start / grain * grain;
        let len = batch.min(size - at);
        let (new, old) = (&mut new[..len as usize], &mut old[..len as usize]);
        read_into(disk, at, new)?;
        let there = base_size.saturating_sub(at).min(len) as usize;
        read_into(base, at, &mut old[..there])?;
        old[there..].fill(0);
        let pieces = new.chunks(grain as usize).zip(old.chunks(grain as usize));
        for (i, (new, old)) in (0..).zip(pieces) {
            if new == old {
                continue;
            }
            let start = at + i * grain;
            let end = start + new.len() as u64;
            match changed.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => changed.push(start..end),
            }
        }
        at += len;
    }
    Ok(changed)
}

/// Asks a disk for its data no more often than needed.
struct Ahead<'a, D: ?Sized> {
    disk: &'a D,
    known: Option<Option<Range<u64>>>,
}

impl<'a, D: ReadAt + ?Sized> Ahead<'a, D> {
    fn new(disk: &'a D) -> Self {
        Self { disk, known: None }
    }

    /// Where the first data from `at` on starts. Never asked for less than before.
    fn data_from(&mut self, at: u64) -> Result<Option<u64>, Error> {
        let stale = |data: &Option<Range<u64>>| data.as_ref().is_some_and(|data| data.end <= at);
        if self.known.as_ref().is_none_or(stale) {
            let data = self.disk.next_data(at).map_err(|source| Error::Read {
                offset: at,
                len: 0,
                source,
            })?;
            self.known = Some(data);
        }
        let data = self.known.as_ref().and_then(Option::as_ref);
        Ok(data.map(|data| data.start.max(at)))
    }
}
