//! Sources that show how much was read of them.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Weak};

use xenapi_examples::{AnyDisk, Meter};
use xva::ReadAt;

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

/// A disk that shows how far it was read, as long as there is a meter.
pub(crate) struct Watched {
    disk: AnyDisk,
    meter: Weak<Meter>,
    /// How much was to be read before this disk.
    before: u64,
}

impl Watched {
    pub(crate) fn new(disk: AnyDisk, meter: &Arc<Meter>, before: u64) -> Self {
        Self {
            disk,
            meter: Arc::downgrade(meter),
            before,
        }
    }
}

impl ReadAt for Watched {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.disk.read_exact_at(offset, buf)?;
        if let Some(meter) = self.meter.upgrade() {
            meter.set(self.before + offset + buf.len() as u64);
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        self.disk.size()
    }

    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        self.disk.next_data(from)
    }
}
