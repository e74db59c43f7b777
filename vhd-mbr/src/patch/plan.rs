use std::fmt;
use std::io;

use xen_disk::ReadAt;

use super::{LIMIT, Refused};

/// Which bytes of a disk are to become which others.
///
/// Printed, it shows the place and the bytes of each edit, for people to see before anything is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WritePlan {
    pub(super) disk_size: u64,
    /// In the disk's order, apart from each other, none empty.
    pub(super) edits: Vec<Edit>,
}

/// A stretch of bytes that all change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Edit {
    /// Where it starts on the disk.
    pub offset: u64,
    /// What is there.
    pub old: Vec<u8>,
    /// What will be there: as many bytes.
    pub new: Vec<u8>,
}

impl WritePlan {
    /// The size of the disk that the plan is for.
    pub fn disk_size(&self) -> u64 {
        self.disk_size
    }

    /// What changes, in the disk's order.
    pub fn edits(&self) -> &[Edit] {
        &self.edits
    }

    /// Whether nothing changes: everything is there already.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// How many bytes change.
    pub fn changed_bytes(&self) -> u64 {
        self.edits.iter().map(Edit::len).sum()
    }
}

impl Edit {
    pub(super) fn len(&self) -> u64 {
        self.new.len() as u64
    }

    pub(super) fn end(&self) -> u64 {
        self.offset + self.len()
    }
}

/// So many edits are kept apart however close they are.
const MANY: usize = 4096;
/// With more, edits with fewer equal bytes between them become one.
const CLOSE: usize = 64;

/// Collects what differs between a disk and what it is to be.
pub(super) struct Draft<'a> {
    disk: &'a dyn ReadAt,
    disk_size: u64,
    edits: Vec<Edit>,
    changed: u64,
}

impl<'a> Draft<'a> {
    pub(super) fn new(disk: &'a dyn ReadAt) -> Result<Self, Refused> {
        Ok(Self {
            disk,
            disk_size: disk.size().map_err(Refused::Size)?,
            edits: Vec::new(),
            changed: 0,
        })
    }

    pub(super) fn disk_size(&self) -> u64 {
        self.disk_size
    }

    pub(super) fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, Refused> {
        read(self.disk, offset, len).map_err(|source| Refused::Read {
            offset,
            len: len as u64,
            source,
        })
    }

    /// `new` is to be at byte `offset` of the disk, where `old` is.
    pub(super) fn put(&mut self, offset: u64, old: &[u8], new: &[u8]) -> Result<(), Refused> {
        let mut at = 0;
        while let Some(start) = (at..new.len()).find(|&index| old[index] != new[index]) {
            let mut end = equal_from(old, new, start);
            // Where there are very many, those close to each other become one: each takes memory of its own.
            while self.edits.len() >= MANY
                && let Some(next) = (end..new.len().min(end + CLOSE)).find(|&index| old[index] != new[index])
            {
                end = equal_from(old, new, next);
            }
            self.changed += (end - start) as u64;
            if self.changed > LIMIT {
                let bytes = self.changed;
                return Err(Refused::TooMuch { bytes, limit: LIMIT });
            }
            self.edits.push(Edit {
                offset: offset + start as u64,
                old: old[start..end].to_vec(),
                new: new[start..end].to_vec(),
            });
            at = end;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<WritePlan, Refused> {
        self.edits.sort_by_key(|edit| edit.offset);
        let mut edits: Vec<Edit> = Vec::with_capacity(self.edits.len());
        for edit in self.edits {
            match edits.last_mut() {
                Some(last) if edit.offset < last.end() => return Err(Refused::Twice(edit.offset)),
                Some(last) if edit.offset == last.end() => {
                    last.old.extend(edit.old);
                    last.new.extend(edit.new);
                }
                _ => edits.push(edit),
            }
        }
        Ok(WritePlan {
            disk_size: self.disk_size,
            edits,
        })
    }
}

/// The first place from `start` on where both are the same; their end where there is none.
fn equal_from(old: &[u8], new: &[u8], start: usize) -> usize {
    let equal = (start..new.len()).find(|&index| old[index] == new[index]);
    equal.unwrap_or(new.len())
}

pub(super) fn read(disk: &(impl ReadAt + ?Sized), offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    disk.read_exact_at(offset, &mut bytes)?;
    Ok(bytes)
}

impl fmt::Display for WritePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        let (bytes, places) = (self.changed_bytes(), self.edits.len() as u64);
        writeln!(
            f,
            "{bytes} byte{} in {places} place{} of the disk",
            plural(bytes),
            plural(places)
        )?;
        self.edits.iter().try_for_each(|edit| writeln!(f, "{edit}"))
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.new.len() {
            1 => write!(f, "byte {}: ", self.offset)?,
            count => write!(f, "bytes {} to {} ({count}): ", self.offset, self.end() - 1)?,
        }
        write!(f, "{} -> {}", Hex(&self.old), Hex(&self.new))
    }
}

/// The first bytes in hexadecimal.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 16;
        for (index, byte) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}{byte:02x}", if index == 0 { "" } else { " " })?;
        }
        f.write_str(if self.0.len() > SHOWN { " …" } else { "" })
    }
}
