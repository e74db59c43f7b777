use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::termios::{ControlModes, OptionalActions, SpecialCodeIndex, isatty, tcgetattr, tcsetattr};

use crate::port::PortError;

/// Opens a port for reading and writing. What is no terminal, a virtio port say, needs no settings.
pub(crate) fn open(path: &Path, speed: u32) -> Result<(File, File), PortError> {
    raw(path, speed)
        .and_then(|port| Ok((port.try_clone()?, port)))
        .map_err(|error| PortError {
            path: path.into(),
            error,
        })
}

fn raw(path: &Path, speed: u32) -> io::Result<File> {
    // Without a carrier, opening would wait; and the port must not become the terminal whose Ctrl-C kills the agent.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let port = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags.cast_signed())
        .open(path)?;
    if isatty(&port) {
        let mut settings = tcgetattr(&port)?;
        settings.make_raw();
        settings.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
        settings.control_modes &= !(ControlModes::CRTSCTS | ControlModes::HUPCL);
        settings.special_codes[SpecialCodeIndex::VMIN] = 1;
        settings.special_codes[SpecialCodeIndex::VTIME] = 0;
        settings.set_speed(speed)?;
        tcsetattr(&port, OptionalActions::Now, &settings)?;
    }
    fcntl_setfl(&port, fcntl_getfl(&port)? & !OFlags::NONBLOCK)?;
    Ok(port)
}
