//! gzip through flate2.

use flate2::{Decompress, FlushDecompress, Status};

use super::{Codec, Progress};

/// The window of every deflate stream: 2^15 bytes.
const WINDOW_BITS: u8 = 15;

pub(super) struct Gzip(Decompress);

impl Gzip {
    pub(super) fn new() -> Self {
        Self(Decompress::new_gzip(WINDOW_BITS))
    }
}

impl Codec for Gzip {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, String> {
        let before = (self.0.total_in(), self.0.total_out());
        let status = self
            .0
            .decompress(input, output, FlushDecompress::None)
            .map_err(|error| error.to_string())?;
        Ok(Progress {
            consumed: (self.0.total_in() - before.0) as usize,
            produced: (self.0.total_out() - before.1) as usize,
            over: status == Status::StreamEnd,
        })
    }

    fn restart(&mut self) {
        *self = Self::new();
    }
}
