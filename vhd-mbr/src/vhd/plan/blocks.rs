//! Decides which blocks a file holds.

use std::ops::Range;

use xen_disk::ReadAt;

use super::BLOCK;
use crate::vhd::Error;
use crate::vhd::copy::is_zero;
use crate::vhd::read::read_into;

/// How much is read at once to see whether it is zero.
const PIECE: u64 = 64 << 10;

/// The blocks of a disk that are not all zero.
pub(in crate::vhd) fn blocks_with_data(disk: &impl ReadAt, size: u64) -> Result<Vec<u32>, Error> {
    let mut blocks = Vec::new();
    let mut buffer = vec![0; PIECE as usize];
    let mut at = 0;
    while let Some(data) = disk.next_data(at).map_err(|source| Error::Read {
        offset: at,
        len: 0,
        source,
    })? {
        at = at.max(data.start);
        let end = data.end.min(size);
        while at < end {
            let block = at / BLOCK;
            let block_end = (block + 1) * BLOCK;
            let part = &mut buffer[..PIECE.min(end.min(block_end) - at) as usize];
            read_into(disk, at, part)?;
            if is_zero(part) {
                at += part.len() as u64;
            } else {
                blocks.push(block as u32);
                at = block_end;
            }
        }
        if at >= size {
            break;
        }
    }
    Ok(blocks)
}

/// The ranges inside the disk, widened to whole sectors, sorted and apart from each other.
pub(in crate::vhd) fn in_order(mut ranges: Vec<Range<u64>>, size: u64) -> Vec<Range<u64>> {
    ranges.retain(|range| range.start < range.end.min(size));
    ranges.sort_by_key(|range| range.start);
    let mut ordered: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        let (start, end) = (range.start / 512 * 512, range.end.min(size).next_multiple_of(512));
        match ordered.last_mut() {
            Some(last) if start <= last.end => last.end = last.end.max(end),
            _ => ordered.push(start..end),
        }
    }
    ordered
}

/// The blocks that ranges in order touch.
pub(in crate::vhd) fn blocks_of(ranges: &[Range<u64>]) -> Vec<u32> {
    let mut blocks: Vec<u32> = Vec::new();
    for range in ranges {
        let (first, last) = ((range.start / BLOCK) as u32, ((range.end - 1) / BLOCK) as u32);
        let next = blocks.last().map_or(0, |&block| block + 1);
        blocks.extend(first.max(next)..=last);
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_become_sectors_and_blocks() {
        let ranges = vec![
            5000..5001,
            10..20,
            500..513,
            9 << 20..10 << 20,
            3000..3000,
            1 << 40..2 << 40,
        ];
        let ordered = in_order(ranges, (9 << 20) + 100);
        assert_eq!(ordered, [0..1024, 4608..5120, 9 << 20..(9 << 20) + 512]);
        assert_eq!(blocks_of(&ordered), [0, 4]);
        assert_eq!(
            blocks_of(&[BLOCK - 512..2 * BLOCK + 512, 3 * BLOCK - 512..3 * BLOCK]),
            [0, 1, 2]
        );
    }
}
