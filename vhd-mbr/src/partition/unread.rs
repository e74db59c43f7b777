use std::fmt;

/// Something that belongs to a partition table and lies behind what has been read of the disk.
///
/// Whoever needs it reads on to the position and asks again, or uses
/// [`read_disk`](super::PartitionTable::read_disk). Positions are bytes from the start of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unread {
    /// The header of the GPT that the MBR announces.
    GptHeader {
        /// Where the header should be.
        offset: u64,
    },
    /// Entries of the GPT; their checksum could not be verified either.
    GptEntries {
        /// Where the first missing entry starts.
        offset: u64,
        /// The length of all missing entries in bytes.
        len: u64,
    },
    /// An extended boot record, and with it all further logical partitions.
    LogicalPartitions {
        /// Where the record is.
        offset: u64,
    },
    /// The backup of the GPT at the end of the disk. No partition is missing, only the comparison.
    BackupGpt {
        /// Where its header is; `None` where the damaged primary does not tell and the disk's size is not known.
        offset: Option<u64>,
    },
}

impl Unread {
    /// Whether partitions may be missing for it.
    pub fn hides_partitions(&self) -> bool {
        !matches!(self, Self::BackupGpt { .. })
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GptHeader { offset } => write!(f, "the GPT header at byte {offset}"),
            Self::GptEntries { offset, len } => write!(f, "{len} bytes of GPT entries at byte {offset}"),
            Self::LogicalPartitions { offset } => {
                write!(
                    f,
                    "the logical partitions from the extended boot record at byte {offset} on"
                )
            }
            Self::BackupGpt { offset: Some(offset) } => write!(f, "the backup GPT at byte {offset}"),
            Self::BackupGpt { offset: None } => write!(f, "the backup GPT at the end of the disk"),
        }
    }
}
