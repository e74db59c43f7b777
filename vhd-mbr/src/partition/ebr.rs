//! The chain of extended boot records (EBR): one in front of each logical partition, each leading to the next.
//!
//! The rules are those of Linux (`block/partitions/msdos.c`): logical partitions are numbered from 5 in the order of
//! the chain; a partition starts relative to its own record, the next record relative to the extended partition.

use std::collections::BTreeSet;

use super::mbr::{ENTRIES_AT, ENTRY_LEN, SECTOR_LEN, has_signature, parse_entries};
use super::source::{Chunk, Source};
use super::{Entry, Error, Partition, Unread, Warning};

/// The first number of a logical partition.
const FIRST_LOGICAL: u32 = 5;
/// More records than any system makes; a longer chain is cut here, with a warning.
const MOST_RECORDS: usize = 1024;

/// Logical partitions with everything that came to light while they were read.
#[derive(Default)]
pub(super) struct Logicals {
    pub(super) partitions: Vec<Partition>,
    pub(super) warnings: Vec<Warning>,
    pub(super) unread: Vec<Unread>,
}

impl Logicals {
    /// Follows the chain that starts in the extended partition `container`, adding to what other chains gave.
    pub(super) fn follow(&mut self, source: &dyn Source, container: &Partition, sector_size: u32) -> Result<(), Error> {
        let mut seen = BTreeSet::new();
        let mut next = Some(container.first_sector);
        while let Some(sector) = next {
            let offset = sector * u64::from(sector_size);
            if !seen.insert(sector) {
                self.warnings.push(Warning::LogicalLoop { offset });
                break;
            }
            if seen.len() > MOST_RECORDS {
                self.warnings.push(Warning::LogicalChainTooLong { most: MOST_RECORDS });
                break;
            }
            let record = match source.read(offset, SECTOR_LEN)? {
                Chunk::Bytes(record) => record,
                Chunk::Unread => {
                    self.unread.push(Unread::LogicalPartitions { offset });
                    break;
                }
                Chunk::BeyondEnd => {
                    self.warnings.push(Warning::LogicalBeyondEnd { offset });
                    break;
                }
            };
            if !has_signature(&record) {
                self.warnings.push(Warning::LogicalNoSignature { offset });
                break;
            }
            next = self.read_record(&record, sector, container, sector_size);
        }
        Ok(())
    }

    /// Adds the partitions of one record and returns the sector of the next record.
    fn read_record(&mut self, record: &[u8], sector: u64, container: &Partition, sector_size: u32) -> Option<u64> {
        let mut next = None;
        for (slot, entry) in parse_entries(record).into_iter().enumerate() {
            if !entry.is_used() || entry.sectors == 0 {
                continue;
            }
            if entry.partition_type.is_extended() {
                next = next.or(Some(container.first_sector + u64::from(entry.start)));
                continue;
            }
            let first_sector = sector + u64::from(entry.start);
            let sectors = u64::from(entry.sectors);
            let inside = first_sector >= container.first_sector
                && first_sector + sectors <= container.first_sector + container.sectors;
            // Some programs leave rubbish in the third and fourth entry.
            if slot >= 2 && !inside {
                continue;
            }
            let number = FIRST_LOGICAL + self.partitions.len() as u32;
            if !inside {
                self.warnings.push(Warning::LogicalOutside {
                    number,
                    container: container.number,
                });
            }
            if entry.start == 0 {
                self.warnings.push(Warning::OverTable { number });
            }
            self.partitions.push(Partition {
                number,
                start: first_sector * u64::from(sector_size),
                len: sectors * u64::from(sector_size),
                first_sector,
                sectors,
                entry_offset: sector * u64::from(sector_size) + (ENTRIES_AT + slot * ENTRY_LEN) as u64,
                entry: Entry::Logical(entry),
            });
        }
        next
    }
}
