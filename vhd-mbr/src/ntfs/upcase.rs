//! Names without regard to case, as this volume has it.

use std::cmp::Ordering;

use crate::bytes::u16_at;

/// `$UpCase`: the capital of every UTF-16 unit. Surrogates are their own, so only the BMP has letters of two cases.
#[derive(Debug)]
pub(super) struct UpCase(Vec<u16>);

/// The table's size in bytes where it is complete.
pub(super) const UPCASE_SIZE: u64 = 2 * 65_536;

impl UpCase {
    pub(super) fn new(table: &[u8]) -> Self {
        Self(table.chunks_exact(2).map(|unit| u16_at(unit, 0)).collect())
    }

    fn capital(&self, unit: u16) -> u16 {
        self.0.get(usize::from(unit)).copied().unwrap_or(unit)
    }

    /// The order of a directory without its last word on names that differ in case only.
    pub(super) fn compare<'a>(&'a self, one: &'a [u16], other: &'a [u16]) -> Ordering {
        let capitals = |name: &'a [u16]| name.iter().map(|&unit| self.capital(unit));
        capitals(one).cmp(capitals(other))
    }
}
