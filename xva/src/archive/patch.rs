//! Changes of a disk's bytes in place.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::str::FromStr;
use std::sync::Arc;

use super::disk::{ArchiveDisk, Kept};
use crate::error::{Error, Result};
use xen_disk::ReadAt;

/// Bytes of an archive that become others, in place: no byte moves.
///
/// [`ArchiveDisk::patch`] makes one. It can be shown before anything is written, and written to a file as text: its
/// [`undo`](Patch::undo) brings the archive back bit for bit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    archive_size: u64,
    changes: Vec<Change>,
}

/// Bytes that become others.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Where they are in the archive, in bytes.
    pub position: u64,
    /// What they are.
    pub old: Vec<u8>,
    /// What they become; of the same length.
    pub new: Vec<u8>,
}

/// Why a patch was not, or not wholly, applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// The archive has another length than the one that the patch was made for.
    #[error("the patch is for an archive of {expected} bytes, and this one has {found}; nothing was written")]
    ForeignArchive {
        /// The length that the patch is for.
        expected: u64,
        /// The length that there is.
        found: u64,
    },
    /// Other bytes are there than those that the patch replaces.
    #[error("byte {position} of the archive is not what the patch replaces; nothing was written")]
    Differs {
        /// Where the first of the bytes is that were compared.
        position: u64,
    },
    /// The archive cannot be read or written.
    #[error("cannot read or write the archive at byte {position}; apply the patch again, or its undo")]
    Io {
        /// Where.
        position: u64,
        /// What the system said.
        source: io::Error,
    },
    /// What was written reads back as something else.
    #[error("byte {position} of the archive does not read back as it was written; apply the undo to another copy")]
    NotWritten {
        /// Where the first of the bytes is that were compared.
        position: u64,
    },
    /// A text that is no patch.
    #[error("line {line} of the patch makes no sense")]
    Text {
        /// The line, counted from 1.
        line: usize,
    },
}

impl<S: ReadAt> ArchiveDisk<S> {
    /// Plans to put `bytes` on the disk at `offset`: those bytes of the blocks, and the blocks' checksums. Nothing is
    /// written yet. Bytes that are what they shall be are left out, so the patch may be empty.
    ///
    /// Every block that is touched is verified first: a new checksum would hide the damage of a block.
    ///
    /// # Errors
    /// [`Error::Absent`] where the archive has no block for some of the bytes and they are not all zero: the archive has
    /// to be packed again then. [`Error::ChecksumElsewhere`] where a checksum is not behind its block but in a table at
    /// the end, as in archives of export version 0 and 1. [`Error::BeyondDisk`], and what reading fails with.
    pub fn patch(&self, offset: u64, bytes: &[u8]) -> Result<Patch> {
        let mut patch = Patch {
            archive_size: self.shared.size,
            changes: Vec::new(),
        };
        // Beyond the disk, and damaged blocks.
        self.read(offset, &mut vec![0; bytes.len()])?;
        let end = offset + bytes.len() as u64;
        let mut at = offset;
        while at < end {
            let rest = &bytes[(at - offset) as usize..];
            at = match self.locate(at)? {
                Ok(location) => {
                    let block = self.block(location)?;
                    let count = rest.len().min((location.offset + location.len - at) as usize);
                    self.patch_block(&mut patch, &block, at, &rest[..count])?;
                    at + count as u64
                }
                Err(until) => {
                    let until = until.min(end);
                    if rest[..(until - at) as usize].iter().any(|&byte| byte != 0) {
                        return Err(Error::Absent {
                            disk: self.id().to_owned(),
                            offset: at,
                        });
                    }
                    until
                }
            };
        }
        Ok(patch)
    }

    fn patch_block(&self, patch: &mut Patch, block: &Arc<Kept>, at: u64, bytes: &[u8]) -> Result<()> {
        let start = (at - block.location.offset) as usize;
        let old = &block.data[start..start + bytes.len()];
        let Some(first) = old.iter().zip(bytes).position(|(old, new)| old != new) else {
            return Ok(());
        };
        let last = old
            .iter()
            .zip(bytes)
            .rposition(|(old, new)| old != new)
            .unwrap_or(first);
        let Some(recorded) = &block.checksum else {
            return Err(Error::ChecksumElsewhere {
                disk: self.id().to_owned(),
                offset: block.location.offset,
            });
        };
        let found = recorded.algorithm.digest(&block.data);
        if found != recorded.digest {
            return Err(Error::Checksum {
                position: block.location.position,
                disk: self.id().to_owned(),
                number: block.location.number,
                expected: recorded.digest,
                found,
            });
        }
        patch.changes.push(Change {
            position: block.location.content() + (start + first) as u64,
            old: old[first..=last].to_vec(),
            new: bytes[first..=last].to_vec(),
        });
        let mut data = block.data.clone();
        data[start..start + bytes.len()].copy_from_slice(bytes);
        let new = recorded.algorithm.digest(&data).to_string().into_bytes();
        let old = recorded.text.get(..new.len()).unwrap_or(&recorded.text);
        patch.changes.push(Change {
            position: recorded.position,
            old: old.to_vec(),
            new,
        });
        Ok(())
    }
}

impl Patch {
    /// What becomes what.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The patch that takes this one back.
    #[must_use]
    pub fn undo(&self) -> Self {
        let back = |change: &Change| Change {
            position: change.position,
            old: change.new.clone(),
            new: change.old.clone(),
        };
        Self {
            archive_size: self.archive_size,
            changes: self.changes.iter().map(back).collect(),
        }
    }

    /// Writes the new bytes in place of the old ones, and reads them back.
    ///
    /// Keep the text of the [`undo`](Patch::undo) first. What a call that broke off has written already is taken for
    /// right, so applying can be repeated. Open the archive anew afterwards: an [`ArchiveDisk`] keeps blocks that it has
    /// read.
    ///
    /// # Errors
    /// Where the archive is not the one that the patch is for, or cannot be written.
    pub fn apply(&self, mut file: impl Read + Write + Seek) -> std::result::Result<(), PatchError> {
        let failed = |position| move |source| PatchError::Io { position, source };
        let found = file.seek(SeekFrom::End(0)).map_err(failed(0))?;
        if found != self.archive_size {
            return Err(PatchError::ForeignArchive {
                expected: self.archive_size,
                found,
            });
        }
        for change in &self.changes {
            let there = change.there(&mut file).map_err(failed(change.position))?;
            if !change.is_old_or_new(&there) {
                return Err(PatchError::Differs {
                    position: change.position,
                });
            }
        }
        for change in &self.changes {
            let failed = failed(change.position);
            file.seek(SeekFrom::Start(change.position)).map_err(failed)?;
            file.write_all(&change.new).map_err(failed)?;
        }
        file.flush().map_err(failed(0))?;
        for change in &self.changes {
            if change.there(&mut file).map_err(failed(change.position))? != change.new {
                return Err(PatchError::NotWritten {
                    position: change.position,
                });
            }
        }
        Ok(())
    }
}

impl Change {
    /// Whether each byte is what it was or what it becomes: a write that broke off leaves some of both.
    fn is_old_or_new(&self, there: &[u8]) -> bool {
        let mut bytes = there.iter().zip(self.old.iter().zip(&self.new));
        bytes.all(|(byte, (old, new))| byte == old || byte == new)
    }

    /// What is in the file now.
    fn there(&self, file: &mut (impl Read + Seek)) -> io::Result<Vec<u8>> {
        file.seek(SeekFrom::Start(self.position))?;
        let mut bytes = vec![0; self.old.len()];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at {}", self.new.len(), self.position)
    }
}

/// The first word of a patch, with the version of its form.
const HEAD: &str = "xva-patch-1";

/// The form that [`FromStr`] reads: a line with the archive's length, then one for each change, with the position, the
/// old and the new bytes in hexadecimal digits.
impl fmt::Display for Patch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD} {}", self.archive_size)?;
        for change in &self.changes {
            write!(f, "{} ", change.position)?;
            change.old.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
            write!(f, " ")?;
            change.new.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
            writeln!(f)?;
        }
        Ok(())
    }
}

impl FromStr for Patch {
    type Err = PatchError;

    fn from_str(text: &str) -> std::result::Result<Self, PatchError> {
        let mut lines = (1..).zip(text.lines());
        let first = lines.next().and_then(|(_, line)| line.strip_prefix(HEAD));
        let archive_size = first.and_then(|size| size.trim().parse().ok());
        let archive_size = archive_size.ok_or(PatchError::Text { line: 1 })?;
        let change = |(line, text)| change(text).ok_or(PatchError::Text { line });
        Ok(Self {
            archive_size,
            changes: lines.map(change).collect::<std::result::Result<_, _>>()?,
        })
    }
}

fn change(text: &str) -> Option<Change> {
    let mut words = text.split(' ');
    let position = words.next()?.parse().ok()?;
    let (old, new) = (bytes(words.next()?)?, bytes(words.next()?)?);
    (old.len() == new.len() && words.next().is_none()).then_some(Change { position, old, new })
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            // A sign would be taken for a digit.
            let is_digits = pair.len() == 2 && pair.iter().all(u8::is_ascii_hexdigit);
            let pair = std::str::from_utf8(pair).ok().filter(|_| is_digits)?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect()
}
