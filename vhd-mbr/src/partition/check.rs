//! What is odd about partitions that have been read.

use std::collections::BTreeMap;

use super::{Gpt, Mbr, Partition, Warning};

/// Partitions under suspicion, and what they are held against.
pub(super) struct Check<'a> {
    pub(super) partitions: &'a [Partition],
    pub(super) disk_size: Option<u64>,
    pub(super) sector_size: u32,
}

impl Check<'_> {
    /// What can be wrong in a table of any kind.
    pub(super) fn ranges(&self, warnings: &mut Vec<Warning>) {
        for partition in self.partitions {
            let number = partition.number;
            if partition.len == 0 {
                warnings.push(Warning::ZeroLength { number });
            }
            if let Some(disk_size) = self.disk_size
                && partition.end() > disk_size
            {
                warnings.push(Warning::BeyondEnd {
                    number,
                    end: partition.end(),
                    disk_size,
                });
            }
        }
        self.overlaps(Partition::is_logical, warnings);
        self.overlaps(|partition| !partition.is_logical(), warnings);
        self.stray_logicals(warnings);
        self.order(warnings);
    }

    /// A logical partition lies within its extended partition by nature, so the two kinds are swept apart.
    fn overlaps(&self, belongs: impl Fn(&Partition) -> bool, warnings: &mut Vec<Warning>) {
        let mut sorted: Vec<_> = self.partitions.iter().filter(|p| p.len > 0 && belongs(p)).collect();
        sorted.sort_by_key(|partition| partition.start);
        let mut furthest: Option<&Partition> = None;
        for partition in sorted {
            if let Some(earlier) = furthest
                && earlier.end() > partition.start
            {
                let len = earlier.end().min(partition.end()) - partition.start;
                warnings.push(Warning::Overlap {
                    first: earlier.number,
                    second: partition.number,
                    len,
                });
            }
            if furthest.is_none_or(|earlier| partition.end() > earlier.end()) {
                furthest = Some(partition);
            }
        }
    }

    /// A logical partition that has left its extended partition may lie over a primary one.
    fn stray_logicals(&self, warnings: &mut Vec<Warning>) {
        let own = |p: &&Partition| !p.is_logical() && !p.is_extended();
        for logical in self.partitions.iter().filter(|p| p.is_logical()) {
            for primary in self.partitions.iter().filter(own) {
                let (start, end) = (logical.start.max(primary.start), logical.end().min(primary.end()));
                if start < end {
                    let (first, second) = (primary.number, logical.number);
                    warnings.push(Warning::Overlap {
                        first,
                        second,
                        len: end - start,
                    });
                }
            }
        }
    }

    fn order(&self, warnings: &mut Vec<Warning>) {
        let unordered =
            |pair: &&[Partition]| pair[0].is_logical() == pair[1].is_logical() && pair[1].start < pair[0].start;
        if let Some(pair) = self.partitions.windows(2).find(unordered) {
            warnings.push(Warning::OutOfOrder { number: pair[1].number });
        }
    }

    /// What can be wrong in an MBR.
    pub(super) fn mbr(&self, mbr: &Mbr, warnings: &mut Vec<Warning>) {
        if mbr.disk_signature == 0 {
            warnings.push(Warning::NoDiskSignature);
        }
        let numbers = |wanted: fn(&Partition) -> bool| -> Vec<u32> {
            self.partitions.iter().filter(|p| wanted(p)).map(|p| p.number).collect()
        };
        let active = numbers(|p| !p.is_logical() && p.is_bootable());
        if active.len() > 1 {
            warnings.push(Warning::SeveralActive { numbers: active });
        }
        let extended = numbers(Partition::is_extended);
        if extended.len() > 1 {
            warnings.push(Warning::SeveralExtended { numbers: extended });
        }
        for partition in self.partitions.iter().filter(|p| !p.is_logical() && p.start == 0) {
            warnings.push(Warning::OverTable {
                number: partition.number,
            });
        }
        for (number, entry) in (1..).zip(&mbr.entries) {
            if !entry.is_used() && entry.sectors > 0 {
                warnings.push(Warning::UnusedWithLength { number });
            }
        }
    }

    /// What can be wrong in a GPT.
    pub(super) fn gpt(&self, gpt: &Gpt, warnings: &mut Vec<Warning>) {
        let header_end = 2 * u64::from(self.sector_size);
        let entries_end = gpt.entries_offset + u64::from(gpt.entry_count) * u64::from(gpt.entry_size);
        let usable = gpt.first_usable_sector..=gpt.last_usable_sector;
        let mut guids = BTreeMap::new();
        for partition in self.partitions {
            let number = partition.number;
            let over_entries = partition.start < entries_end && partition.end() > gpt.entries_offset;
            if partition.start < header_end || over_entries {
                warnings.push(Warning::OverTable { number });
            }
            let last_sector = partition
                .first_sector
                .saturating_add(partition.sectors)
                .saturating_sub(1);
            if !usable.contains(&partition.first_sector) || !usable.contains(&last_sector) {
                warnings.push(Warning::OutsideUsable { number });
            }
            if let Some(first) = partition.guid().and_then(|guid| guids.insert(guid, number)) {
                warnings.push(Warning::SameGuid { first, second: number });
            }
        }
    }
}
