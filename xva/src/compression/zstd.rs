//! zstd through the reference library.

use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

use super::{Codec, Progress};

pub(super) struct Zstd(Decoder<'static>);

impl Zstd {
    pub(super) fn new() -> Option<Self> {
        Decoder::new().ok().map(Self)
    }
}

impl Codec for Zstd {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, String> {
        let mut input = InBuffer::around(input);
        let mut output = OutBuffer::around(output);
        let hint = self.0.run(&mut input, &mut output).map_err(|error| error.to_string())?;
        Ok(Progress {
            consumed: input.pos(),
            produced: output.pos(),
            over: hint == 0,
        })
    }

    /// The decoder starts the next frame by itself.
    fn restart(&mut self) {}
}
