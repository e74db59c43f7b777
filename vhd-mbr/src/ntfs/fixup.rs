//! Update sequences: each 512 bytes of a record end in the number of the write, and what belongs there stands in an array
//! in front, so that a record of which only a part was written shows.

use std::ops::Range;

use super::Error;
use crate::bytes::{is_at, u16_at};

const STRIDE: usize = 512;

/// Checks the record at `offset` of the volume and puts its bytes where they belong.
pub(super) fn apply(record: &mut [u8], signature: &[u8; 4], offset: u64) -> Result<(), Error> {
    let damaged = |what| Error::Damaged { offset, what };
    if is_at(record, 0, b"BAAD") {
        return Err(damaged("chkdsk has marked a record as bad (BAAD)"));
    }
    if !is_at(record, 0, signature) {
        return Err(damaged(match signature {
            b"FILE" => "a file record does not start with FILE",
            b"INDX" => "an index record does not start with INDX",
            _ => "a record has another signature than it must have",
        }));
    }
    let array = sequence_array(record);
    let sectors = record.len() / STRIDE;
    let fits = usize::from(u16_at(record, 6)) == sectors + 1;
    // The array must not reach over the end of the first sector, which it repairs.
    if !fits || !array.start.is_multiple_of(2) || array.end > record.len().min(STRIDE - 2) {
        return Err(damaged("a record's update sequence does not fit its size"));
    }
    let number = u16_at(record, array.start);
    for sector in 0..sectors {
        let end = (sector + 1) * STRIDE - 2;
        if u16_at(record, end) != number {
            return Err(Error::Torn { offset, sector });
        }
        record.copy_within(array.start + 2 + 2 * sector..array.start + 4 + 2 * sector, end);
    }
    Ok(())
}

fn sequence_array(record: &[u8]) -> Range<usize> {
    let start = usize::from(u16_at(record, 4));
    start..start + 2 * usize::from(u16_at(record, 6))
}

/// Where the bytes `range` of a record stand in the record on disk: those at the ends of its sectors are in the array.
pub(super) fn on_disk(record: &[u8], range: Range<usize>) -> Vec<Range<usize>> {
    let array = sequence_array(record).start + 2;
    let mut places = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let (sector, inside) = (at / STRIDE, at % STRIDE);
        let in_place = inside < STRIDE - 2;
        let end = range
            .end
            .min(sector * STRIDE + if in_place { STRIDE - 2 } else { STRIDE });
        let start = if in_place {
            at
        } else {
            array + 2 * sector + inside - (STRIDE - 2)
        };
        places.push(start..start + (end - at));
        at = end;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Vec<u8> {
        let mut record = vec![0; 1024];
        record[..8].copy_from_slice(b"FILE\x30\0\x03\0");
        record[0x30..0x36].copy_from_slice(&[7, 0, 0xaa, 0xbb, 0xcc, 0xdd]);
        record[510] = 7;
        record[1022] = 7;
        record
    }

    #[test]
    fn bytes_come_back_from_the_array() {
        let mut fixed = record();
        apply(&mut fixed, b"FILE", 0).unwrap();
        assert_eq!(fixed[510..512], [0xaa, 0xbb]);
        assert_eq!(fixed[1022..], [0xcc, 0xdd]);
        assert_eq!(
            on_disk(&fixed, 500..1024),
            [500..510, 0x32..0x34, 512..1022, 0x34..0x36]
        );
        assert_eq!(on_disk(&fixed, 511..513), [0x33..0x34, 512..513]);
    }

    #[test]
    fn a_torn_record_is_told() {
        let mut torn = record();
        torn[1022] = 8;
        let error = apply(&mut torn, b"FILE", 4096).unwrap_err();
        assert!(matches!(
            error,
            Error::Torn {
                offset: 4096,
                sector: 1
            }
        ));
    }

    #[test]
    fn an_array_that_does_not_fit_is_refused() {
        for (at, value) in [(4, 0x31), (4, 0xf9), (5, 2), (6, 2), (7, 1)] {
            let mut bad = record();
            bad[at] = value;
            assert!(matches!(apply(&mut bad, b"FILE", 0), Err(Error::Damaged { .. })));
        }
        assert!(apply(&mut record(), b"INDX", 0).is_err());
    }
}
