//! The records of directories.

use std::time::SystemTime;

use super::Error;
use crate::bytes::u32_at;
use crate::filetree::unix_time;

/// Records do not cross its borders, whatever the block size is.
pub(super) const SECTOR: u64 = 2048;
/// A record without its name.
const FIXED: usize = 33;
const DIRECTORY: u8 = 0x02;
const ASSOCIATED: u8 = 0x04;
const MORE_EXTENTS: u8 = 0x80;

pub(super) struct Record<'a> {
    /// The first block, its attributes before it included, and how many they are.
    block: u32,
    attribute_blocks: u8,
    /// The length of the content, or of its part here.
    pub(super) len: u64,
    pub(super) time: Option<SystemTime>,
    flags: u8,
    /// Whether its content is spread over the medium in units with gaps.
    pub(super) is_interleaved: bool,
    pub(super) name: &'a [u8],
    pub(super) system_use: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record at the start of `bytes`, which are at byte `offset`.
    pub(super) fn parse(bytes: &'a [u8], offset: u64) -> Result<Self, Error> {
        let damaged = Error::damaged(offset, "the record of a file is cut off");
        let Some(raw) = bytes.first().and_then(|&len| bytes.get(..usize::from(len))) else {
            return Err(damaged);
        };
        if raw.len() <= FIXED {
            return Err(damaged);
        }
        let name_end = FIXED + usize::from(raw[32]);
        let Some(name) = raw.get(FIXED..name_end) else {
            return Err(damaged);
        };
        Ok(Self {
            block: u32_at(raw, 2),
            attribute_blocks: raw[1],
            len: u32_at(raw, 10).into(),
            time: time(&raw[18..25]),
            flags: raw[25],
            is_interleaved: raw[26] != 0,
            name,
            // What is behind starts at an even byte of the record.
            system_use: raw.get(name_end + (name_end & 1)..).unwrap_or_default(),
        })
    }

    /// Where the content starts.
    pub(super) fn first_byte(&self, block_size: u64) -> u64 {
        (u64::from(self.block) + u64::from(self.attribute_blocks)) * block_size
    }

    pub(super) fn is_directory(&self) -> bool {
        self.flags & DIRECTORY != 0
    }

    /// Whether it is the other half of a Macintosh's file.
    pub(super) fn is_associated(&self) -> bool {
        self.flags & ASSOCIATED != 0
    }

    /// Whether the file goes on in the next record.
    pub(super) fn has_more(&self) -> bool {
        self.flags & MORE_EXTENTS != 0
    }

    /// Whether it stands for the directory itself or for its parent.
    pub(super) fn is_dots(&self) -> bool {
        matches!(self.name, [0 | 1])
    }
}

/// Years since 1900, and so on to seconds, with the time zone in quarters of an hour.
pub(super) fn time(raw: &[u8]) -> Option<SystemTime> {
    let &[year, month, day, hour, minute, second, zone, ..] = raw else {
        return None;
    };
    if !(1..=12).contains(&month) || day == 0 {
        return None;
    }
    let days = crate::filetree::days_since_1970(1900 + i64::from(year), month.into(), day.into());
    let in_day = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    unix_time(days * 86_400 + in_day - i64::from(zone as i8) * 900, 0)
}
