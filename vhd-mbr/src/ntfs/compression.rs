//! Compressed units: LZNT1 in chunks of 4096 bytes.

use crate::bytes::u16_at;

/// Every chunk stands for so many bytes; what a shorter one leaves open is zero.
const CHUNK: usize = 4096;

/// The `len` bytes that `encoded` stands for; none where it is not LZNT1.
///
/// Chunks are handed to the decoder one by one: none refers to bytes of another, and none is longer than it may be.
pub(super) fn decode(encoded: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(len);
    let mut chunk = Vec::with_capacity(CHUNK);
    let mut rest = encoded;
    while decoded.len() < len && rest.len() >= 2 {
        let header = u16_at(rest, 0);
        if header == 0 {
            break;
        }
        let (encoded, behind) = rest.split_at_checked(usize::from(header & 0xfff) + 3)?;
        chunk.clear();
        lznt1::decompress(encoded, &mut chunk).ok()?;
        if chunk.len() > CHUNK {
            return None;
        }
        decoded.extend_from_slice(&chunk);
        decoded.resize(decoded.len().next_multiple_of(CHUNK), 0);
        rest = behind;
    }
    decoded.resize(len, 0);
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "abc" and a match of 9 bytes that reaches 3 back.
    const SHORT: &[u8] = &[0x05, 0xb0, 0b1000, b'a', b'b', b'c', 6, 0x20];

    #[test]
    fn a_short_chunk_is_filled_with_zeros() {
        let decoded = decode(&[SHORT, SHORT, &[0, 0]].concat(), 16_384).unwrap();
        for chunk in decoded[..8192].chunks(4096) {
            assert_eq!(&chunk[..12], b"abcabcabcabc");
            assert!(chunk[12..].iter().all(|&byte| byte == 0));
        }
        assert!(decoded[8192..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn a_match_stays_in_its_chunk() {
        let mut second = SHORT.to_vec();
        second[6..8].copy_from_slice(&[6, 0x50]);
        assert_eq!(decode(&[SHORT, &second].concat(), 8192), None);
    }

    #[test]
    fn a_chunk_is_not_longer_than_it_may_be() {
        let mut long = SHORT.to_vec();
        long[6..8].copy_from_slice(&[0xff, 0x2f]);
        assert_eq!(decode(&long, 65_536), None);
        assert_eq!(decode(&SHORT[..5], 4096), None);
    }
}
