use super::Error;
use super::error::read;
use crate::bytes::{is_at, u32_at, u64_at};
use crate::ntfs::FileTime;
use xen_disk::ReadAt;

/// Where the cells start: behind the base block.
pub(super) const CELLS: u64 = 4096;
/// The part of the base block that its checksum is of.
const SUMMED: usize = 508;

/// What a hive says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BaseBlock {
    /// The number that is raised before the hive is written.
    pub primary_sequence: u32,
    /// The number that follows once it has been written.
    pub secondary_sequence: u32,
    /// When it was written last.
    pub written: FileTime,
    /// The minor version; the major one is 1.
    pub minor_version: u32,
    /// The end of the path that it was loaded from.
    pub file_name: String,
    /// Whether its checksum is right.
    pub is_checksum_right: bool,
    pub(super) root: u32,
    /// The length of all cells in bytes.
    pub(super) length: u64,
}

impl BaseBlock {
    pub(super) fn read(source: &(impl ReadAt + ?Sized)) -> Result<Self, Error> {
        Self::parse(&read(source, 0, 512).map_err(|error| match error {
            Error::Read { source, .. } if source.kind() == std::io::ErrorKind::UnexpectedEof => Error::NotHive,
            error => error,
        })?)
    }

    pub(super) fn parse(block: &[u8]) -> Result<Self, Error> {
        if !is_at(block, 0, b"regf") {
            return Err(Error::NotHive);
        }
        let (major, minor) = (u32_at(block, 20), u32_at(block, 24));
        if major != 1 || !(2..=6).contains(&minor) {
            return Err(Error::Version { major, minor });
        }
        let name: Vec<u16> = block[48..112]
            .chunks_exact(2)
            .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
            .take_while(|&unit| unit != 0)
            .collect();
        Ok(Self {
            primary_sequence: u32_at(block, 4),
            secondary_sequence: u32_at(block, 8),
            written: FileTime(u64_at(block, 12)),
            minor_version: minor,
            file_name: String::from_utf16_lossy(&name),
            is_checksum_right: u32_at(block, SUMMED) == checksum(&block[..SUMMED]),
            root: u32_at(block, 36),
            length: u32_at(block, 40).into(),
        })
    }

    /// Whether Windows was stopped before it had written everything.
    pub fn is_dirty(&self) -> bool {
        self.primary_sequence != self.secondary_sequence || !self.is_checksum_right
    }
}

/// All words together by exclusive or; two sums have another meaning and are avoided.
fn checksum(bytes: &[u8]) -> u32 {
    let sum = bytes.chunks_exact(4).fold(0, |sum, word| {
        sum ^ u32::from_le_bytes([word[0], word[1], word[2], word[3]])
    });
    match sum {
        0 => 1,
        u32::MAX => u32::MAX - 1,
        sum => sum,
    }
}
