use xen_disk::ReadAt;

use super::hive::Cell;
use super::{Error, Hive};
use crate::bytes::{u16_at, u32_at};

/// Lists of the keys within a key.
pub(super) struct Subkeys;

/// A key takes at least so many bytes, so there are no more of them than fit.
const SMALLEST_KEY: u64 = 80;

impl Subkeys {
    /// The cells of all keys in a list, which may be a list of lists.
    pub(super) fn read<S: ReadAt>(hive: &Hive<S>, list: u32, count: u32) -> Result<Vec<u32>, Error> {
        let mut found = Vec::new();
        let top = Self::one(hive, list)?;
        match top {
            List::Keys(keys) => found = keys,
            List::Lists(lists) => {
                for list in lists {
                    let offset = hive.cell_at(list)?.start;
                    match Self::one(hive, list)? {
                        List::Keys(keys) => found.extend(keys),
                        List::Lists(_) => {
                            let what = "a list of lists is within another one";
                            return Err(Error::Damaged { offset, what });
                        }
                    }
                    // Lists may name each other again and again.
                    if found.len() as u64 > hive.length() / SMALLEST_KEY {
                        let what = "there are more keys than there is room for";
                        return Err(Error::Damaged { offset, what });
                    }
                }
            }
        }
        if found.len() as u64 != u64::from(count) {
            let offset = hive.cell_at(list)?.start;
            let what = "the list of keys has another length than their number";
            return Err(Error::Damaged { offset, what });
        }
        Ok(found)
    }

    fn one<S: ReadAt>(hive: &Hive<S>, cell: u32) -> Result<List, Error> {
        let Cell { offset, bytes } = hive.cell(cell, 4 + 8 * u64::from(u16::MAX))?;
        let entries = usize::from(u16_at(&bytes, 2));
        let of_width = |width: usize| {
            let entries = bytes.get(4..4 + entries * width);
            let entries = entries.ok_or(Error::Damaged {
                offset,
                what: "the list of keys is longer than its cell",
            })?;
            Ok(entries.chunks_exact(width).map(|entry| u32_at(entry, 0)).collect())
        };
        match bytes.get(..2) {
            Some(b"lf" | b"lh") => Ok(List::Keys(of_width(8)?)),
            Some(b"li") => Ok(List::Keys(of_width(4)?)),
            Some(b"ri") => Ok(List::Lists(of_width(4)?)),
            _ => Err(Error::Damaged {
                offset,
                what: "a list of keys is expected here",
            }),
        }
    }
}

enum List {
    Keys(Vec<u32>),
    Lists(Vec<u32>),
}
