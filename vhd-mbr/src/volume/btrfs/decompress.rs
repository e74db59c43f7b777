//! The compressions of extents.

use std::io::{self, Read};

use flate2::read::ZlibDecoder;

use crate::bytes::u32_at;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Zlib,
    Lzo,
    Zstd,
}

/// More than Linux uses, which is 128 KiB.
const ZSTD_WINDOW_LOG: u32 = 20;
/// LZO comes in pieces, each of a sector, whose lengths stand before them.
const LENGTH: usize = 4;

impl Compression {
    /// What `packed` becomes: `len` bytes, with zeros where there are less. What does not fit is left out.
    pub(super) fn unpack(self, packed: &[u8], len: usize, sector: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(len);
        let limit = len as u64;
        match self {
            Self::Zlib => {
                ZlibDecoder::new(packed).take(limit).read_to_end(&mut bytes)?;
            }
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?.single_frame();
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                decoder.take(limit).read_to_end(&mut bytes)?;
            }
            Self::Lzo => unpack_lzo(packed, sector, len, &mut bytes)?,
        }
        bytes.resize(len, 0);
        Ok(bytes)
    }
}

fn unpack_lzo(packed: &[u8], sector: usize, len: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
    let wrong = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let end = u32_at(packed, 0) as usize;
    let packed = packed.get(..end).ok_or_else(|| wrong("compressed data is cut off"))?;
    let mut at = LENGTH;
    let mut piece = vec![0; sector];
    while at < end && bytes.len() < len {
        // No length goes over the end of a sector.
        if sector - at % sector < LENGTH {
            at = at.next_multiple_of(sector);
        }
        let count = u32_at(packed, at) as usize;
        at += LENGTH;
        let data = at.checked_add(count).and_then(|end| packed.get(at..end));
        let data = data.ok_or_else(|| wrong("a piece of compressed data is cut off"))?;
        let unpacked = lzokay::decompress::decompress(data, &mut piece)
            .map_err(|_| wrong("a piece of compressed data is no LZO"))?;
        bytes.extend(&piece[..unpacked]);
        at += count;
    }
    bytes.truncate(len);
    Ok(())
}
