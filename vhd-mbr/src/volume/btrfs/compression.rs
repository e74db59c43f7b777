//! Compressed extents: each stands for 128 KiB at most, so all of it is in memory.

use flate2::{Decompress, FlushDecompress};
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

/// What is behind the stream is the rest of its sector.
fn zlib(encoded: &[u8], decoded: &mut [u8]) -> Option<()> {
    let mut stream = Decompress::new(true);
    let status = stream.decompress(encoded, decoded, FlushDecompress::Finish).ok()?;
    let is_all = status == flate2::Status::StreamEnd || stream.total_out() == decoded.len() as u64;
    is_all.then_some(())
}

fn zstd(encoded: &[u8], decoded: &mut [u8]) -> Option<()> {
    let len = zstd_safe::find_frame_compressed_size(encoded).ok()?;
    zstd::bulk::decompress_to_buffer(encoded.get(..len)?, decoded).ok()?;
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
        lzokay::decompress::decompress(encoded.get(start..end)?, decoded).ok()?;
        at = end;
    }
    (encoded.len() >= LENGTH).then_some(())
}
