//! The checksums of nodes and of data, and that of names.

use blake2::Blake2b256;
use sha2::{Digest, Sha256};
use twox_hash::XxHash64;

#[derive(Clone, Copy, Debug)]
pub(super) enum Checksum {
    Crc32c,
    XxHash64,
    Sha256,
    Blake2b,
}

impl Checksum {
    pub(super) fn of_type(number: u16) -> Option<Self> {
        Some(match number {
            0 => Self::Crc32c,
            1 => Self::XxHash64,
            2 => Self::Sha256,
            3 => Self::Blake2b,
            _ => return None,
        })
    }

    /// How many bytes it has.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Crc32c => 4,
            Self::XxHash64 => 8,
            Self::Sha256 | Self::Blake2b => 32,
        }
    }

    /// Whether `bytes` have the checksum at the start of `expected`.
    pub(super) fn matches(self, bytes: &[u8], expected: &[u8]) -> bool {
        match self {
            Self::Crc32c => expected.starts_with(&crc32c::crc32c(bytes).to_le_bytes()),
            Self::XxHash64 => expected.starts_with(&XxHash64::oneshot(0, bytes).to_le_bytes()),
            Self::Sha256 => expected.starts_with(&Sha256::digest(bytes)),
            Self::Blake2b => expected.starts_with(&Blake2b256::digest(bytes)),
        }
    }
}

/// By which a directory finds a name: CRC32C from another start, and not inverted at its end.
pub(super) fn name_hash(name: &[u8]) -> u64 {
    u64::from(!crc32c::crc32c_append(1, name))
}
