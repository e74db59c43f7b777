//! Entries of directories: short names in capitals, and long ones in entries before them.

use crate::bytes::{u16_at, u32_at};
use crate::filetree::Kind;

pub(super) const ENTRY: usize = 32;
const FREE: u8 = 0xe5;
const END: u8 = 0;
const VOLUME_LABEL: u8 = 0x08;
const DIRECTORY: u8 = 0x10;
const LONG_NAME: u8 = 0x0f;
const LAST_PART: u8 = 0x40;
/// Where the characters of a part of a long name are.
const CHARACTERS: [(usize, usize); 3] = [(1, 5), (14, 6), (28, 2)];

/// What a name leads to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) cluster: u32,
    pub(super) size: u64,
}

/// Reads entries in order, with what is known of the long name of the next.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The parts of the long name, the last one first; the checksum of the short name; the next part's number.
    long: Option<(Vec<u16>, u8, u8)>,
}

/// What a look at one entry gave.
pub(super) enum Found {
    This(Node),
    Other,
    /// There are no more.
    End,
}

impl Scan {
    pub(super) fn look(&mut self, entry: &[u8], name: &str) -> Found {
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
        let long = long.map(|(units, ..)| String::from_utf16_lossy(&units));
        if long.is_some_and(|long| is_same(&long, name)) || short_name(entry).is_some_and(|short| is_same(&short, name))
        {
            Found::This(Node {
                kind: if attributes & DIRECTORY != 0 {
                    Kind::Directory
                } else {
                    Kind::File
                },
                cluster: u32::from(u16_at(entry, 20)) << 16 | u32::from(u16_at(entry, 26)),
                size: u32_at(entry, 28).into(),
            })
        } else {
            Found::Other
        }
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

/// As on Windows a character stands for one other at most: ß is not SS.
fn is_same(one: &str, other: &str) -> bool {
    fn upper(character: char) -> char {
        let mut upper = character.to_uppercase();
        upper.next().filter(|_| upper.next().is_none()).unwrap_or(character)
    }
    one.chars().map(upper).eq(other.chars().map(upper))
}
