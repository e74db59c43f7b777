//! The undo file.
//!
//! Little-endian: `DISKUNDO`, the format's version (1, 32 bits), the disk's size, the number of edits (64 bits each);
//! then of each edit its place on the disk and its length (64 bits each), the old bytes and the new ones; at last the
//! CRC-32 of all that (32 bits).

use std::io::{self, Read, Write};

use crc32fast::Hasher;
use xen_disk::{ReadAt, WriteAt};

use super::LIMIT;
use super::apply::{self, ApplyError, Restored};
use super::plan::{Edit, WritePlan, read};

const MAGIC: &[u8; 8] = b"DISKUNDO";
const VERSION: u32 = 1;

/// What a [plan](WritePlan) changes, to be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undo(WritePlan);

/// Why an undo file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UndoError {
    /// Reading it failed, or it ends too early.
    #[error("cannot read the undo file")]
    Read(#[from] io::Error),
    /// It is another kind of file.
    #[error("this is not an undo file: it does not start with \"DISKUNDO\"")]
    NotUndo,
    /// It was written by a later version of this crate.
    #[error("the undo file is of format {0}, and only format 1 is known")]
    Version(u32),
    /// Its content is not what was written.
    #[error("the undo file is damaged: {0}")]
    Damaged(&'static str),
}

impl WritePlan {
    /// What takes this plan back.
    pub fn undo(&self) -> Undo {
        Undo(self.clone())
    }
}

impl Undo {
    /// What was to be changed.
    pub fn plan(&self) -> &WritePlan {
        &self.0
    }

    /// Writes the undo file.
    ///
    /// # Errors
    /// If `file` cannot be written.
    pub fn write(&self, file: impl Write) -> io::Result<()> {
        let mut file = Summed::new(file);
        file.write_all(MAGIC)?;
        file.write_all(&VERSION.to_le_bytes())?;
        file.write_all(&self.0.disk_size.to_le_bytes())?;
        file.write_all(&(self.0.edits.len() as u64).to_le_bytes())?;
        for edit in &self.0.edits {
            file.write_all(&edit.offset.to_le_bytes())?;
            file.write_all(&edit.len().to_le_bytes())?;
            file.write_all(&edit.old)?;
            file.write_all(&edit.new)?;
        }
        let sum = file.sum.finalize();
        file.inner.write_all(&sum.to_le_bytes())?;
        file.inner.flush()
    }

    /// Reads an undo file.
    ///
    /// # Errors
    /// If it cannot be read, is another kind of file or damaged.
    pub fn read(file: impl Read) -> Result<Self, UndoError> {
        let mut file = Summed::new(file);
        if &file.array()? != MAGIC {
            return Err(UndoError::NotUndo);
        }
        let version = u32::from_le_bytes(file.array()?);
        if version != VERSION {
            return Err(UndoError::Version(version));
        }
        let disk_size = file.number()?;
        let (count, mut total, mut end) = (file.number()?, 0, 0);
        let mut edits = Vec::new();
        for index in 0..count {
            let (offset, len) = (file.number()?, file.number()?);
            total += len.min(LIMIT + 1);
            if len == 0 || total > LIMIT {
                return Err(UndoError::Damaged(
                    "it has more bytes than a plan may change, or an edit of none",
                ));
            }
            let in_order = index == 0 || offset > end;
            end = offset.saturating_add(len);
            if !in_order || end > disk_size {
                return Err(UndoError::Damaged("its edits are out of order or outside of the disk"));
            }
            let (old, new) = (file.bytes(len)?, file.bytes(len)?);
            edits.push(Edit { offset, old, new });
        }
        let sum = file.sum.clone().finalize();
        if u32::from_le_bytes(file.array()?) != sum {
            return Err(UndoError::Damaged("its checksum is wrong"));
        }
        Ok(Self(WritePlan { disk_size, edits }))
    }

    /// The plan that puts the old bytes back on this disk, for a disk that is written elsewhere, as one of a pool.
    ///
    /// Each byte may be an old or a new one, as with [`apply`](Self::apply).
    ///
    /// # Errors
    /// If other bytes are there, or the disk cannot be read.
    pub fn plan_for(&self, disk: &dyn ReadAt) -> Result<WritePlan, ApplyError> {
        self.verify(disk)?;
        let edits = self.0.edits.iter().map(|edit| {
            let found = read(disk, edit.offset, edit.new.len());
            let old = found.map_err(|source| ApplyError::Read {
                offset: edit.offset,
                len: edit.len(),
                source,
            })?;
            Ok(Edit {
                offset: edit.offset,
                old,
                new: edit.old.clone(),
            })
        });
        Ok(WritePlan {
            disk_size: self.0.disk_size,
            edits: edits.collect::<Result<_, ApplyError>>()?,
        })
    }

    fn verify(&self, disk: &dyn ReadAt) -> Result<(), ApplyError> {
        let is_ours = |edit: &Edit, index: usize, found: u8| found == edit.old[index] || found == edit.new[index];
        apply::verify(self.0.disk_size, &self.0.edits, disk, is_ours)
    }

    /// Puts the old bytes back, after making sure that nothing but the plan has changed them; flushes, reads them back
    /// and compares.
    ///
    /// Each byte may be an old or a new one, so that a plan can be taken back that was interrupted, and taking it back
    /// can be repeated.
    ///
    /// # Errors
    /// If other bytes are there, or the disk cannot be read or written.
    pub fn apply(&self, disk: &mut dyn WriteAt) -> Result<(), ApplyError> {
        self.verify(disk)?;
        match apply::restore(&self.0.edits, disk) {
            Restored::Yes => Ok(()),
            Restored::No { offset, source } => Err(ApplyError::Undo { offset, source }),
        }
    }
}

/// A file and the checksum of what has gone through.
struct Summed<F> {
    inner: F,
    sum: Hasher,
}

impl<F> Summed<F> {
    fn new(inner: F) -> Self {
        Self {
            inner,
            sum: Hasher::new(),
        }
    }
}

impl<F: Write> Summed<F> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.inner.write_all(bytes)
    }
}

impl<F: Read> Summed<F> {
    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes)?;
        self.sum.update(&bytes);
        Ok(bytes)
    }

    fn number(&mut self) -> io::Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// So many bytes; memory is taken for those only that are there.
    fn bytes(&mut self, len: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.inner.by_ref().take(len).read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.sum.update(&bytes);
        Ok(bytes)
    }
}
