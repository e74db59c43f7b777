//! Ports without any meaning to single bytes.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use self::unix::open;
#[cfg(windows)]
pub(crate) use self::windows::open;

use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
#[error("cannot open the port {}: {error}", path.display())]
pub(crate) struct PortError {
    path: PathBuf,
    error: io::Error,
}
