use super::{GptAttributes, GptType};
use crate::Guid;
use crate::bytes::{array, u16_at, u64_at};

/// One used entry of a GPT (UEFI specification 2.10, table 5-6).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GptEntry {
    /// What the partition is for.
    pub partition_type: GptType,
    /// The partition's own GUID, the `PARTUUID` of Linux.
    pub guid: Guid,
    /// The first sector.
    pub first_sector: u64,
    /// The last sector, which still belongs to the partition.
    pub last_sector: u64,
    /// The attribute bits.
    pub attributes: GptAttributes,
    /// The name, at most 36 UTF-16 units on disk; units that are no text have become U+FFFD.
    pub name: String,
}

impl GptEntry {
    /// Reads an entry of at least 128 bytes; `None` if it is unused.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let partition_type = GptType(Guid::from_bytes(array(bytes, 0)));
        if partition_type == GptType::UNUSED {
            return None;
        }
        let units = (56..128)
            .step_by(2)
            .map(|at| u16_at(bytes, at))
            .take_while(|&unit| unit != 0);
        Some(Self {
            partition_type,
            guid: Guid::from_bytes(array(bytes, 16)),
            first_sector: u64_at(bytes, 32),
            last_sector: u64_at(bytes, 40),
            attributes: GptAttributes(u64_at(bytes, 48)),
            name: char::decode_utf16(units)
                .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect(),
        })
    }
}
