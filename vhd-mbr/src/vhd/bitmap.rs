//! Which sectors of a block are there.

/// One bit per sector, the first in the highest bit of the first byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bitmap(Vec<u8>);

impl Bitmap {
    /// The bitmap as it stands in the file.
    pub(super) fn from_file(mut bytes: Vec<u8>, old_order: bool) -> Self {
        if old_order {
            bytes.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
        Self(bytes)
    }

    /// The bytes from `start` up to `end`, as they stand in the file.
    pub(super) fn to_file(&self, start: usize, end: usize, old_order: bool) -> Vec<u8> {
        let mut bytes = self.0[start..end].to_vec();
        if old_order {
            bytes.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
        bytes
    }

    pub(super) fn is_set(&self, sector: u64) -> bool {
        self.0[(sector / 8) as usize] & (0x80 >> (sector % 8)) != 0
    }

    pub(super) fn set(&mut self, sector: u64) {
        self.0[(sector / 8) as usize] |= 0x80 >> (sector % 8);
    }

    /// Where the run of equal bits that starts at `sector` ends, at `limit` at the latest.
    pub(super) fn run_end(&self, sector: u64, limit: u64) -> u64 {
        let set = self.is_set(sector);
        let same = if set { 0xff } else { 0 };
        let mut at = sector + 1;
        while at < limit {
            if at.is_multiple_of(8) && self.0[(at / 8) as usize] == same {
                at += 8;
            } else if self.is_set(at) == set {
                at += 1;
            } else {
                break;
            }
        }
        at.min(limit)
    }

    /// Whether the first `sectors` are all there, and whether any of them is.
    pub(super) fn summary(&self, sectors: u64) -> (bool, bool) {
        let end = self.run_end(0, sectors);
        let first = self.is_set(0);
        (first && end == sectors, first || end < sectors)
    }
}

#[cfg(test)]
mod tests {
    use super::Bitmap;

    #[test]
    fn runs_end_where_the_bits_change() {
        let map = Bitmap::from_file(vec![0b1100_0000, 0, 0, 0b0000_0001, 0xff, 0xff, 0b1000_0000], false);
        assert_eq!(map.run_end(0, 56), 2);
        assert_eq!(map.run_end(2, 56), 31);
        assert_eq!(map.run_end(31, 56), 49);
        assert_eq!(map.run_end(31, 45), 45);
        assert_eq!(map.run_end(49, 56), 56);
        assert_eq!(map.summary(2), (true, true));
        assert_eq!(map.summary(3), (false, true));
        assert_eq!(Bitmap::from_file(vec![0, 1], false).summary(8), (false, false));
    }

    #[test]
    fn the_old_order_has_the_first_sector_in_the_lowest_bit() {
        let mut map = Bitmap::from_file(vec![0b0000_0011], true);
        assert!(map.is_set(0) && map.is_set(1) && !map.is_set(2));
        map.set(7);
        assert_eq!(map.to_file(0, 1, true), [0b1000_0011]);
    }
}
