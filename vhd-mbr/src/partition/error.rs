use std::io;

use super::BareVolume;
use super::gpt::GptProblem;

/// Why a disk's partition table cannot be read. Positions are bytes from the start of the disk.
///
/// A table with something wrong in it is still a table and says so in its [warnings](super::PartitionTable::warnings);
/// an error means that there is nothing to show.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Fewer bytes than the first sector.
    #[error("a partition table takes the first {needed} bytes of a disk, and only {len} are there")]
    TooShort {
        /// How many bytes there are.
        len: u64,
        /// How many are needed at least.
        needed: u64,
    },
    /// The first sector is all zero, and no GPT follows: a disk that nobody has partitioned yet.
    #[error("no partition table: the first 512 bytes of the disk are all zero, as on a new disk")]
    Blank,
    /// There is no table because a volume takes the whole disk.
    #[error("no partition table: the whole disk is one volume ({0})")]
    BareVolume(BareVolume),
    /// The first sector does not end in the bytes that every MBR ends in.
    #[error(
        "no partition table: bytes 510 and 511 are {:02x} {:02x} instead of 55 aa, and no known volume starts there",
        .found[0], .found[1]
    )]
    NoSignature {
        /// The two bytes that are there.
        found: [u8; 2],
    },
    /// The first sector ends as an MBR does, but its entries cannot be partitions.
    #[error(
        "no partition table: the boot flag of entry {number}, byte {offset}, is {value:#04x} instead of 0x00 or 0x80, \
         so these are not partitions"
    )]
    BootFlag {
        /// Which entry, from 1 to 4.
        number: u32,
        /// Where the flag stands.
        offset: u64,
        /// The flag.
        value: u8,
    },
    /// The disk says that it has a GPT, and no copy of it can be used.
    #[error("the GPT is damaged: {primary}; {}", match .backup {
        Some(problem) => format!("in its backup, {problem}"),
        None => "its backup at the end of the disk has not been read".to_owned(),
    })]
    DamagedGpt {
        /// What is wrong with the copy at the start of the disk.
        primary: GptProblem,
        /// What is wrong with the copy at its end; `None` if that was not within what was read.
        backup: Option<GptProblem>,
    },
    /// A sector size that no disk has was asked for.
    #[error("a sector size of {0} bytes was asked for; it must be a power of two from 512 to 65536")]
    SectorSize(u32),
    /// The disk could not be asked for its size.
    #[error("cannot tell the size of the disk")]
    Size(#[source] io::Error),
    /// The disk could not be read.
    #[error("cannot read {len} bytes at byte {offset} of the disk")]
    Read {
        /// Where reading started.
        offset: u64,
        /// How many bytes were wanted.
        len: u64,
        /// What the disk reported.
        source: io::Error,
    },
}
