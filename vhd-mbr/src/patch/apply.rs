//! Writing what is planned, and making sure of it.

use std::fmt;
use std::io;

use xen_disk::{ReadAt, WriteAt};

use super::plan::{Edit, WritePlan, read};

/// Why a plan has not been carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The disk is not the one that the plan is for. Nothing has been written.
    #[error("nothing written: the plan is for a disk of {expected} bytes, and this one has {found}")]
    OtherDisk {
        /// The size of the disk that the plan is for.
        expected: u64,
        /// This disk's.
        found: u64,
    },
    /// Other bytes are there than when the plan was made. Nothing has been written.
    #[error("nothing written: byte {offset} of the disk is not what it was when this was planned")]
    Changed {
        /// The first such byte.
        offset: u64,
    },
    /// The disk could not be read. Nothing has been written.
    #[error("nothing written: cannot read {len} bytes at byte {offset} of the disk")]
    Read {
        /// Where reading started.
        offset: u64,
        /// How many bytes were wanted.
        len: u64,
        /// What the disk reported.
        source: io::Error,
    },
    /// The disk could not be asked for its size. Nothing has been written.
    #[error("nothing written: cannot tell the size of the disk")]
    Size(#[source] io::Error),
    /// The disk could not be written.
    #[error("cannot write {len} bytes at byte {offset} of the disk; {restored}")]
    Write {
        /// Where writing started.
        offset: u64,
        /// How many bytes were to be written.
        len: u64,
        /// What the disk reported.
        source: io::Error,
        /// Whether the disk is as it was.
        restored: Restored,
    },
    /// What was written could not be made to last.
    #[error("cannot flush the disk; {restored}")]
    Flush {
        /// What the disk reported.
        source: io::Error,
        /// Whether the disk is as it was.
        restored: Restored,
    },
    /// The disk took what was written, but has something else there.
    #[error("byte {offset} of the disk is not what was written there; {restored}")]
    ReadBack {
        /// The first such byte, or the first that could not be read.
        offset: u64,
        /// Whether the disk is as it was.
        restored: Restored,
    },
    /// The old bytes could not all be put back. Undoing can be tried again.
    #[error("cannot put the old bytes back at byte {offset} of the disk; try again when it can be written")]
    Undo {
        /// Where it failed first.
        offset: u64,
        /// What the disk reported.
        source: io::Error,
    },
}

/// Whether the old bytes are back after writing has failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Restored {
    /// They are: the disk is as it was.
    Yes,
    /// They are not, at least at this byte of the disk. The undo file has them.
    No {
        /// Where they could not be written.
        offset: u64,
        /// What the disk reported.
        source: io::Error,
    },
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yes => f.write_str("the old bytes are back"),
            Self::No { offset, source } => {
                write!(
                    f,
                    "the old bytes could not be put back at byte {offset} ({source}): undo it when the disk can be written"
                )
            }
        }
    }
}

impl WritePlan {
    /// Writes the new bytes, after making sure that the old ones are there; flushes, reads them back and compares.
    ///
    /// Write the [undo](Self::undo) to a file before: a crash in the middle leaves some edits made and others not.
    ///
    /// # Errors
    /// If the disk has changed since, cannot be read or written, or does not keep what it takes. What had been written
    /// is put back where that is possible; the error says whether it was.
    pub fn apply(&self, disk: &mut dyn WriteAt) -> Result<(), ApplyError> {
        verify(self.disk_size, &self.edits, disk, |edit, index, found| {
            found == edit.old[index]
        })?;
        for (index, edit) in self.edits.iter().enumerate() {
            if let Err(source) = disk.write_all_at(edit.offset, &edit.new) {
                return Err(ApplyError::Write {
                    offset: edit.offset,
                    len: edit.len(),
                    source,
                    restored: restore(&self.edits[..=index], disk),
                });
            }
        }
        if let Err(source) = disk.flush() {
            let restored = restore(&self.edits, disk);
            return Err(ApplyError::Flush { source, restored });
        }
        match self
            .edits
            .iter()
            .find_map(|edit| difference(disk, edit.offset, &edit.new))
        {
            Some(offset) => Err(ApplyError::ReadBack {
                offset,
                restored: restore(&self.edits, disk),
            }),
            None => Ok(()),
        }
    }
}

/// Makes sure that the disk has its size and the bytes that `is_right` takes.
pub(super) fn verify(
    size: u64,
    edits: &[Edit],
    disk: &dyn ReadAt,
    is_right: impl Fn(&Edit, usize, u8) -> bool,
) -> Result<(), ApplyError> {
    let found = disk.size().map_err(ApplyError::Size)?;
    if found != size {
        let expected = size;
        return Err(ApplyError::OtherDisk { expected, found });
    }
    for edit in edits {
        let found = read(disk, edit.offset, edit.new.len()).map_err(|source| ApplyError::Read {
            offset: edit.offset,
            len: edit.len(),
            source,
        })?;
        if let Some(index) = (0..found.len()).find(|&index| !is_right(edit, index, found[index])) {
            return Err(ApplyError::Changed {
                offset: edit.offset + index as u64,
            });
        }
    }
    Ok(())
}

/// Puts the old bytes back, the last first, as far as that is possible.
pub(super) fn restore(edits: &[Edit], disk: &mut dyn WriteAt) -> Restored {
    let mut failed = None;
    for edit in edits.iter().rev() {
        // What was never overwritten may be where nothing can be written.
        if difference(disk, edit.offset, &edit.old).is_none() {
            continue;
        }
        if let Err(source) = disk.write_all_at(edit.offset, &edit.old) {
            failed.get_or_insert((edit.offset, source));
        }
    }
    let flushed = disk.flush();
    let (offset, source) = match (failed, flushed) {
        (Some(failed), _) => failed,
        (None, Err(source)) => (edits.first().map_or(0, |edit| edit.offset), source),
        (None, Ok(())) => match edits.iter().find_map(|edit| difference(disk, edit.offset, &edit.old)) {
            Some(offset) => (offset, io::Error::other("it does not keep what is written")),
            None => return Restored::Yes,
        },
    };
    Restored::No { offset, source }
}

/// The first byte of the disk that is not as it should be, or cannot be read.
fn difference(disk: &dyn ReadAt, offset: u64, bytes: &[u8]) -> Option<u64> {
    let Ok(found) = read(disk, offset, bytes.len()) else {
        return Some(offset);
    };
    let index = (0..bytes.len()).find(|&index| found[index] != bytes[index])?;
    Some(offset + index as u64)
}
