//! Keeping what has passed.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// What has passed of a disk, in a file or in memory.
///
/// ```
/// use std::io::Cursor;
/// use xen_disk::Spool;
///
/// let mut spool = Spool::new(Cursor::new(Vec::new()), 4096);
/// spool.put(1000, &[7; 10])?;
/// let mut bytes = [1; 4];
/// spool.read(1008, &mut bytes)?;
/// assert_eq!(bytes, [7, 7, 0, 0], "what was not put is zero");
/// assert!(spool.put(5000, &[7; 4096]).is_err(), "it is full");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Spool<T> {
    file: T,
    /// Where data is in the file: from each of these places to the other.
    data: BTreeMap<u64, u64>,
    used: u64,
    limit: u64,
}

impl<T: Read + Write + Seek> Spool<T> {
    /// A spool that takes at most `limit` bytes of data. They go to their own places in `file`, so that a new file
    /// becomes sparse.
    pub fn new(file: T, limit: u64) -> Self {
        Self {
            file,
            data: BTreeMap::new(),
            used: 0,
            limit,
        }
    }

    /// The most bytes that it takes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Another limit; what it holds stays.
    pub fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// How many bytes it holds.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Whether so many bytes more go in.
    pub fn has_room(&self, bytes: u64) -> bool {
        bytes <= self.limit.saturating_sub(self.used)
    }

    /// Keeps bytes that lie behind all others.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`] where the limit would be passed, and what the file reports.
    pub fn put(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        let len = data.len() as u64;
        if !self.has_room(len) {
            let limit = self.limit;
            let text = format!("the spool may hold {limit} bytes, and more of the disk is needed: raise the limit");
            return Err(io::Error::new(io::ErrorKind::StorageFull, text));
        }
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.write_all(data)?;
        match self.data.last_entry().filter(|last| *last.get() == offset) {
            Some(mut last) => *last.get_mut() = offset + len,
            None => _ = self.data.insert(offset, offset + len),
        }
        self.used += len;
        Ok(())
    }

    /// Fills `buf` from `offset` on: with what was put there, and zeros elsewhere.
    ///
    /// # Errors
    /// What the file reports.
    pub fn read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        buf.fill(0);
        let end = offset.saturating_add(buf.len() as u64);
        let before = self.data.range(..=offset).next_back();
        let inside = self.data.range(offset..end).filter(|(from, _)| **from > offset);
        for (&from, &to) in before.into_iter().chain(inside) {
            let (from, to) = (from.max(offset), to.min(end));
            if from < to {
                self.file.seek(SeekFrom::Start(from))?;
                self.file
                    .read_exact(&mut buf[(from - offset) as usize..(to - offset) as usize])?;
            }
        }
        Ok(())
    }
}
