use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use serial2::{SerialPort, Settings};

use crate::port::PortError;

/// A time limit must be given; the link does not mind when it passes.
const LIMIT: Duration = Duration::from_secs(3600);

/// One direction of a port.
pub(crate) struct Half(SerialPort);

/// Opens a port for reading and writing.
pub(crate) fn open(path: &Path, speed: u32) -> Result<(Half, Half), PortError> {
    raw(path, speed).map_err(|error| PortError {
        path: path.into(),
        error,
    })
}

fn raw(path: &Path, speed: u32) -> io::Result<(Half, Half)> {
    let mut port = SerialPort::open(path, |mut settings: Settings| {
        settings.set_raw();
        settings.set_baud_rate(speed)?;
        Ok(settings)
    })?;
    port.set_read_timeout(LIMIT)?;
    port.set_write_timeout(LIMIT)?;
    Ok((Half(port.try_clone()?), Half(port)))
}

impl Read for Half {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        SerialPort::read(&self.0, into)
    }
}

impl Write for Half {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        SerialPort::write(&self.0, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
