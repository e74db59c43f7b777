use std::ops::Range;

use xen_disk::ReadAt;

use super::base::{BaseBlock, CELLS};
use super::error::read;
use super::log::{self, Pages};
use super::{Error, Key, Value};
use crate::bytes::u32_at;

/// A hive: a file in which Windows keeps a part of its registry.
///
/// It is read from anything that is [`ReadAt`]: a file, bytes in memory, or the content of a file on a disk. What is
/// asked for is read and nothing else.
#[derive(Debug)]
pub struct Hive<S> {
    source: S,
    base: BaseBlock,
    /// What logs say that stands in the hive.
    pages: Pages,
    was_dirty: bool,
}

/// A cell of the hive.
pub(super) struct Cell {
    /// Where its content starts in the file.
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

impl<S: ReadAt> Hive<S> {
    /// Opens a hive as it stands in its file. One that [is dirty](Self::is_dirty) can be read, but may lack changes, or
    /// have only some of them.
    ///
    /// # Errors
    /// If it is no hive, or cannot be read.
    pub fn open(source: S) -> Result<Self, Error> {
        let base = BaseBlock::read(&source)?;
        let was_dirty = base.is_dirty();
        Self::checked(source, base, Pages::default(), was_dirty)
    }

    /// Opens a hive, and has what its logs (`.LOG1` and `.LOG2`, or `.LOG`) say stand in it, as Windows does when it
    /// starts. The file stays as it is; a hive that needed its logs [is never changed](Value::change).
    ///
    /// Logs that do not fit the hive are left alone.
    ///
    /// # Errors
    /// If it is no hive, or it or a log cannot be read.
    pub fn open_with_logs(source: S, logs: &[&dyn ReadAt]) -> Result<Self, Error> {
        match BaseBlock::read(&source) {
            Ok(base) if !base.is_dirty() => Self::checked(source, base, Pages::default(), false),
            Ok(base) => {
                let (base, pages) = log::replay(base, logs)?;
                Self::checked(source, base, pages, true)
            }
            Err(error) => Err(error),
        }
    }

    fn checked(source: S, base: BaseBlock, pages: Pages, was_dirty: bool) -> Result<Self, Error> {
        let hive = Self {
            source,
            base,
            pages,
            was_dirty,
        };
        hive.root()?;
        Ok(hive)
    }

    /// What the hive says of itself; with logs, what it will say.
    pub fn base(&self) -> &BaseBlock {
        &self.base
    }

    /// Whether Windows was stopped before it had written everything into the file.
    pub fn is_dirty(&self) -> bool {
        self.was_dirty
    }

    /// The key that all others are in.
    ///
    /// # Errors
    /// If it is damaged or cannot be read.
    pub fn root(&self) -> Result<Key<'_, S>, Error> {
        Key::at(self, self.base.root, None)
    }

    /// The key at a path from the root, its names separated by `\`; upper and lower case are the same.
    ///
    /// # Errors
    /// [`Error::NoKey`] with the first name that is missing, and what reading fails with.
    pub fn key(&self, path: &str) -> Result<Key<'_, S>, Error> {
        self.root()?.key(path)
    }

    /// A value by the path of its key and its name; the nameless one is `""`.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn value(&self, key: &str, name: &str) -> Result<Value<'_, S>, Error> {
        self.key(key)?.value(name)
    }

    /// Where a cell is in the file, with its content's length.
    pub(super) fn cell_at(&self, cell: u32) -> Result<Range<u64>, Error> {
        let offset = CELLS + u64::from(cell);
        let damaged = |what| Error::Damaged { offset, what };
        if !cell.is_multiple_of(8) || u64::from(cell) + 4 > self.base.length {
            return Err(damaged("no cell can be here"));
        }
        let size = u32_at(&self.bytes(offset, 4)?, 0) as i32;
        let length = u64::from(size.unsigned_abs());
        if size >= 0 {
            return Err(damaged("the cell is a free one"));
        }
        if length < 8 || u64::from(cell) + length > self.base.length {
            return Err(damaged("the cell is of an impossible length"));
        }
        Ok(offset + 4..offset + length)
    }

    /// A cell's content, up to so many bytes.
    pub(super) fn cell(&self, cell: u32, most: u64) -> Result<Cell, Error> {
        let place = self.cell_at(cell)?;
        let bytes = self.bytes(place.start, most.min(place.end - place.start))?;
        Ok(Cell {
            offset: place.start,
            bytes,
        })
    }

    pub(super) fn bytes(&self, offset: u64, len: u64) -> Result<Vec<u8>, Error> {
        let unread = |source| Error::Read { offset, len, source };
        let held = self.source.size().map_err(unread)?;
        // What neither the file nor a log has is nowhere, whatever the hive says of its length.
        if offset.saturating_add(len) > held.max(self.pages.end()) {
            return Err(unread(std::io::ErrorKind::UnexpectedEof.into()));
        }
        let in_file = len.min(held.saturating_sub(offset));
        let mut bytes = read(&self.source, offset, in_file)?;
        bytes.resize(len as usize, 0);
        self.pages.put_over(offset, &mut bytes);
        Ok(bytes)
    }

    pub(super) fn length(&self) -> u64 {
        self.base.length
    }
}
