//! What Rock Ridge keeps behind the records: names, modes, times and links (IEEE P1281 and P1282, drafts 1.12).

use std::collections::HashSet;
use std::time::SystemTime;

use super::Error;
use super::record;
use crate::bytes::u32_at;
use crate::filetree::Source;

/// Fields of a file can go on elsewhere so many times.
const MOST_PLACES: usize = 64;
/// The longest path on Linux.
const LONGEST_TARGET: usize = 4096;

/// The fields of one file.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) name: Vec<u8>,
    /// Type and permissions as Unix has them.
    pub(super) mode: Option<u32>,
    pub(super) target: Vec<u8>,
    pub(super) created: Option<SystemTime>,
    pub(super) modified: Option<SystemTime>,
    pub(super) accessed: Option<SystemTime>,
    pub(super) changed: Option<SystemTime>,
    /// The block of a directory that is so deep down that it is kept elsewhere.
    pub(super) moved_to: Option<u32>,
    /// Whether this is where such a directory is kept.
    pub(super) is_moved: bool,
    /// What the content would have to be decoded by.
    pub(super) encoding: Option<&'static str>,
    /// Whether the last component of the target goes on in the next field.
    continued: bool,
}

impl Fields {
    /// The fields in `bytes`, and those that they say are elsewhere.
    pub(super) fn read(source: &Source<'_>, bytes: &[u8], offset: u64, block_size: u64) -> Result<Self, Error> {
        let mut fields = Self::default();
        let mut next = fields.take(bytes);
        let mut seen = HashSet::new();
        while let Some((block, inside, len)) = next {
            let place = u64::from(block) * block_size + u64::from(inside);
            if u64::from(len) > super::record::SECTOR || !seen.insert(place) || seen.len() > MOST_PLACES {
                return Err(Error::damaged(offset, "the fields of this record go on forever"));
            }
            next = fields.take(&source.read(place, len as usize)?);
        }
        Ok(fields)
    }

    /// Takes up fields; where they go on, if they do.
    fn take(&mut self, mut bytes: &[u8]) -> Option<(u32, u32, u32)> {
        let mut next = None;
        while let Some(field) = bytes.get(2).and_then(|&len| bytes.get(..usize::from(len))) {
            if field.len() < 4 {
                break;
            }
            let value = &field[4..];
            match &field[..2] {
                b"CE" => next = Some((u32_at(value, 0), u32_at(value, 8), u32_at(value, 16))),
                b"ST" => break,
                b"NM" => self.name.extend(value.get(1..).unwrap_or_default()),
                b"PX" => self.mode = Some(u32_at(value, 0)),
                b"SL" => self.link(value.get(1..).unwrap_or_default()),
                b"TF" => self.times(value),
                b"CL" => self.moved_to = Some(u32_at(value, 0)),
                b"RE" => self.is_moved = true,
                b"ZF" => self.encoding = Some("zisofs"),
                b"SF" => self.encoding = Some("sparse files"),
                _ => {}
            }
            bytes = &bytes[field.len()..];
        }
        next
    }

    /// Takes up components of a link's target.
    fn link(&mut self, mut components: &[u8]) {
        const CONTINUES: u8 = 1;
        while let &[flags, len, ..] = components {
            let end = 2 + usize::from(len);
            let Some(text) = components.get(2..end).filter(|_| self.target.len() < LONGEST_TARGET) else {
                return;
            };
            if !self.continued && !self.target.is_empty() && !self.target.ends_with(b"/") {
                self.target.push(b'/');
            }
            self.target.extend(match flags & 0x0e {
                2 => b".",
                4 => b"..".as_slice(),
                8 => b"/",
                _ => text,
            });
            self.continued = flags & CONTINUES != 0;
            components = &components[end..];
        }
    }

    fn times(&mut self, value: &[u8]) {
        const LONG: u8 = 0x80;
        let Some((&flags, mut stamps)) = value.split_first() else {
            return;
        };
        let len = if flags & LONG != 0 { 17 } else { 7 };
        let places = [
            &mut self.created,
            &mut self.modified,
            &mut self.accessed,
            &mut self.changed,
        ];
        // Those of backups come behind.
        for (_, place) in places.into_iter().enumerate().filter(|(bit, _)| flags >> bit & 1 != 0) {
            let Some(stamp) = stamps.get(..len) else { return };
            *place = if flags & LONG != 0 {
                long_time(stamp)
            } else {
                record::time(stamp)
            };
            stamps = &stamps[len..];
        }
    }
}

/// A time in digits: year, month, day, hour, minute, second, hundredths, and the zone.
fn long_time(stamp: &[u8]) -> Option<SystemTime> {
    let stamp: &[u8; 17] = stamp.first_chunk()?;
    let digits = std::str::from_utf8(&stamp[..14]).ok()?;
    let number = |range: std::ops::Range<usize>| digits.get(range)?.parse::<u16>().ok();
    let year = number(0..4)?.checked_sub(1900)?;
    let mut short = [u8::try_from(year).ok()?, 0, 0, 0, 0, 0, stamp[16]];
    for (index, field) in short[1..6].iter_mut().enumerate() {
        *field = u8::try_from(number(4 + index * 2..6 + index * 2)?).ok()?;
    }
    record::time(&short)
}
