//! GUID partition tables: the copy at the start of the disk, its backup at the end, and which of them to believe.

mod attributes;
mod copy;
mod entry;
mod gpt_type;
mod header;
mod problem;
mod type_names;

use copy::{Copy, Outcome};

pub use attributes::GptAttributes;
pub use entry::GptEntry;
pub use gpt_type::GptType;
pub(super) use header::SIGNATURE;
pub use problem::GptProblem;

use super::source::Source;
use super::{Error, Partition, Unread, Warning};
use crate::Guid;

/// The sector of the header at the start of the disk.
const PRIMARY_SECTOR: u64 = 1;

/// The header of a GUID partition table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gpt {
    /// Which copy the partitions were read from.
    pub copy: GptCopy,
    /// The disk's GUID.
    pub disk_guid: Guid,
    /// The version, 0x00010000 for 1.0.
    pub revision: u32,
    /// Where this copy's header stands, in bytes.
    pub header_offset: u64,
    /// Where this copy's entries start, in bytes.
    pub entries_offset: u64,
    /// How many entries there is space for.
    pub entry_count: u32,
    /// The size of an entry in bytes.
    pub entry_size: u32,
    /// The first sector that a partition may use.
    pub first_usable_sector: u64,
    /// The last sector that a partition may use.
    pub last_usable_sector: u64,
    /// The sector of the other copy's header.
    pub other_sector: u64,
}

/// One of the two copies of a GPT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GptCopy {
    /// The one at the start of the disk.
    Primary,
    /// The one at its end.
    Backup,
}

/// A GPT with everything that came to light while it was read.
pub(super) struct Found {
    pub(super) gpt: Gpt,
    pub(super) sector_size: u32,
    pub(super) partitions: Vec<Partition>,
    pub(super) warnings: Vec<Warning>,
    pub(super) unread: Vec<Unread>,
}

/// What the search for a GPT ended with, where it did not end with an error.
pub(super) enum Search {
    Found(Box<Found>),
    /// Too few bytes of the disk are there to see the header.
    Unread {
        offset: u64,
    },
}

/// Reads the GPT of a disk whose sectors have one of `sector_sizes`, of which there is at least one.
///
/// A copy whose checksums are right is taken before one whose checksums are wrong, and the primary before the backup.
pub(super) fn read(source: &dyn Source, sector_sizes: &[u32]) -> Result<Search, Error> {
    let mut damaged = None;
    let mut problem = GptProblem::NoSignature {
        offset: u64::from(sector_sizes[0]),
    };
    let mut unread = None;
    for &sector_size in sector_sizes {
        match Copy::read(source, sector_size, PRIMARY_SECTOR)? {
            Outcome::Copy(copy) => match copy.damage {
                None => return with_backup(source, *copy).map(Search::found),
                Some(damage) => {
                    problem = damage;
                    damaged = Some(copy);
                }
            },
            // A header without its mark only says that the sectors have another size.
            Outcome::Unusable(GptProblem::NoSignature { .. }) => {}
            Outcome::Unusable(other) => problem = other,
            Outcome::Unread { offset } => unread = unread.or(Some(offset)),
        }
    }

    let (backup, backup_problem) = find_backup(source, sector_sizes, damaged.as_deref())?;
    if let Some(backup) = backup {
        let mut found = Found::new(*backup, GptCopy::Backup, source);
        found.warnings.push(Warning::PrimaryGptDamaged {
            problem,
            backup_used: true,
        });
        Ok(Search::found(found))
    } else if let Some(primary) = damaged {
        let mut found = Found::new(*primary, GptCopy::Primary, source);
        found.warnings.push(Warning::PrimaryGptDamaged {
            problem,
            backup_used: false,
        });
        match backup_problem {
            Some(problem) => found.warnings.push(Warning::BackupGptDamaged { problem }),
            None => found.unread.push(Unread::BackupGpt { offset: None }),
        }
        Ok(Search::found(found))
    } else if let Some(offset) = unread {
        Ok(Search::Unread { offset })
    } else {
        Err(Error::DamagedGpt {
            primary: problem,
            backup: backup_problem,
        })
    }
}

/// Looks for an intact backup where a damaged primary says it is, and in the disk's last sector; with it comes what is
/// wrong where none is. Neither is there if the backup lies behind what can be read.
fn find_backup(
    source: &dyn Source,
    sector_sizes: &[u32],
    primary: Option<&Copy>,
) -> Result<(Option<Box<Copy>>, Option<GptProblem>), Error> {
    let named = primary.map(|copy| (copy.sector_size, copy.header.other_sector));
    let last = sector_sizes
        .iter()
        .filter_map(|&size| Some((size, last_sector(source, size)?)));
    let mut first_problem = None;
    for (sector_size, sector) in named.into_iter().chain(last) {
        if sector <= PRIMARY_SECTOR {
            continue;
        }
        match Copy::read(source, sector_size, sector)? {
            Outcome::Copy(copy) => match copy.damage {
                None => return Ok((Some(copy), None)),
                Some(problem) => first_problem = first_problem.or(Some(problem)),
            },
            Outcome::Unusable(problem) => first_problem = first_problem.or(Some(problem)),
            Outcome::Unread { .. } => {}
        }
    }
    Ok((None, first_problem))
}

/// The intact primary copy, held against its backup.
fn with_backup(source: &dyn Source, primary: Copy) -> Result<Found, Error> {
    let (offset, sector) = (primary.header.offset, primary.header.other_sector);
    let backup = match sector {
        0 | PRIMARY_SECTOR => Outcome::Unusable(GptProblem::BackupPosition { offset, sector }),
        _ => Copy::read(source, primary.sector_size, sector)?,
    };
    let (mut warning, mut unread) = (None, None);
    match backup {
        Outcome::Copy(backup) => match backup.damage {
            Some(problem) => warning = Some(Warning::BackupGptDamaged { problem }),
            None if !primary.agrees_with(&backup) => warning = Some(Warning::GptCopiesDiffer),
            None => {}
        },
        Outcome::Unusable(problem) => warning = Some(Warning::BackupGptDamaged { problem }),
        Outcome::Unread { offset } => unread = Some(Unread::BackupGpt { offset: Some(offset) }),
    }
    let mut found = Found::new(primary, GptCopy::Primary, source);
    found.warnings.extend(warning);
    found.unread.extend(unread);
    Ok(found)
}

fn last_sector(source: &dyn Source, sector_size: u32) -> Option<u64> {
    (source.disk_size()? / u64::from(sector_size)).checked_sub(1)
}

impl Search {
    fn found(found: Found) -> Self {
        Self::Found(Box::new(found))
    }
}

impl Found {
    fn new(copy: Copy, which: GptCopy, source: &dyn Source) -> Self {
        let Copy {
            sector_size,
            header,
            partitions,
            mut warnings,
            unread,
            ..
        } = copy;
        let backup_sector = if which == GptCopy::Backup {
            header.sector
        } else {
            header.other_sector
        };
        if let Some(last_sector) = last_sector(source, sector_size)
            && last_sector != backup_sector
        {
            warnings.push(Warning::BackupGptNotAtEnd {
                sector: backup_sector,
                last_sector,
            });
        }
        Self {
            gpt: Gpt {
                copy: which,
                disk_guid: header.disk_guid,
                revision: header.revision,
                header_offset: header.offset,
                entries_offset: header.entries_offset,
                entry_count: header.entry_count,
                entry_size: header.entry_size,
                first_usable_sector: header.first_usable,
                last_usable_sector: header.last_usable,
                other_sector: header.other_sector,
            },
            sector_size,
            partitions,
            warnings,
            unread: unread.into_iter().collect(),
        }
    }
}
