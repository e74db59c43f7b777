use std::fmt;
use std::ops::Range;

use xen_disk::ReadAt;

use super::hive::Cell;
use super::name::name;
use super::{Error, Hive, ValueType};
use crate::bytes::{array, is_at, u16_at, u32_at};
use crate::patch::Change;

/// What comes before a value's name.
const HEAD: u64 = 20;
/// The longest name: 16,383 characters of two bytes.
const LONGEST_NAME: u64 = 32_766;
/// The name is kept in one byte for each character.
const COMPRESSED: u16 = 1;
/// The data is in the place of its offset.
const INLINE: u32 = 1 << 31;
/// Longer data is in segments of this length, in hives from version 1.4 on.
const SEGMENT: u64 = 16_344;
/// The first minor version of hives that have such segments.
const WITH_SEGMENTS: u32 = 4;
/// Data may be as long as the hive.
const LONGEST: u64 = 1 << 30;

/// A value: a name, a type and data.
pub struct Value<'h, S> {
    hive: &'h Hive<S>,
    name: String,
    kind: ValueType,
    /// Where the length of the data is in the file.
    length_at: u64,
    len: u64,
    data: Data,
}

enum Data {
    /// In the value's own cell.
    Inline(u64),
    /// In one cell, or in a list of segments.
    Cell(u32),
}

impl<'h, S: ReadAt> Value<'h, S> {
    pub(super) fn at(hive: &'h Hive<S>, cell: u32) -> Result<Self, Error> {
        let Cell { offset, bytes } = hive.cell(cell, HEAD + LONGEST_NAME)?;
        let damaged = |what| Error::Damaged { offset, what };
        if !is_at(&bytes, 0, b"vk") || bytes.len() < HEAD as usize {
            return Err(damaged("a value is expected here"));
        }
        let length = usize::from(u16_at(&bytes, 2));
        let text = bytes.get(HEAD as usize..HEAD as usize + length);
        let text = text.ok_or_else(|| damaged("the value's name is longer than its cell"))?;
        let size = u32_at(&bytes, 4);
        let is_inline = size & INLINE != 0;
        let len = u64::from(size & !INLINE);
        if is_inline && len > 4 || len > LONGEST {
            return Err(damaged("the value's data is of an impossible length"));
        }
        Ok(Self {
            hive,
            name: name(text, u16_at(&bytes, 16) & COMPRESSED != 0),
            kind: u32_at(&bytes, 12).into(),
            length_at: offset + 4,
            len,
            data: if is_inline {
                Data::Inline(offset + 8)
            } else {
                Data::Cell(u32_at(&bytes, 8))
            },
        })
    }

    /// Its name; that of a key's nameless value is empty.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its data is said to be.
    pub fn kind(&self) -> ValueType {
        self.kind
    }

    /// The length of its data in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no data.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where its data is in the file, in bytes.
    ///
    /// # Errors
    /// If what leads there is damaged or cannot be read.
    pub fn place(&self) -> Result<Vec<Range<u64>>, Error> {
        Ok(cut(self.room()?, self.len))
    }

    /// Its data.
    ///
    /// # Errors
    /// If it is damaged or cannot be read.
    pub fn data(&self) -> Result<Vec<u8>, Error> {
        let mut data = Vec::new();
        for part in self.place()? {
            data.extend(self.hive.bytes(part.start, part.end - part.start)?);
        }
        Ok(data)
    }

    /// Its data as a number of four bytes.
    ///
    /// # Errors
    /// [`Error::Type`] if it is none.
    pub fn u32(&self) -> Result<u32, Error> {
        let data = self.data()?;
        match (self.kind, data.len()) {
            (ValueType::U32, 4) => Ok(u32_at(&data, 0)),
            (ValueType::U32BigEndian, 4) => Ok(u32::from_be_bytes(array(&data, 0))),
            _ => Err(self.is_no("a number of four bytes")),
        }
    }

    /// Its data as a number of eight bytes.
    ///
    /// # Errors
    /// [`Error::Type`] if it is none.
    pub fn u64(&self) -> Result<u64, Error> {
        let data = self.data()?;
        match (self.kind, data.len()) {
            (ValueType::U64, 8) => Ok(u64::from_le_bytes(array(&data, 0))),
            _ => Err(self.is_no("a number of eight bytes")),
        }
    }

    /// Its data as text, without the zero at its end.
    ///
    /// # Errors
    /// [`Error::Type`] if it is none.
    pub fn string(&self) -> Result<String, Error> {
        match self.kind {
            ValueType::String | ValueType::ExpandString | ValueType::Link => {
                let text = name(&self.data()?, false);
                Ok(text.split('\0').next().unwrap_or_default().to_owned())
            }
            _ => Err(self.is_no("text")),
        }
    }

    /// Its data as several texts.
    ///
    /// # Errors
    /// [`Error::Type`] if it is none.
    pub fn strings(&self) -> Result<Vec<String>, Error> {
        match self.kind {
            ValueType::MultiString => {
                let text = name(&self.data()?, false);
                let parts = text.split('\0').take_while(|part| !part.is_empty());
                Ok(parts.map(str::to_owned).collect())
            }
            _ => Err(self.is_no("a list of texts")),
        }
    }

    /// What to write into the file to give it other data of the same type: as long as the old, or of a length that fits
    /// where the old is. Nothing else of the hive changes; its checksum is not of values.
    ///
    /// # Errors
    /// [`Error::Dirty`] where Windows would write over it, [`Error::NoRoom`] where it does not fit.
    pub fn change(&self, data: &[u8]) -> Result<Vec<Change>, Error> {
        if self.hive.is_dirty() {
            return Err(Error::Dirty);
        }
        let len = data.len() as u64;
        let room = self.room()?;
        let longest = room.iter().map(|part| part.end - part.start).sum();
        // Data of up to four bytes stands in the value itself, longer data never.
        let fits = match self.data {
            Data::Inline(_) => len <= 4,
            Data::Cell(_) => {
                // Of such a length Windows expects a list of segments, in hives that can have one.
                let becomes_segments =
                    len > SEGMENT && self.len <= SEGMENT && self.hive.base().minor_version >= WITH_SEGMENTS;
                len == self.len || len > 4 && len <= longest && room.len() == 1 && !becomes_segments
            }
        };
        if !fits {
            let (name, room) = (self.name.clone(), longest);
            return Err(Error::NoRoom { name, room, len });
        }
        let mut changes = Vec::new();
        let mut rest = data;
        for part in cut(room, len) {
            let (here, behind) = rest.split_at((part.end - part.start) as usize);
            let old = self.hive.bytes(part.start, here.len() as u64)?;
            changes.push(Change::write(part.start, here).expecting(old));
            rest = behind;
        }
        if len != self.len {
            let inline = if matches!(self.data, Data::Inline(_)) {
                INLINE
            } else {
                0
            };
            let word = |len: u64| (len as u32 | inline).to_le_bytes();
            changes.push(Change::write(self.length_at, word(len)).expecting(word(self.len)));
        }
        Ok(changes)
    }

    /// Where data can be without anything being moved.
    fn room(&self) -> Result<Vec<Range<u64>>, Error> {
        match self.data {
            Data::Inline(offset) => Ok(std::iter::once(offset..offset + 4).collect()),
            Data::Cell(_) if self.len == 0 => Ok(Vec::new()),
            Data::Cell(cell) => self.room_in(cell),
        }
    }

    fn room_in(&self, cell: u32) -> Result<Vec<Range<u64>>, Error> {
        let place = self.hive.cell_at(cell)?;
        let damaged = |what| Error::Damaged {
            offset: place.start,
            what,
        };
        // Older hives, and those that other programs write, keep long data in one cell.
        if self.len <= place.end - place.start {
            return Ok(std::iter::once(place).collect());
        }
        if self.len <= SEGMENT {
            return Err(damaged("the value's data is longer than its cell"));
        }
        let head = self.hive.bytes(place.start, 8)?;
        let count = u64::from(u16_at(&head, 2));
        if !is_at(&head, 0, b"db") || count != self.len.div_ceil(SEGMENT) {
            return Err(damaged("a list of segments is expected here"));
        }
        let list = self.hive.cell(u32_at(&head, 4), count * 4)?;
        let segments = list.bytes.chunks_exact(4).map(|segment| {
            let place = self.hive.cell_at(u32_at(segment, 0))?;
            Ok(place.start..place.end.min(place.start + SEGMENT))
        });
        let segments: Vec<_> = segments.collect::<Result<_, Error>>()?;
        let room: u64 = segments.iter().map(|segment| segment.end - segment.start).sum();
        if room < self.len {
            return Err(damaged("the value's data is longer than its segments"));
        }
        Ok(segments)
    }

    fn is_no(&self, wanted: &'static str) -> Error {
        Error::Type {
            name: self.name.clone(),
            found: format!("{} of {} bytes", self.kind, self.len),
            wanted,
        }
    }
}

/// The first so many bytes of some places.
fn cut(places: Vec<Range<u64>>, len: u64) -> Vec<Range<u64>> {
    let mut left = len;
    let mut cut = Vec::new();
    for place in places {
        let here = left.min(place.end - place.start);
        if here > 0 {
            cut.push(place.start..place.start + here);
        }
        left -= here;
    }
    cut
}

impl<S> fmt::Debug for Value<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
