//! The checksums that stand behind the blocks.

use std::fmt;

use sha1::{Digest as _, Sha1};
use twox_hash::XxHash64;

/// How a block's checksum is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// XXH64 with seed 0, in entries called `.xxhash`: written by Citrix Hypervisor and XCP-ng 8.1 and newer.
    Xxh64,
    /// SHA-1, in entries called `.checksum`: written by everything before.
    Sha1,
}

impl Algorithm {
    pub(crate) fn digest(self, data: &[u8]) -> Digest {
        match self {
            Self::Xxh64 => Digest::Xxh64(XxHash64::oneshot(0, data)),
            Self::Sha1 => Digest::Sha1(Sha1::digest(data).into()),
        }
    }

    /// Reads a checksum as archives write it: 16 digits, upper-case from xapi, or 40 digits, lower-case from xapi.
    /// Either case is taken, and white space behind.
    pub(crate) fn parse(self, text: &[u8]) -> Option<Digest> {
        let text = text.trim_ascii_end();
        match self {
            Self::Xxh64 => {
                let bytes: [u8; 8] = unhex(text)?;
                Some(Digest::Xxh64(u64::from_be_bytes(bytes)))
            }
            Self::Sha1 => unhex(text).map(Digest::Sha1),
        }
    }

    pub(crate) fn expected(self) -> &'static str {
        match self {
            Self::Xxh64 => "XXH64 of 16 hexadecimal digits",
            Self::Sha1 => "SHA-1 of 40 hexadecimal digits",
        }
    }
}

/// A block's checksum. It prints as archives record it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Digest {
    /// XXH64 with seed 0.
    Xxh64(u64),
    /// SHA-1.
    Sha1([u8; 20]),
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Xxh64(hash) => write!(f, "{hash:016X}"),
            Self::Sha1(hash) => hash.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high << 4 | low) as u8;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_as_xapi_writes_them() {
        // The checksums of a heartbeat, the empty block.
        assert_eq!(Algorithm::Xxh64.digest(b"").to_string(), "EF46DB3751D8E999");
        assert_eq!(
            Algorithm::Sha1.digest(b"").to_string(),
            "da39a3ee5e6b4b0d3255bfef95601890afd80709"
        );
    }

    #[test]
    fn read_in_either_case() {
        for text in ["EF46DB3751D8E999", "ef46db3751d8e999", "EF46DB3751D8E999\n"] {
            assert_eq!(
                Algorithm::Xxh64.parse(text.as_bytes()),
                Some(Digest::Xxh64(0xef46_db37_51d8_e999))
            );
        }
        for text in ["", "EF46DB3751D8E99", "EF46DB3751D8E9999", "+F46DB3751D8E999"] {
            assert_eq!(Algorithm::Xxh64.parse(text.as_bytes()), None);
        }
    }
}
