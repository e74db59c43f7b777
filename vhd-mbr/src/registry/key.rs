use std::fmt;

use xen_disk::ReadAt;

use super::hive::Cell;
use super::list::Subkeys;
use super::name::{is_same, name};
use super::{Error, Hive, Value};
use crate::bytes::{is_at, u16_at, u32_at, u64_at};
use crate::ntfs::FileTime;

/// No key.
pub(super) const NONE: u32 = u32::MAX;
/// What comes before a key's name.
const HEAD: u64 = 76;
/// The longest name: 255 characters of two bytes.
const LONGEST_NAME: u64 = 512;
/// Names are kept in one byte for each character.
const COMPRESSED: u16 = 0x20;

/// A value takes at least so many bytes.
const SMALLEST_VALUE: u64 = 24;

/// A key: it has a name, values, and keys within it.
pub struct Key<'h, S> {
    pub(super) hive: &'h Hive<S>,
    pub(super) cell: u32,
    offset: u64,
    name: String,
    written: FileTime,
    subkeys: (u32, u32),
    values: (u32, u32),
    class: (u32, u16),
    path: String,
}

impl<'h, S: ReadAt> Key<'h, S> {
    pub(super) fn at(hive: &'h Hive<S>, cell: u32, parent: Option<&Self>) -> Result<Self, Error> {
        let Cell { offset, bytes } = hive.cell(cell, HEAD + LONGEST_NAME)?;
        let damaged = |what| Error::Damaged { offset, what };
        if !is_at(&bytes, 0, b"nk") || bytes.len() < HEAD as usize {
            return Err(damaged("a key is expected here"));
        }
        // Each key names the one that it is in: so no key is in itself, however deep.
        if let Some(parent) = parent
            && (u32_at(&bytes, 16) != parent.cell || cell == hive.base().root)
        {
            return Err(damaged("the key belongs to another one"));
        }
        let length = usize::from(u16_at(&bytes, 72));
        let text = bytes.get(HEAD as usize..HEAD as usize + length);
        let text = text.ok_or_else(|| damaged("the key's name is longer than its cell"))?;
        let name = name(text, u16_at(&bytes, 2) & COMPRESSED != 0);
        let path = match parent {
            None => String::new(),
            Some(parent) if parent.path.is_empty() => name.clone(),
            Some(parent) => format!("{}\\{name}", parent.path),
        };
        Ok(Self {
            hive,
            cell,
            offset,
            written: FileTime(u64_at(&bytes, 4)),
            subkeys: (u32_at(&bytes, 20), u32_at(&bytes, 28)),
            values: (u32_at(&bytes, 36), u32_at(&bytes, 40)),
            class: (u32_at(&bytes, 48), u16_at(&bytes, 74)),
            name,
            path,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its path from the root, whose own is empty.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// When it, or a value of it, was changed last.
    pub fn written(&self) -> FileTime {
        self.written
    }

    /// What Windows calls its class; hardly any key has one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn class(&self) -> Result<Option<String>, Error> {
        let (cell, length) = self.class;
        if cell == NONE || length == 0 {
            return Ok(None);
        }
        let text = self.hive.cell(cell, length.into())?;
        Ok(Some(name(&text.bytes, false)))
    }

    /// The keys within it, in the order of their names. One that is damaged is told in its place.
    ///
    /// # Errors
    /// If the list of them cannot be read.
    pub fn subkeys(&self) -> Result<impl Iterator<Item = Result<Key<'h, S>, Error>> + use<'_, 'h, S>, Error> {
        let (count, list) = self.subkeys;
        let cells = if count == 0 || list == NONE {
            Vec::new()
        } else {
            Subkeys::read(self.hive, list, count)?
        };
        Ok(cells.into_iter().map(|cell| Self::at(self.hive, cell, Some(self))))
    }

    /// The key at a path from this one; upper and lower case are the same.
    ///
    /// # Errors
    /// [`Error::NoKey`] with the first name that is missing, and what reading fails with.
    pub fn key(&self, path: &str) -> Result<Self, Error> {
        let mut found = Self::at_again(self)?;
        for wanted in path.split('\\').filter(|name| !name.is_empty()) {
            found = found.subkey(wanted)?.ok_or_else(|| Error::NoKey {
                name: wanted.to_owned(),
                within: found.path.clone(),
            })?;
        }
        Ok(found)
    }

    fn at_again(&self) -> Result<Self, Error> {
        let mut again = Self::at(self.hive, self.cell, None)?;
        again.path.clone_from(&self.path);
        Ok(again)
    }

    /// The key of this name directly within it.
    ///
    /// # Errors
    /// If the keys within it cannot be read.
    pub fn subkey(&self, wanted: &str) -> Result<Option<Self>, Error> {
        let mut broken = None;
        for key in self.subkeys()? {
            match key {
                Ok(key) if is_same(&key.name, wanted) => return Ok(Some(key)),
                Ok(_) => {}
                Err(error) => broken = Some(error),
            }
        }
        broken.map_or(Ok(None), Err)
    }

    /// Its values. One that is damaged is told in its place.
    ///
    /// # Errors
    /// If the list of them cannot be read.
    pub fn values(&self) -> Result<impl Iterator<Item = Result<Value<'h, S>, Error>> + use<'_, 'h, S>, Error> {
        let (count, list) = self.values;
        let mut cells = Vec::new();
        if u64::from(count) > self.hive.length() / SMALLEST_VALUE {
            let (offset, what) = (self.offset(), "there are more values than there is room for");
            return Err(Error::Damaged { offset, what });
        }
        if count > 0 && list != NONE {
            let cell = self.hive.cell(list, u64::from(count) * 4)?;
            if cell.bytes.len() as u64 != u64::from(count) * 4 {
                let (offset, what) = (cell.offset, "the list of values is shorter than their number");
                return Err(Error::Damaged { offset, what });
            }
            cells.extend(cell.bytes.chunks_exact(4).map(|place| u32_at(place, 0)));
        }
        Ok(cells.into_iter().map(|cell| Value::at(self.hive, cell)))
    }

    /// The value of this name, in any case; the nameless one is `""`.
    ///
    /// # Errors
    /// [`Error::NoValue`], and what reading fails with.
    pub fn value(&self, wanted: &str) -> Result<Value<'h, S>, Error> {
        let mut broken = None;
        for value in self.values()? {
            match value {
                Ok(value) if is_same(value.name(), wanted) => return Ok(value),
                Ok(_) => {}
                Err(error) => broken = Some(error),
            }
        }
        Err(broken.unwrap_or_else(|| Error::NoValue {
            name: wanted.to_owned(),
            key: self.path.clone(),
        }))
    }

    /// Where it is in the file, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

impl<S> fmt::Debug for Key<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("path", &self.path).finish_non_exhaustive()
    }
}
