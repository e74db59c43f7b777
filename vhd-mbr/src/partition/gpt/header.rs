use super::GptProblem;
use crate::Guid;
use crate::bytes::{array, is_at, u32_at, u64_at};

pub(in crate::partition) const SIGNATURE: &[u8; 8] = b"EFI PART";

const HEADER_LEN: u32 = 92;
const CHECKSUM_AT: usize = 16;
/// Linux reads no larger array either (the largest block its kernel allocates at once).
const MOST_ENTRY_BYTES: u32 = 4 << 20;

/// A GPT header whose fields have been checked to be possible (UEFI specification 2.10, table 5-5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) offset: u64,
    pub(super) revision: u32,
    pub(super) sector: u64,
    pub(super) other_sector: u64,
    pub(super) first_usable: u64,
    pub(super) last_usable: u64,
    pub(super) disk_guid: Guid,
    pub(super) entries_offset: u64,
    pub(super) entry_count: u32,
    pub(super) entry_size: u32,
    pub(super) entries_checksum: u32,
    /// A wrong checksum, which does not keep the fields from being read.
    pub(super) damage: Option<GptProblem>,
}

impl Header {
    /// Reads the header in `bytes`, the disk's sector number `sector` at byte `offset`.
    pub(super) fn parse(bytes: &[u8], sector: u64, offset: u64) -> Result<Self, GptProblem> {
        if !is_at(bytes, 0, SIGNATURE) {
            return Err(GptProblem::NoSignature { offset });
        }
        let size = u32_at(bytes, 12);
        let used = match bytes.get(..size as usize) {
            Some(used) if size >= HEADER_LEN => used,
            _ => return Err(GptProblem::HeaderSize { offset, size }),
        };
        let stored = u32_at(bytes, CHECKSUM_AT);
        let computed = checksum(used);
        let damage = (stored != computed).then_some(GptProblem::HeaderChecksum {
            offset,
            stored,
            computed,
        });

        let says = u64_at(bytes, 24);
        if says != sector {
            return Err(damage.unwrap_or(GptProblem::Misplaced {
                offset,
                says,
                expected: sector,
            }));
        }
        let entry_size = u32_at(bytes, 84);
        if !(entry_size.is_power_of_two() && (128..=4096).contains(&entry_size)) {
            return Err(damage.unwrap_or(GptProblem::EntrySize {
                offset,
                size: entry_size,
            }));
        }
        let entry_count = u32_at(bytes, 80);
        let most = MOST_ENTRY_BYTES / entry_size;
        if entry_count == 0 || entry_count > most {
            return Err(damage.unwrap_or(GptProblem::EntryCount {
                offset,
                count: entry_count,
                most,
            }));
        }
        let sector_size = bytes.len() as u64;
        let entries_sector = u64_at(bytes, 72);
        let entries_len = u64::from(entry_count * entry_size);
        let entries_offset = entries_sector
            .checked_mul(sector_size)
            .filter(|start| start.checked_add(entries_len).is_some());
        let Some(entries_offset) = entries_offset else {
            return Err(damage.unwrap_or(GptProblem::BeyondEnd { offset: u64::MAX }));
        };
        if entries_sector < 2 || (entries_offset..entries_offset + entries_len).contains(&offset) {
            return Err(damage.unwrap_or(GptProblem::EntriesPosition {
                offset,
                sector: entries_sector,
            }));
        }
        Ok(Self {
            offset,
            revision: u32_at(bytes, 8),
            sector,
            other_sector: u64_at(bytes, 32),
            first_usable: u64_at(bytes, 40),
            last_usable: u64_at(bytes, 48),
            disk_guid: Guid::from_bytes(array(bytes, 56)),
            entries_offset,
            entry_count,
            entry_size,
            entries_checksum: u32_at(bytes, 88),
            damage,
        })
    }

    /// The bytes that all entries take.
    pub(super) fn entries_len(&self) -> u32 {
        self.entry_count * self.entry_size
    }
}

/// The checksum covers the header with zeros in the checksum's own place.
fn checksum(header: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[..CHECKSUM_AT]);
    hasher.update(&[0; 4]);
    hasher.update(&header[CHECKSUM_AT + 4..]);
    hasher.finalize()
}
