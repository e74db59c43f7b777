/// What is wrong with one copy of a GPT. Positions are bytes from the start of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GptProblem {
    /// The header does not start with its mark.
    #[error("no GPT header at byte {offset}: it would start with \"EFI PART\"")]
    NoSignature {
        /// Where the header should be.
        offset: u64,
    },
    /// The header or the entries lie where the disk has no bytes.
    #[error("byte {offset}, where it should be, lies beyond the end of the disk")]
    BeyondEnd {
        /// Where they should be, as far as that can be counted in bytes.
        offset: u64,
    },
    /// The header claims a length that it cannot have.
    #[error("the header at byte {offset} claims to be {size} bytes long; 92 bytes to one sector are possible")]
    HeaderSize {
        /// Where the header is.
        offset: u64,
        /// The length it claims.
        size: u32,
    },
    /// The header's checksum is wrong.
    #[error("the header at byte {offset} has CRC32 {computed:08x}, but {stored:08x} is written in it")]
    HeaderChecksum {
        /// Where the header is.
        offset: u64,
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the header.
        computed: u32,
    },
    /// The header says that it belongs to another sector.
    #[error("the header at byte {offset} says that it stands in sector {says} instead of {expected}")]
    Misplaced {
        /// Where the header is.
        offset: u64,
        /// The sector it names as its own.
        says: u64,
        /// The sector it is in.
        expected: u64,
    },
    /// The header names a sector for its backup that cannot hold one.
    #[error("the header at byte {offset} places its backup in sector {sector}, within the table itself")]
    BackupPosition {
        /// Where the header is.
        offset: u64,
        /// The sector it names for the backup.
        sector: u64,
    },
    /// The size of an entry is impossible.
    #[error("the header at byte {offset} claims entries of {size} bytes; 128, 256, 512 … 4096 are possible")]
    EntrySize {
        /// Where the header is.
        offset: u64,
        /// The size it claims.
        size: u32,
    },
    /// The number of entries is zero, or more than this crate reads (4 MiB of entries; a usual table has 16 KiB).
    #[error("the header at byte {offset} claims {count} entries; 1 to {most} can be read")]
    EntryCount {
        /// Where the header is.
        offset: u64,
        /// The number it claims.
        count: u32,
        /// The largest number that is read.
        most: u32,
    },
    /// The entries would lie over the MBR or over the header itself.
    #[error("the header at byte {offset} places its entries at sector {sector}, over the table itself")]
    EntriesPosition {
        /// Where the header is.
        offset: u64,
        /// The sector where the entries would start.
        sector: u64,
    },
    /// The checksum of the entries is wrong.
    #[error("the entries at byte {offset} have CRC32 {computed:08x}, but {stored:08x} is written in the header")]
    EntriesChecksum {
        /// Where the entries start.
        offset: u64,
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the entries.
        computed: u32,
    },
}
