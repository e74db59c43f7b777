//! How entries are named and where the blocks go.

use crate::checksum::Algorithm;

/// Blocks are this long until a first one tells otherwise.
pub(crate) const USUAL_LEN: u64 = 1 << 20;

/// The name of an entry, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name<'a> {
    /// `ova.xml`
    Metadata,
    /// `Ref:12/00000003`
    Block { disk: &'a str, number: u64 },
    /// `Ref:12/00000003.xxhash` or `Ref:12/00000003.checksum`
    Checksum {
        disk: &'a str,
        number: u64,
        algorithm: Algorithm,
    },
    /// Anything else.
    Other,
}

impl<'a> Name<'a> {
    pub(crate) fn parse(name: &'a str) -> Self {
        let name = name.trim_start_matches("./");
        if name == "ova.xml" {
            return Self::Metadata;
        }
        let Some((disk, file)) = name.rsplit_once('/').filter(|(disk, _)| !disk.is_empty()) else {
            return Self::Other;
        };
        let (digits, algorithm) = match file.split_once('.') {
            None => (file, None),
            Some((digits, "xxhash")) => (digits, Some(Algorithm::Xxh64)),
            Some((digits, "checksum")) => (digits, Some(Algorithm::Sha1)),
            Some(_) => return Self::Other,
        };
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Self::Other;
        }
        match (digits.parse(), algorithm) {
            (Ok(number), None) => Self::Block { disk, number },
            (Ok(number), Some(algorithm)) => Self::Checksum {
                disk,
                number,
                algorithm,
            },
            (Err(_), _) => Self::Other,
        }
    }
}

/// Turns the numbers of a disk's blocks into offsets.
///
/// A block's number counts entries; it is no offset. Each number left out stands for as many zeros as the disk's first
/// block has bytes, and empty entries (written to keep a slow export's connection alive) use a number up without
/// covering anything. So after three of those, block 10 of a disk begins at 7 MiB.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counter {
    next: u64,
    offset: u64,
    unit: Option<u64>,
}

/// Why a block has no place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Misplaced {
    /// Its number is not above the previous one.
    Backwards { previous: u64 },
    /// Its offset cannot be counted.
    Overflow,
}

impl Counter {
    /// A counter in the middle of a disk whose first block has `unit` bytes.
    pub(crate) fn resume(next: u64, offset: u64, unit: u64) -> Self {
        Self {
            next,
            offset,
            unit: Some(unit),
        }
    }

    /// The number that follows without a gap.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// How many bytes a number that was left out stands for.
    pub(crate) fn unit(&self) -> u64 {
        self.unit.unwrap_or(USUAL_LEN)
    }

    /// The offset in bytes of the block called `number` with `len` bytes.
    pub(crate) fn place(&mut self, number: u64, len: u64) -> Result<u64, Misplaced> {
        let left_out = number.checked_sub(self.next).ok_or(Misplaced::Backwards {
            previous: self.next.wrapping_sub(1),
        })?;
        if self.unit.is_none() && len > 0 {
            self.unit = Some(len);
        }
        let place = || {
            let hole = left_out.checked_mul(self.unit())?;
            let offset = self.offset.checked_add(hole)?;
            Some((offset, offset.checked_add(len)?, number.checked_add(1)?))
        };
        let (offset, end, next) = place().ok_or(Misplaced::Overflow)?;
        (self.offset, self.next) = (end, next);
        Ok(offset)
    }

    /// How much of the disk is covered so far, in bytes.
    pub(crate) fn end(&self) -> u64 {
        self.offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn names() {
        assert_eq!(Name::parse("ova.xml"), Name::Metadata);
        assert_eq!(Name::parse("./ova.xml"), Name::Metadata);
        assert_eq!(
            Name::parse("Ref:12/00000003"),
            Name::Block {
                disk: "Ref:12",
                number: 3
            }
        );
        assert_eq!(
            Name::parse("Ref:003/100000000.xxhash"),
            Name::Checksum {
                disk: "Ref:003",
                number: 100_000_000,
                algorithm: Algorithm::Xxh64
            }
        );
        assert_eq!(
            Name::parse("vdi/00000000.checksum"),
            Name::Checksum {
                disk: "vdi",
                number: 0,
                algorithm: Algorithm::Sha1
            }
        );
        for other in [
            "",
            "/",
            "/00000000",
            "Ref:1/",
            "Ref:1/x",
            "Ref:1/+1",
            "Ref:1/0.md5",
            "Ref:1/99999999999999999999",
        ] {
            assert_eq!(Name::parse(other), Name::Other, "{other}");
        }
    }

    #[test]
    fn numbers_are_counters() {
        let mut counter = Counter::default();
        assert_eq!(counter.place(0, MIB), Ok(0));
        assert_eq!(counter.place(1, 0), Ok(MIB), "a heartbeat covers nothing");
        assert_eq!(counter.place(2, MIB), Ok(MIB));
        assert_eq!(counter.place(5, MIB), Ok(4 * MIB), "two numbers left out");
        assert_eq!(counter.place(6, 1000), Ok(5 * MIB));
        assert_eq!(counter.end(), 5 * MIB + 1000);
    }

    #[test]
    fn the_first_block_sets_the_unit() {
        let mut counter = Counter::default();
        assert_eq!(counter.place(0, MIB / 2), Ok(0));
        assert_eq!(counter.place(3, MIB / 2), Ok(3 * MIB / 2));
    }

    #[test]
    fn bad_numbers() {
        let mut counter = Counter::default();
        assert_eq!(counter.place(7, MIB), Ok(7 * MIB));
        assert_eq!(counter.place(7, MIB), Err(Misplaced::Backwards { previous: 7 }));
        assert_eq!(counter.place(0, MIB), Err(Misplaced::Backwards { previous: 7 }));
        assert_eq!(counter.place(u64::MAX, MIB), Err(Misplaced::Overflow));
        assert_eq!(counter.place(8, MIB), Ok(8 * MIB));
    }
}
