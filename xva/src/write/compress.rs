//! Compresses an archive as it is written.

use std::fmt;
use std::io::{self, Write};

use super::WriteError;
use crate::Compression;

/// How much gzip tries, on its scale to 9; what xapi uses.
#[cfg(feature = "gzip")]
const GZIP_LEVEL: u32 = 6;

/// How much zstd tries, on its scale to 22; what xapi uses.
#[cfg(feature = "zstd")]
const ZSTD_LEVEL: i32 = 3;

/// Every thread holds several pieces, so that more threads or larger pieces would take more than 32 MiB.
#[cfg(feature = "zstd")]
const ZSTD_THREADS: u32 = 4;

/// How much a thread compresses at a time, in bytes. Left alone, zstd takes 8 MiB.
#[cfg(feature = "zstd")]
const ZSTD_PIECE: u32 = 1 << 20;

/// Compresses what is written to it and passes it on, on all CPUs with gzip and on up to four with zstd.
///
/// The length of the result is not known beforehand.
///
/// ```
/// # #[cfg(feature = "zstd")] {
/// use xva::Compression;
/// use xva::write::{Compressor, DiskSpec, VmSpec, Writer};
///
/// let vm = VmSpec::new("web").disk(DiskSpec::new("system", vec![7; 3 << 20]));
/// let mut output = Compressor::new(Vec::new(), Compression::Zstd)?;
/// let written = Writer::new(vm).plan()?.write_to(&mut output)?;
/// let archive = output.finish()?;
/// assert!(written > 3 << 20 && archive.len() < 10_000);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Compressor<W: Write>(Inner<W>);

enum Inner<W: Write> {
    #[cfg(feature = "gzip")]
    Gzip(super::gzip::Gzip<W>),
    #[cfg(feature = "zstd")]
    Zstd(zstd::stream::write::Encoder<'static, W>),
    /// Never made; keeps `W` in use where no compression is.
    #[cfg(not(any(feature = "gzip", feature = "zstd")))]
    #[expect(dead_code, reason = "nothing to compress with")]
    None(W, std::convert::Infallible),
}

impl<W: Write> fmt::Debug for Compressor<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}

impl<W: Write> Compressor<W> {
    /// A compressor in front of `output`.
    ///
    /// # Errors
    /// Where the build of this crate leaves the compression out, or the library fails.
    pub fn new(output: W, compression: Compression) -> Result<Self, WriteError> {
        match compression {
            #[cfg(feature = "gzip")]
            Compression::Gzip => {
                let gzip = super::gzip::Gzip::new(output, GZIP_LEVEL);
                let gzip = gzip.map_err(|source| WriteError::Compressor { compression, source })?;
                Ok(Self(Inner::Gzip(gzip)))
            }
            #[cfg(feature = "zstd")]
            Compression::Zstd => {
                let encoder = zstd_encoder(output).map_err(|source| WriteError::Compressor { compression, source })?;
                Ok(Self(Inner::Zstd(encoder)))
            }
            #[cfg(not(all(feature = "gzip", feature = "zstd")))]
            _ => {
                drop(output);
                Err(WriteError::CompressionDisabled { compression })
            }
        }
    }

    /// Writes what is left and gives the output back. Without this call the archive is cut off.
    ///
    /// # Errors
    /// Where the output fails.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            #[cfg(feature = "gzip")]
            Inner::Gzip(encoder) => encoder.finish(),
            #[cfg(feature = "zstd")]
            Inner::Zstd(encoder) => encoder.finish(),
            #[cfg(not(any(feature = "gzip", feature = "zstd")))]
            Inner::None(_, never) => match never {},
        }
    }
}

#[cfg(feature = "zstd")]
fn zstd_encoder<W: Write>(output: W) -> io::Result<zstd::stream::write::Encoder<'static, W>> {
    let mut encoder = zstd::stream::write::Encoder::new(output, ZSTD_LEVEL)?;
    let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u32);
    if cpus > 1 {
        encoder.multithread(cpus.min(ZSTD_THREADS))?;
        encoder.set_parameter(zstd::zstd_safe::CParameter::JobSize(ZSTD_PIECE))?;
    }
    Ok(encoder)
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            #[cfg(feature = "gzip")]
            Inner::Gzip(encoder) => encoder.write(bytes),
            #[cfg(feature = "zstd")]
            Inner::Zstd(encoder) => encoder.write(bytes),
            #[cfg(not(any(feature = "gzip", feature = "zstd")))]
            Inner::None(_, never) => {
                let _ = bytes;
                match *never {}
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            #[cfg(feature = "gzip")]
            Inner::Gzip(encoder) => encoder.flush(),
            #[cfg(feature = "zstd")]
            Inner::Zstd(encoder) => encoder.flush(),
            #[cfg(not(any(feature = "gzip", feature = "zstd")))]
            Inner::None(_, never) => match *never {},
        }
    }
}
