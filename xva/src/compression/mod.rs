//! The compression around an archive, told by its first bytes.

#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "zstd")]
mod zstd;

use std::fmt;

/// How an archive is compressed as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// gzip, of any number of members.
    Gzip,
    /// zstd, of any number of frames.
    Zstd,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// As many first bytes tell every compression.
pub(crate) const MAGIC_LEN: usize = 4;

impl Compression {
    /// Recognises a compressed archive by its first [`MAGIC_LEN`] bytes.
    pub(crate) fn sniff(first: &[u8]) -> Option<Self> {
        if first.starts_with(&[0x1f, 0x8b]) {
            Some(Self::Gzip)
        } else if is_zstd_frame(first) {
            Some(Self::Zstd)
        } else {
            None
        }
    }

    /// A decoder for it, where this build has one.
    pub(crate) fn decoder(self) -> Option<Decoder> {
        let codec: Option<Box<dyn Codec>> = match self {
            #[cfg(feature = "gzip")]
            Self::Gzip => Some(Box::new(gzip::Gzip::new())),
            #[cfg(feature = "zstd")]
            Self::Zstd => zstd::Zstd::new().map(|codec| Box::new(codec) as Box<dyn Codec>),
            #[cfg(not(all(feature = "gzip", feature = "zstd")))]
            _ => None,
        };
        Some(Decoder {
            compression: self,
            codec: codec?,
            place: Place::Inside,
        })
    }
}

/// A data frame or one of those that readers skip.
fn is_zstd_frame(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]
    )
}

/// What a codec did with its input.
pub(crate) struct Progress {
    pub(crate) consumed: usize,
    pub(crate) produced: usize,
    /// The member or frame is over.
    pub(crate) over: bool,
}

/// Decodes a stream of members or frames.
pub(crate) trait Codec: Send + Sync {
    /// Decodes as much as fits.
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, String>;
    /// Gets ready for the next member or frame.
    fn restart(&mut self);
}

/// Decodes a whole compressed source, one member or frame after the other.
pub(crate) struct Decoder {
    pub(crate) compression: Compression,
    codec: Box<dyn Codec>,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Inside,
    Between,
    /// Behind the last member or frame.
    Behind,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("compression", &self.compression)
            .field("place", &self.place)
            .finish()
    }
}

impl Decoder {
    /// Whether a member or frame has begun and is not over.
    pub(crate) fn is_inside(&self) -> bool {
        self.place == Place::Inside
    }

    /// Whether bytes follow that belong to no member or frame.
    pub(crate) fn is_behind(&self) -> bool {
        self.place == Place::Behind
    }

    /// Decodes from `input` to `output`; gives bytes consumed and produced. Where both are 0 it wants more input.
    ///
    /// Bytes behind the last member or frame pass through as they are. After a whole archive nobody looks at them; in
    /// the middle of one they are what the server said when it gave up, and the tar layer can tell.
    pub(crate) fn decode(&mut self, input: &[u8], eof: bool, output: &mut [u8]) -> Result<(usize, usize), String> {
        if self.place == Place::Between {
            if input.len() < MAGIC_LEN && !eof {
                return Ok((0, 0));
            }
            if Compression::sniff(input) == Some(self.compression) {
                self.codec.restart();
                self.place = Place::Inside;
            } else {
                self.place = Place::Behind;
            }
        }
        if self.place == Place::Behind {
            let n = input.len().min(output.len());
            output[..n].copy_from_slice(&input[..n]);
            return Ok((n, n));
        }
        let Progress {
            consumed,
            produced,
            over,
        } = self.codec.decode(input, output)?;
        if over {
            self.place = Place::Between;
        }
        Ok((consumed, produced))
    }
}
