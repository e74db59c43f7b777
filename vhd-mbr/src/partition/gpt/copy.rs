use super::header::Header;
use super::{GptEntry, GptProblem};
use crate::partition::source::{Chunk, Source};
use crate::partition::{Entry, Error, Partition, Unread, Warning};

/// One of the two copies of a GPT, with what it says.
pub(super) struct Copy {
    pub(super) sector_size: u32,
    pub(super) header: Header,
    pub(super) partitions: Vec<Partition>,
    pub(super) warnings: Vec<Warning>,
    pub(super) unread: Option<Unread>,
    /// A wrong checksum.
    pub(super) damage: Option<GptProblem>,
}

/// What stands where a copy should be.
pub(super) enum Outcome {
    Copy(Box<Copy>),
    Unusable(GptProblem),
    Unread { offset: u64 },
}

impl Copy {
    /// Reads the copy whose header is in sector `sector`.
    pub(super) fn read(source: &dyn Source, sector_size: u32, sector: u64) -> Result<Outcome, Error> {
        let Some(offset) = sector.checked_mul(u64::from(sector_size)) else {
            return Ok(Outcome::Unusable(GptProblem::BeyondEnd { offset: u64::MAX }));
        };
        let bytes = match source.read(offset, sector_size as usize)? {
            Chunk::Bytes(bytes) => bytes,
            Chunk::BeyondEnd => return Ok(Outcome::Unusable(GptProblem::BeyondEnd { offset })),
            Chunk::Unread => return Ok(Outcome::Unread { offset }),
        };
        let header = match Header::parse(&bytes, sector, offset) {
            Ok(header) => header,
            Err(problem) => return Ok(Outcome::Unusable(problem)),
        };

        let len = header.entries_len();
        let start = header.entries_offset;
        let mut copy = Self {
            sector_size,
            damage: header.damage,
            header,
            partitions: Vec::new(),
            warnings: Vec::new(),
            unread: None,
        };
        match source.read(start, len as usize)? {
            Chunk::Bytes(entries) => {
                let (stored, computed) = (copy.header.entries_checksum, crc32fast::hash(&entries));
                if stored != computed {
                    copy.damage.get_or_insert(GptProblem::EntriesChecksum {
                        offset: start,
                        stored,
                        computed,
                    });
                }
                copy.add_entries(&entries);
            }
            Chunk::BeyondEnd => return Ok(Outcome::Unusable(GptProblem::BeyondEnd { offset: start })),
            Chunk::Unread => {
                let entry_size = u64::from(copy.header.entry_size);
                let there = source.readable().saturating_sub(start) / entry_size * entry_size;
                // Fewer bytes than the entries take, or they would all have been there.
                if let Chunk::Bytes(entries) = source.read(start, there as usize)? {
                    copy.add_entries(&entries);
                }
                copy.unread = Some(Unread::GptEntries {
                    offset: start + there,
                    len: u64::from(len) - there,
                });
            }
        }
        Ok(Outcome::Copy(Box::new(copy)))
    }

    fn add_entries(&mut self, bytes: &[u8]) {
        let size = self.header.entry_size as usize;
        let offsets = (self.header.entries_offset..).step_by(size);
        for ((number, bytes), entry_offset) in (1..).zip(bytes.chunks_exact(size)).zip(offsets) {
            let Some(entry) = GptEntry::parse(bytes) else { continue };
            let (first_sector, last_sector) = (entry.first_sector, entry.last_sector);
            match self.range(first_sector, last_sector) {
                Some((sectors, start, len)) => self.partitions.push(Partition {
                    number,
                    start,
                    len,
                    first_sector,
                    sectors,
                    entry_offset,
                    entry: Entry::Gpt(entry),
                }),
                None => self.warnings.push(Warning::ImpossibleRange {
                    number,
                    first_sector,
                    last_sector,
                }),
            }
        }
    }

    /// The number of sectors, the start and the length in bytes, if they are numbers at all.
    fn range(&self, first: u64, last: u64) -> Option<(u64, u64, u64)> {
        let sector_size = u64::from(self.sector_size);
        let sectors = last.checked_add(1)?.checked_sub(first)?;
        let start = first.checked_mul(sector_size)?;
        let len = sectors.checked_mul(sector_size)?;
        start.checked_add(len)?;
        Some((sectors, start, len))
    }

    /// Whether both copies say the same; their checksums have been verified.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        let content = |copy: &Self| {
            let header = &copy.header;
            (
                header.disk_guid,
                header.entries_checksum,
                header.first_usable,
                header.last_usable,
                header.entries_len(),
            )
        };
        content(self) == content(other)
    }
}
