//! The compression around an archive, which its first bytes tell.

use std::io::{self, Write as _};

use crate::error::{ApiError, Result};

const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// How much is decoded at a time, so that bombs do not fill the memory.
const SLICE: usize = 4096;

pub(super) enum Decoder {
    /// Too few bytes are there to tell.
    Unknown(Vec<u8>),
    Plain,
    Gzip(Box<flate2::write::MultiGzDecoder<Vec<u8>>>),
    Zstd(zstd::stream::write::Decoder<'static, Vec<u8>>),
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self::Unknown(Vec::new())
    }

    pub(super) fn is_compressed(&self) -> bool {
        matches!(self, Self::Gzip(_) | Self::Zstd(_))
    }

    /// Decodes bytes and hands on what comes out.
    pub(super) fn push(&mut self, input: &[u8], mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if let Self::Unknown(first) = self {
            first.extend_from_slice(input);
            if first.len() < ZSTD.len() {
                return Ok(());
            }
            let first = std::mem::take(first);
            *self = Self::sniff(&first).map_err(failure)?;
            return self.push(&first, take);
        }
        for slice in input.chunks(SLICE) {
            match self {
                Self::Gzip(decoder) => {
                    decoder
                        .write_all(slice)
                        .and_then(|()| decoder.flush())
                        .map_err(failure)?;
                    take(&std::mem::take(decoder.get_mut()))?;
                }
                Self::Zstd(decoder) => {
                    decoder
                        .write_all(slice)
                        .and_then(|()| decoder.flush())
                        .map_err(failure)?;
                    take(&std::mem::take(decoder.get_mut()))?;
                }
                Self::Plain | Self::Unknown(_) => take(slice)?,
            }
        }
        Ok(())
    }

    fn sniff(first: &[u8]) -> io::Result<Self> {
        Ok(if first.starts_with(&ZSTD) {
            Self::Zstd(zstd::stream::write::Decoder::new(Vec::new())?)
        } else if first.starts_with(&GZIP) {
            Self::Gzip(Box::new(flate2::write::MultiGzDecoder::new(Vec::new())))
        } else {
            Self::Plain
        })
    }
}

fn failure(error: io::Error) -> ApiError {
    ApiError::new("IMPORT_ERROR", [&format!("Failure({:?})", error.to_string())])
}
