use std::fmt;

use super::gpt::GptProblem;

/// Something odd about a partition table that can be read all the same.
///
/// Partitions are named by their [number](super::Partition::number); positions are bytes from the start of the disk
/// unless they are called sectors. Each prints as a sentence without the full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// Two partitions share bytes. Each is compared with the one that reaches furthest among those that start before.
    Overlap {
        /// The one that starts first.
        first: u32,
        /// The one that starts before the first has ended.
        second: u32,
        /// How many bytes they share.
        len: u64,
    },
    /// A partition ends behind the end of the disk.
    BeyondEnd {
        /// The partition.
        number: u32,
        /// Where it ends.
        end: u64,
        /// Where the disk ends.
        disk_size: u64,
    },
    /// A partition has no bytes.
    ZeroLength {
        /// The partition.
        number: u32,
    },
    /// An MBR entry has a length, but the type of an unused entry; it is not listed.
    UnusedWithLength {
        /// The entry, from 1.
        number: u32,
    },
    /// A GPT entry ends before it starts, or its bytes cannot be counted in 64 bits; it is not listed.
    ImpossibleRange {
        /// The entry, from 1.
        number: u32,
        /// Its first sector.
        first_sector: u64,
        /// Its last sector.
        last_sector: u64,
    },
    /// A partition starts within the partition table itself, or within its own extended boot record.
    OverTable {
        /// The partition.
        number: u32,
    },
    /// The numbers of the partitions do not follow their places on the disk.
    OutOfOrder {
        /// The first partition that starts before the one numbered before it.
        number: u32,
    },
    /// The MBR has no disk signature.
    NoDiskSignature,
    /// More than one partition is active; a BIOS boot program starts the first, or none.
    SeveralActive {
        /// The active ones.
        numbers: Vec<u32>,
    },
    /// More than one partition is extended; not every system looks into the second.
    SeveralExtended {
        /// The extended ones.
        numbers: Vec<u32>,
    },
    /// The chain of logical partitions leads back to a record that was read before.
    LogicalLoop {
        /// That record.
        offset: u64,
    },
    /// The chain of logical partitions is longer than is followed.
    LogicalChainTooLong {
        /// How many records were followed.
        most: usize,
    },
    /// The chain of logical partitions leads behind the end of the disk.
    LogicalBeyondEnd {
        /// Where the record should be.
        offset: u64,
    },
    /// The chain of logical partitions leads to something that is no extended boot record.
    LogicalNoSignature {
        /// Where the record should be.
        offset: u64,
    },
    /// A logical partition does not lie within its extended partition.
    LogicalOutside {
        /// The logical partition.
        number: u32,
        /// The extended partition.
        container: u32,
    },
    /// There is a GPT, but the first sector is not the protective MBR that says so.
    NoProtectiveMbr,
    /// The MBR of a GPT disk has partitions of its own; which table counts depends on the system.
    HybridMbr {
        /// The entries of the MBR, from 1, that are partitions.
        entries: Vec<u32>,
    },
    /// A GPT header is there, but the MBR has partitions and no protective entry; the MBR counts.
    IgnoredGpt {
        /// Where the header is.
        offset: u64,
    },
    /// The GPT at the start of the disk is damaged.
    PrimaryGptDamaged {
        /// What is wrong with it.
        problem: GptProblem,
        /// Whether its backup was there to be used instead; if not, what it says may be wrong.
        backup_used: bool,
    },
    /// The backup of the GPT is missing or damaged.
    BackupGptDamaged {
        /// What is wrong with it.
        problem: GptProblem,
    },
    /// The backup of the GPT is not where it belongs: the disk has been resized.
    BackupGptNotAtEnd {
        /// The sector of its header.
        sector: u64,
        /// The disk's last sector, where it belongs.
        last_sector: u64,
    },
    /// Both copies of the GPT are intact and say different things; the one at the start counts.
    GptCopiesDiffer,
    /// A partition leaves the space that the GPT allows for partitions.
    OutsideUsable {
        /// The partition.
        number: u32,
    },
    /// Two partitions have the same GUID.
    SameGuid {
        /// The first.
        first: u32,
        /// The second.
        second: u32,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overlap { first, second, len } => write!(f, "partitions {first} and {second} share {len} bytes"),
            Self::BeyondEnd { number, end, disk_size } => {
                write!(
                    f,
                    "partition {number} ends at byte {end}, behind the end of the disk at byte {disk_size}"
                )
            }
            Self::ZeroLength { number } => write!(f, "partition {number} has no bytes"),
            Self::UnusedWithLength { number } => {
                write!(
                    f,
                    "entry {number} has a length but is marked as unused, and is left out"
                )
            }
            Self::ImpossibleRange {
                number,
                first_sector,
                last_sector,
            } => {
                write!(
                    f,
                    "entry {number} reaches from sector {first_sector} to {last_sector}, and is left out"
                )
            }
            Self::OverTable { number } => write!(f, "partition {number} starts within the partition table"),
            Self::OutOfOrder { number } => {
                write!(
                    f,
                    "the partitions are not in the order of the disk: {number} starts before the one before it"
                )
            }
            Self::NoDiskSignature => write!(f, "the disk signature is zero"),
            Self::SeveralActive { numbers } => write!(f, "more than one partition is active: {}", list(numbers)),
            Self::SeveralExtended { numbers } => write!(f, "more than one partition is extended: {}", list(numbers)),
            Self::LogicalLoop { offset } => {
                write!(
                    f,
                    "the chain of logical partitions leads back to byte {offset}; it is cut there"
                )
            }
            Self::LogicalChainTooLong { most } => {
                write!(f, "the chain of logical partitions is cut after {most} records")
            }
            Self::LogicalBeyondEnd { offset } => {
                write!(
                    f,
                    "the chain of logical partitions leads to byte {offset}, behind the end of the disk"
                )
            }
            Self::LogicalNoSignature { offset } => {
                write!(
                    f,
                    "the chain of logical partitions ends at byte {offset}, where no extended boot record is"
                )
            }
            Self::LogicalOutside { number, container } => {
                write!(
                    f,
                    "logical partition {number} does not lie within extended partition {container}"
                )
            }
            Self::NoProtectiveMbr => write!(f, "the disk has a GPT, but its first sector is no protective MBR"),
            Self::HybridMbr { entries } => {
                write!(
                    f,
                    "the MBR of this GPT disk has partitions of its own: {}",
                    list(entries)
                )
            }
            Self::IgnoredGpt { offset } => {
                write!(
                    f,
                    "a GPT at byte {offset} is ignored, because the MBR does not announce it"
                )
            }
            Self::PrimaryGptDamaged {
                problem,
                backup_used: true,
            } => {
                write!(
                    f,
                    "the GPT at the start of the disk is damaged ({problem}); its backup is used"
                )
            }
            Self::PrimaryGptDamaged {
                problem,
                backup_used: false,
            } => {
                write!(
                    f,
                    "the GPT at the start of the disk is damaged ({problem}), and no intact backup was there"
                )
            }
            Self::BackupGptDamaged { problem } => write!(f, "the backup GPT is missing or damaged: {problem}"),
            Self::BackupGptNotAtEnd { sector, last_sector } => {
                write!(
                    f,
                    "the backup GPT belongs to sector {sector}, but the last sector of the disk is {last_sector}"
                )
            }
            Self::GptCopiesDiffer => write!(f, "the GPT and its backup are both intact and differ"),
            Self::OutsideUsable { number } => {
                write!(
                    f,
                    "partition {number} leaves the space that the GPT allows for partitions"
                )
            }
            Self::SameGuid { first, second } => write!(f, "partitions {first} and {second} have the same GUID"),
        }
    }
}

fn list(numbers: &[u32]) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}
