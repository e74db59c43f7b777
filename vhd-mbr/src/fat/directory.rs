//! Entries of directories: short names in capitals, and long ones in entries before them.

use std::time::SystemTime;

use crate::bytes::{u16_at, u32_at};
use crate::filetree::{Kind, Stat, days_since_1970, unix_time};

pub(super) const ENTRY: usize = 32;
const FREE: u8 = 0xe5;
const END: u8 = 0;
const VOLUME_LABEL: u8 = 0x08;
const DIRECTORY: u8 = 0x10;
const LONG_NAME: u8 = 0x0f;
/// Bits of the byte behind the attributes, as Windows NT has them.
const LOWER_BASE: u8 = 0x08;
const LOWER_EXTENSION: u8 = 0x10;
const LAST_PART: u8 = 0x40;
/// Where the characters of a part of a long name are.
const CHARACTERS: [(usize, usize); 3] = [(1, 5), (14, 6), (28, 2)];

/// What a name leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(super) kind: Kind,
    pub(super) cluster: u32,
    pub(super) size: u64,
    /// Dates and times, those of creation with hundredths.
    modified: (u16, u16),
    created: (u16, u16, u8),
    accessed: u16,
}

impl Node {
    pub(super) fn root() -> Self {
        Self {
            kind: Kind::Directory,
            cluster: 0,
            size: 0,
            modified: (0, 0),
            created: (0, 0, 0),
            accessed: 0,
        }
    }

    fn new(entry: &[u8]) -> Self {
        Self {
            kind: if entry[11] & DIRECTORY != 0 {
                Kind::Directory
            } else {
                Kind::File
            },
            cluster: u32::from(u16_at(entry, 20)) << 16 | u32::from(u16_at(entry, 26)),
            size: u32_at(entry, 28).into(),
            modified: (u16_at(entry, 24), u16_at(entry, 22)),
            created: (u16_at(entry, 16), u16_at(entry, 14), entry[13]),
            accessed: u16_at(entry, 18),
        }
    }

    pub(super) fn stat(&self) -> Stat {
        let mut stat = Stat::new(self.kind, self.size);
        stat.modified = time(self.modified.0, self.modified.1, 0);
        stat.created = time(self.created.0, self.created.1, self.created.2);
        stat.accessed = time(self.accessed, 0, 0);
        stat
    }
}

/// A name with the short one that Windows may have made for it.
pub(super) struct Entry {
    pub(super) node: Node,
    long: Option<String>,
    short: Option<String>,
    /// The short name as it is shown: Windows notes there which of its parts are in lower case.
    shown: String,
}

impl Entry {
    pub(super) fn has_name(&self, name: &str) -> bool {
        [&self.long, &self.short]
            .into_iter()
            .flatten()
            .any(|own| is_same(own, name))
    }

    pub(super) fn is_dots(&self) -> bool {
        self.long.is_none() && matches!(&*self.shown, "." | "..")
    }

    pub(super) fn into_name(self) -> String {
        self.long.unwrap_or(self.shown)
    }
}

/// Reads entries in order, with what is known of the long name of the next.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The parts of the long name, the last one first; the checksum of the short name; the next part's number.
    long: Option<(Vec<u16>, u8, u8)>,
}

/// What a look at one entry gave.
pub(super) enum Found {
    Name(Entry),
    Other,
    /// There are no more.
    End,
}

impl Scan {
    pub(super) fn look(&mut self, entry: &[u8]) -> Found {
        match entry.first() {
            None | Some(&END) => return Found::End,
            Some(&FREE) => {
                self.long = None;
                return Found::Other;
            }
            _ => {}
        }
        let attributes = entry[11];
        if attributes & 0x3f == LONG_NAME {
            self.part(entry);
            return Found::Other;
        }
        let long = self
            .long
            .take()
            .filter(|(_, sum, next)| *next == 0 && *sum == checksum(entry));
        if attributes & VOLUME_LABEL != 0 {
            return Found::Other;
        }
        Found::Name(Entry {
            node: Node::new(entry),
            long: long.map(|(units, ..)| String::from_utf16_lossy(&units)),
            short: short_name(entry),
            shown: shown_name(entry),
        })
    }

    fn part(&mut self, entry: &[u8]) {
        let (number, sum) = (entry[0] & !LAST_PART, entry[13]);
        if entry[0] & LAST_PART != 0 {
            self.long = Some((Vec::new(), sum, number));
        }
        let Some((units, expected_sum, next)) = &mut self.long else {
            return;
        };
        if number == 0 || number > 20 || number != *next || sum != *expected_sum {
            self.long = None;
            return;
        }
        *next -= 1;
        let all = CHARACTERS
            .iter()
            .flat_map(|&(at, count)| (0..count).map(move |index| u16_at(entry, at + index * 2)));
        let mut part: Vec<u16> = all.take_while(|&unit| unit != 0).collect();
        part.append(units);
        *units = part;
    }
}

/// Of a short name, as the entries of its long name repeat it.
fn checksum(entry: &[u8]) -> u8 {
    entry[..11]
        .iter()
        .fold(0u8, |sum, &byte| sum.rotate_right(1).wrapping_add(byte))
}

/// The short name with its dot; none where it has characters of a code page, which is written down nowhere.
fn short_name(entry: &[u8]) -> Option<String> {
    let (base, extension) = (
        std::str::from_utf8(&entry[..8]).ok()?,
        std::str::from_utf8(&entry[8..11]).ok()?,
    );
    let (base, extension) = (base.trim_end_matches(' '), extension.trim_end_matches(' '));
    Some(if extension.is_empty() {
        base.to_owned()
    } else {
        format!("{base}.{extension}")
    })
}

/// The short name for people, with a sign for each character of a code page.
fn shown_name(entry: &[u8]) -> String {
    let part = |bytes: &[u8], lower: u8| {
        let text = bytes.iter().enumerate().map(|(index, &byte)| match byte {
            // Where a name starts with the byte that marks free entries, this one stands for it.
            0x05 if index == 0 => char::REPLACEMENT_CHARACTER,
            0..0x80 if entry[12] & lower != 0 => byte.to_ascii_lowercase().into(),
            0..0x80 => byte.into(),
            _ => char::REPLACEMENT_CHARACTER,
        });
        text.collect::<String>().trim_end_matches(' ').to_owned()
    };
    let (base, extension) = (part(&entry[..8], LOWER_BASE), part(&entry[8..11], LOWER_EXTENSION));
    if extension.is_empty() {
        base
    } else {
        format!("{base}.{extension}")
    }
}

/// The first date is 1980-01-01; hundredths go up to two seconds. None where there is no date.
fn time(date: u16, time: u16, hundredths: u8) -> Option<SystemTime> {
    let (year, month, day) = (
        i64::from(date >> 9) + 1980,
        i64::from(date >> 5 & 0xf),
        i64::from(date & 0x1f),
    );
    if !(1..=12).contains(&month) || day == 0 {
        return None;
    }
    let days = days_since_1970(year, month, day);
    let in_day = i64::from(time >> 11) * 3600 + i64::from(time >> 5 & 0x3f) * 60 + i64::from(time & 0x1f) * 2;
    let hundredths = u32::from(hundredths).min(199);
    unix_time(
        days * 86_400 + in_day + i64::from(hundredths / 100),
        hundredths % 100 * 10_000_000,
    )
}

/// As on Windows a character stands for one other at most: ß is not SS.
fn is_same(one: &str, other: &str) -> bool {
    fn upper(character: char) -> char {
        let mut upper = character.to_uppercase();
        upper.next().filter(|_| upper.next().is_none()).unwrap_or(character)
    }
    one.chars().map(upper).eq(other.chars().map(upper))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::time;

    #[test]
    fn dates_since_1980() {
        let seconds = |seconds| Some(UNIX_EPOCH + Duration::from_secs(seconds));
        let date = |year: u16, month: u16, day: u16| (year - 1980) << 9 | month << 5 | day;
        assert_eq!(time(date(1980, 1, 1), 0, 0), seconds(315_532_800));
        assert_eq!(time(date(2000, 2, 29), 0, 0), seconds(951_782_400));
        assert_eq!(
            time(date(2024, 3, 1), 23 << 11 | 59 << 5 | 29, 199),
            seconds(1_709_337_599).map(|time| time + Duration::from_millis(990))
        );
        assert_eq!(time(date(2107, 12, 31), 0, 0), seconds(4_354_732_800));
        assert_eq!(time(0, 0, 0), None);
    }
}
