//! A source that shows how much was read of it.

use std::io::{self, Read};

use xenapi_examples::Meter;

/// Tells a meter about every byte.
pub(crate) struct Measured<R> {
    source: R,
    meter: Meter,
    done: u64,
}

impl<R> Measured<R> {
    pub(crate) fn new(source: R, meter: Meter) -> Self {
        Self { source, meter, done: 0 }
    }
}

impl<R: Read> Read for Measured<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buf)?;
        self.done += read as u64;
        self.meter.set(self.done);
        Ok(read)
    }
}
