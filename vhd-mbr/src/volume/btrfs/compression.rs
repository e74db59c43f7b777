//! Compressed extents: each stands for 128 KiB at most, so all of it is in memory.

use flate2::{Decompress, FlushDecompress, Status};
use zstd::zstd_safe;

use super::Error;
use crate::bytes::u32_at;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Zlib,
    Lzo,
    Zstd,
}

impl Compression {
    /// What an extent says, which may be that it is not compressed.
    pub(super) fn of_type(number: u8) -> Result<Option<Self>, Error> {
        Ok(Some(match number {
            0 => return Ok(None),
            1 => Self::Zlib,
            2 => Self::Lzo,
            3 => Self::Zstd,
            _ => return Err(Error::unsupported("an unknown compression")),
        }))
    }

    /// The `len` bytes that `encoded` stands for, zeros where it has fewer; none where it is not what it should be.
    pub(super) fn decode(self, encoded: &[u8], len: usize, sector: usize) -> Option<Vec<u8>> {
        let mut decoded = vec![0; len];
        match self {
            Self::Zlib => zlib(encoded, &mut decoded),
            Self::Lzo => lzo(encoded, &mut decoded, sector),
            Self::Zstd => zstd(encoded, &mut decoded),
        }?;
        Some(decoded)
    }
}

/// Decoders may use the room that they do not fill.
fn clear_behind(decoded: &mut [u8], count: usize) {
    decoded.get_mut(count..).unwrap_or_default().fill(0);
}

/// What is behind the stream is the rest of its sector.
fn zlib(encoded: &[u8], decoded: &mut [u8]) -> Option<()> {
    let mut stream = Decompress::new(true);
    let status = stream.decompress(encoded, decoded, FlushDecompress::Finish).ok()?;
    let count = usize::try_from(stream.total_out()).ok()?;
    clear_behind(decoded, count);
    (status == Status::StreamEnd || count == decoded.len()).then_some(())
}

fn zstd(encoded: &[u8], decoded: &mut [u8]) -> Option<()> {
    let len = zstd_safe::find_frame_compressed_size(encoded).ok()?;
    let count = zstd::bulk::decompress_to_buffer(encoded.get(..len)?, decoded).ok()?;
    clear_behind(decoded, count);
    Some(())
}

/// The length of all of it, then sector by sector the length of its compressed form and that form. No length stands over
/// the border of two sectors.
fn lzo(encoded: &[u8], decoded: &mut [u8], sector: usize) -> Option<()> {
    const LENGTH: usize = 4;
    let encoded = encoded.get(..u32_at(encoded, 0) as usize)?;
    let mut at = LENGTH;
    for decoded in decoded.chunks_mut(sector) {
        let left = sector - at % sector;
        if left < LENGTH {
            at += left;
        }
        if at >= encoded.len() {
            break;
        }
        let start = at + LENGTH;
        let end = start.checked_add(u32_at(encoded, at) as usize)?;
        let count = lzokay::decompress::decompress(encoded.get(start..end)?, decoded).ok()?;
        clear_behind(decoded, count);
        at = end;
    }
    (encoded.len() >= LENGTH).then_some(())
}

#[cfg(test)]
mod tests {
    use flate2::{Compress, FlushCompress};
    use proptest::prelude::*;

    use super::*;

    const SECTOR: usize = 4096;

    fn text() -> Vec<u8> {
        b"a text that compresses well, line by line\n".repeat(250)
    }

    fn zlib_of(text: &[u8]) -> Vec<u8> {
        let mut encoded = Vec::with_capacity(text.len());
        Compress::new(flate2::Compression::fast(), true)
            .compress_vec(text, &mut encoded, FlushCompress::Finish)
            .unwrap();
        encoded
    }

    /// "abc", then a match of 3 bytes as far back again and again, and the end.
    const REPEATED: &[u8] = &[0x14, b'a', b'b', b'c', 0x48, 0, 0x48, 0, 0x48, 0, 0x11, 0, 0];

    /// The extent of these compressed sectors.
    fn lzo_of(sectors: &[&[u8]]) -> Vec<u8> {
        let mut encoded = vec![0; 4];
        for sector in sectors {
            let left = SECTOR - encoded.len() % SECTOR;
            encoded.resize(encoded.len() + if left < 4 { left } else { 0 }, 0);
            encoded.extend_from_slice(&(sector.len() as u32).to_le_bytes());
            encoded.extend_from_slice(sector);
        }
        let len = encoded.len() as u32;
        encoded[..4].copy_from_slice(&len.to_le_bytes());
        encoded
    }

    /// So many literals.
    fn literals(count: usize) -> Vec<u8> {
        let mut encoded = vec![0; 1 + (count - 19) / 255];
        encoded.push(((count - 19) % 255 + 1) as u8);
        encoded.resize(encoded.len() + count, b'x');
        encoded.extend_from_slice(&[0x11, 0, 0]);
        encoded
    }

    #[test]
    fn what_is_behind_the_stream_does_not_count_and_what_is_missing_is_zero() {
        let text = text();
        let padded = |mut encoded: Vec<u8>| {
            encoded.resize(encoded.len().next_multiple_of(SECTOR), 0);
            encoded
        };
        let zstd = zstd::bulk::compress(&text, 3).unwrap();
        for (compression, encoded) in [(Compression::Zlib, zlib_of(&text)), (Compression::Zstd, zstd)] {
            let decoded = compression.decode(&padded(encoded.clone()), 12_288, SECTOR).unwrap();
            assert_eq!(decoded[..text.len()], text);
            assert!(decoded[text.len()..].iter().all(|&byte| byte == 0));
            let cut = &encoded[..encoded.len() / 2];
            assert_eq!(compression.decode(cut, 12_288, SECTOR), None);
        }
    }

    #[test]
    fn sectors_of_lzo_are_decoded_one_by_one() {
        let decode = |encoded: &[u8]| Compression::Lzo.decode(encoded, 3 * SECTOR, SECTOR);
        let decoded = decode(&lzo_of(&[REPEATED, REPEATED])).unwrap();
        for start in [0, SECTOR] {
            assert_eq!(&decoded[start..start + 13], b"abcabcabcabc\0");
        }
        assert_eq!(decode(&lzo_of(&[&REPEATED[..8]])), None);
        assert_eq!(decode(&[9, 0, 0, 0]), None);
    }

    #[test]
    fn a_length_never_stands_over_a_border() {
        for left in 0..5 {
            let first = literals(SECTOR - 28 - left);
            assert_eq!(first.len(), SECTOR - 8 - left, "behind two lengths");
            let encoded = lzo_of(&[&first, REPEATED]);
            let decoded = Compression::Lzo.decode(&encoded, 2 * SECTOR, SECTOR).unwrap();
            assert_eq!(&decoded[SECTOR..SECTOR + 4], b"abca", "{left}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_decoded_panics(
            mut encoded in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..200),
                Just(zlib_of(&text())),
                Just(lzo_of(&[REPEATED, &literals(300), REPEATED])),
                Just(zstd::bulk::compress(&text(), 3).unwrap()),
            ],
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
            len in 0..20_000usize,
        ) {
            for (place, byte) in changes {
                if !encoded.is_empty() {
                    let at = place.index(encoded.len());
                    encoded[at] = byte;
                }
            }
            for compression in [Compression::Zlib, Compression::Lzo, Compression::Zstd] {
                let decoded = compression.decode(&encoded, len, SECTOR);
                prop_assert!(decoded.is_none_or(|decoded| decoded.len() == len));
            }
        }
    }
}
