//! Random access to disks that only go forward.

use std::fmt;
use std::io::{self, Read, Seek, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{Forward, ReadAt, Run, Spool};

/// A disk that is still coming in, read anywhere.
///
/// A read that reaches farther than the disk has come pulls it on up to there. What passes is kept in a spool, usually a
/// temporary file, where reads of earlier parts find it. So a file can be taken out of a disk while its download runs,
/// and the download be left off when it is there.
///
/// ```
/// use std::io::Cursor;
/// use xen_disk::{RawForward, ReadAt, Spool, Spooled};
///
/// let download = vec![7; 1 << 20]; // or anything else that implements `Read`
/// let forward = RawForward::new(&*download, 1 << 20);
/// let disk = Spooled::new(forward, 1 << 20, Spool::new(Cursor::new(Vec::new()), 1 << 20));
/// let mut sector = [0; 512];
/// disk.read_exact_at(512, &mut sector)?;
/// assert_eq!(sector, [7; 512]);
/// assert!(disk.reached() < 1 << 20, "the rest was not read");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Spooled<S, T> {
    state: Mutex<State<S, T>>,
    size: u64,
}

struct State<S, T> {
    source: S,
    spool: Spool<T>,
    reached: u64,
    over: bool,
    /// Something that passed was not kept, so nothing behind it can be told from zeros.
    failed: bool,
}

impl<S: Forward, T: Read + Write + Seek> Spooled<S, T> {
    /// A disk of `size` bytes that comes in from `source`.
    pub fn new(source: S, size: u64, spool: Spool<T>) -> Self {
        Self {
            state: Mutex::new(State {
                source,
                spool,
                reached: 0,
                over: false,
                failed: false,
            }),
            size,
        }
    }

    /// Up to where the disk has come in, in bytes.
    pub fn reached(&self) -> u64 {
        self.state().reached
    }

    /// The source, wherever it stands.
    pub fn into_source(self) -> S {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).source
    }

    fn state(&self) -> MutexGuard<'_, State<S, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Forward, T: Read + Write + Seek> State<S, T> {
    fn pull(&mut self, size: u64) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("the disk broke off before"));
        }
        self.failed = true;
        match self.source.next_run()? {
            Some(Run::Data { offset, data }) => {
                let end = offset.saturating_add(data.len() as u64);
                if offset < self.reached || end > size {
                    let text = format!("bytes {offset} to {end} came behind byte {}", self.reached);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                }
                self.spool.put(offset, data)?;
                self.reached = end;
            }
            Some(Run::Zeros { end }) => self.reached = self.reached.max(end),
            None => self.over = true,
        }
        self.failed = false;
        Ok(())
    }
}

impl<S: Forward, T: Read + Write + Seek> ReadAt for Spooled<S, T> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64);
        let end = end
            .filter(|&end| end <= self.size)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut state = self.state();
        while state.reached < end && !state.over {
            state.pull(self.size)?;
        }
        state.spool.read(offset, buf)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }
}

impl<S, T> fmt::Debug for Spooled<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spooled")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::RawForward;

    /// Runs from a list.
    struct Listed(Vec<(u64, Vec<u8>)>, Vec<u8>);

    impl Forward for Listed {
        fn next_run(&mut self) -> io::Result<Option<Run<'_>>> {
            if self.0.is_empty() {
                return Ok(None);
            }
            let (offset, data) = self.0.remove(0);
            self.1 = data;
            Ok(Some(Run::Data { offset, data: &self.1 }))
        }
    }

    fn spool(limit: u64) -> Spool<Cursor<Vec<u8>>> {
        Spool::new(Cursor::new(Vec::new()), limit)
    }

    #[test]
    fn every_byte_is_right_in_any_order() {
        let disk: Vec<u8> = (0..700_000u32)
            .map(|place| {
                if place % 200_000 < 90_000 {
                    0
                } else {
                    (place % 251) as u8
                }
            })
            .collect();
        let size = disk.len() as u64;
        let spooled = Spooled::new(RawForward::new(&*disk, size), size, spool(size));
        for offset in [600_000, 0, 89_999, 200_001, 699_990] {
            let mut bytes = vec![1; 100_000.min(disk.len() - offset)];
            spooled.read_exact_at(offset as u64, &mut bytes).unwrap();
            assert_eq!(bytes, disk[offset..offset + bytes.len()]);
        }
        let beyond = spooled.read_exact_at(size - 1, &mut [0; 2]).unwrap_err();
        assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
        assert!(spooled.into_source().next_run().unwrap().is_none());
    }

    #[test]
    fn gaps_and_the_end_of_a_sparse_source_are_zero() {
        let runs = vec![(512, vec![1; 512]), (1024, vec![2; 512]), (4096, vec![3; 512])];
        let spooled = Spooled::new(Listed(runs, Vec::new()), 8192, spool(8192));
        let mut all = vec![9; 8192];
        spooled.read_exact_at(0, &mut all).unwrap();
        let expected = [(0, 0), (512, 1), (1024, 2), (1536, 0), (4096, 3), (4608, 0), (8191, 0)];
        for (place, byte) in expected {
            assert_eq!(all[place], byte, "{place}");
        }
    }

    #[test]
    fn what_breaks_off_is_not_zero() {
        let spooled = Spooled::new(RawForward::new(&[7; 1000][..], 1 << 20), 1 << 20, spool(1 << 20));
        for _ in 0..2 {
            assert!(spooled.read_exact_at(0, &mut [0; 100]).is_err());
        }
        let backwards = vec![(512, vec![1; 512]), (0, vec![2; 512])];
        let spooled = Spooled::new(Listed(backwards, Vec::new()), 8192, spool(8192));
        let error = spooled.read_exact_at(4096, &mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let mut start = [0; 1];
        spooled.read_exact_at(600, &mut start).unwrap();
        assert_eq!(start, [1], "what came before can be read");
    }

    #[test]
    fn a_full_spool_says_so() {
        let spooled = Spooled::new(RawForward::new(&[7; 300_000][..], 300_000), 300_000, spool(200_000));
        spooled.read_exact_at(100_000, &mut [0; 1000]).unwrap();
        let error = spooled.read_exact_at(290_000, &mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
