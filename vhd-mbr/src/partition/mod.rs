//! Partition tables: MBR with logical partitions, and GPT.
//!
//! # From the beginning of a stream, or from a whole disk
//!
//! A table stands at the start of a disk, so a download can stop after the first block:
//! [`PartitionTable::read`] takes whatever bytes are there. Logical partitions and the backup of a GPT lie further
//! behind; [`unread`](PartitionTable::unread) tells what was out of reach, and
//! [`is_complete`](PartitionTable::is_complete) whether partitions may be missing for it.
//! [`PartitionTable::read_disk`] reads all of it from anything that is [`ReadAt`](xen_disk::ReadAt).
//!
//! # What is trusted
//!
//! Nothing. Every number in a table is checked before it is used, chains are followed once around and no longer than a
//! fixed number of steps, and no table takes more than a few megabytes of memory. What is odd but readable becomes a
//! [`Warning`]; an [`Error`] says why there is no table, with the byte that showed it.
//!
//! # Which table counts
//!
//! As in Linux, a GPT counts where the MBR announces it by an entry of type ee; an MBR with partitions of its own and
//! without that entry counts even if the remains of a GPT follow it. A GPT behind a first sector that is blank or holds
//! something else is read too, with a warning. Of the two copies of a GPT the one at the start counts unless its
//! checksums are wrong and those of the backup are right.

mod bare;
mod boot_code;
mod check;
mod display;
mod ebr;
mod entry;
mod error;
mod gpt;
mod mbr;
mod mbr_type;
mod source;
mod table;
mod unread;
mod warning;

pub use bare::BareVolume;
pub use boot_code::BootCode;
pub use entry::{Entry, Partition, PartitionType};
pub use error::Error;
pub use gpt::{Gpt, GptAttributes, GptCopy, GptEntry, GptProblem, GptType};
pub use mbr::{Mbr, MbrEntry};
pub use mbr_type::MbrType;
pub use table::{PartitionTable, ReadOptions};
pub use unread::Unread;
pub use warning::Warning;
