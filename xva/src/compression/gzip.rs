//! gzip through flate2.

use flate2::{Decompress, FlushDecompress, Status};

use super::{Codec, Progress};

/// The window of every deflate stream: 2^15 bytes.
const WINDOW_BITS: u8 = 15;

pub(super) struct Gzip {
    inflate: Decompress,
    /// What went wrong behind the last bytes that came out.
    failure: Option<String>,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self {
            inflate: Decompress::new_gzip(WINDOW_BITS),
            failure: None,
        }
    }
}

impl Codec for Gzip {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, String> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let before = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(input, output, FlushDecompress::None);
        let produced = (self.inflate.total_out() - before.1) as usize;
        let over = match status {
            Ok(status) => status == Status::StreamEnd,
            // What came before the damage is not lost: the next call fails.
            Err(error) if produced > 0 => {
                self.failure = Some(error.to_string());
                false
            }
            Err(error) => return Err(error.to_string()),
        };
        Ok(Progress {
            consumed: (self.inflate.total_in() - before.0) as usize,
            produced,
            over,
        })
    }

    fn restart(&mut self) {
        *self = Self::new();
    }
}
