//! The line to the host: a port, or xenstore.

use std::error::Error;
use std::io::{Read, Write};

use crate::arguments::Arguments;
use crate::port;

/// Both directions of a line.
pub(crate) type Way = (Box<dyn Read + Send>, Box<dyn Write + Send>);

/// Opens the line that was asked for.
pub(crate) fn open(arguments: &Arguments) -> Result<Way, Box<dyn Error>> {
    if let Some(folder) = &arguments.xenstore {
        #[cfg(target_os = "linux")]
        {
            let (reader, writer) = crate::xenstore::open(&arguments.xenbus, folder)?;
            return Ok((Box::new(reader), Box::new(writer)));
        }
        #[cfg(not(target_os = "linux"))]
        return Err(format!("{folder}: xenstore is reached on Linux only").into());
    }
    let (reader, writer) = port::open(&arguments.port, arguments.speed)?;
    Ok((Box::new(reader), Box::new(writer)))
}

/// What people call it.
pub(crate) fn name(arguments: &Arguments) -> String {
    match &arguments.xenstore {
        Some(folder) => format!("{folder} in xenstore"),
        None => arguments.port.display().to_string(),
    }
}
