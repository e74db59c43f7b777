//! Which blocks of a disk an archive will hold, and a digest of their bytes, in little memory.

use twox_hash::XxHash64;

use super::BLOCK;

/// How many blocks share a digest.
const GROUP: u64 = u64::BITS as u64;

/// The planned blocks of a disk: 16 bytes for each 64 blocks of its length.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    groups: Vec<Group>,
    count: u64,
}

/// 64 blocks side by side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Group {
    /// A bit for each block that is planned.
    planned: u64,
    /// Over the hashes of these blocks, in order.
    digest: u64,
}

impl Group {
    fn add(&mut self, number: u64, hash: u64) {
        self.planned |= 1 << (number % GROUP);
        self.digest = XxHash64::oneshot(self.digest, &hash.to_le_bytes());
    }
}

impl Blocks {
    /// Adds a block behind those that are there.
    pub(super) fn add(&mut self, number: u64, hash: u64) {
        let group = (number / GROUP) as usize;
        if self.groups.len() <= group {
            self.groups.resize(group + 1, Group::default());
        }
        self.groups[group].add(number, hash);
        self.count += 1;
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The first planned block from a number on.
    fn at_or_behind(&self, number: u64) -> Option<u64> {
        let first = number / GROUP;
        let groups = (first..).zip(self.groups.get(first as usize..)?);
        groups
            .map(|(group, blocks)| match group == first {
                true => (group, blocks.planned & (u64::MAX << (number % GROUP))),
                false => (group, blocks.planned),
            })
            .find(|&(_, planned)| planned != 0)
            .map(|(group, planned)| group * GROUP + u64::from(planned.trailing_zeros()))
    }
}

/// A second walk over the blocks, which compares them with those of the first.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// The next block is this one or lies behind it.
    next: u64,
    /// What was found so far of the group that the walk is in.
    found: Group,
}

/// A place where the second walk found something else, in bytes.
#[derive(Debug)]
pub(super) struct Differs(pub(super) u64);

impl Comparison {
    /// The block that comes next, or none behind the last.
    pub(super) fn expected(&self, planned: &Blocks) -> Option<u64> {
        planned.at_or_behind(self.next)
    }

    /// Takes a block that was found, or that none was, where `expected` is due.
    pub(super) fn found(
        &mut self,
        planned: &Blocks,
        expected: u64,
        found: Option<u64>,
        hash: u64,
    ) -> Result<(), Differs> {
        if found != Some(expected) {
            return Err(Differs(found.unwrap_or(expected).min(expected) * BLOCK as u64));
        }
        self.found.add(expected, hash);
        self.next = expected + 1;
        let group = expected / GROUP;
        if self.expected(planned).is_none_or(|next| next / GROUP != group) {
            let whole = std::mem::take(&mut self.found);
            if planned.groups.get(group as usize) != Some(&whole) {
                return Err(Differs(group * GROUP * BLOCK as u64));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: [u64; 6] = [0, 1, 63, 64, 200, 1000];

    fn blocks() -> Blocks {
        let mut blocks = Blocks::default();
        for number in NUMBERS {
            blocks.add(number, number + 7);
        }
        blocks
    }

    #[test]
    fn the_same_blocks_are_found_again() {
        let (blocks, mut walk) = (blocks(), Comparison::default());
        for number in NUMBERS {
            assert_eq!(walk.expected(&blocks), Some(number));
            walk.found(&blocks, number, Some(number), number + 7).unwrap();
        }
        assert_eq!(walk.expected(&blocks), None);
        assert_eq!(blocks.count(), 6);
        assert_eq!(blocks.groups.len(), 16, "16 bytes for 64 blocks");
    }

    #[test]
    fn another_block_and_other_bytes_are_noticed() {
        let (blocks, mut walk) = (blocks(), Comparison::default());
        assert_eq!(walk.found(&blocks, 0, None, 7).unwrap_err().0, 0);
        walk.found(&blocks, 0, Some(0), 7).unwrap();
        walk.found(&blocks, 1, Some(1), 9).unwrap();
        assert_eq!(
            walk.found(&blocks, 63, Some(63), 70).unwrap_err().0,
            0,
            "at the end of 64"
        );
        let mut walk = Comparison {
            next: 64,
            ..Comparison::default()
        };
        walk.found(&blocks, 64, Some(64), 71).unwrap();
        let differs = walk.found(&blocks, 200, Some(100), 207).unwrap_err();
        assert_eq!(differs.0, 100 << 20);
    }
}
