use std::path::PathBuf;

use futures_util::future::BoxFuture;
use tokio::net::UnixStream;

use super::{ConnectError, Line, Mode, Port};

/// A unix socket of this machine, for programs that run where QEMU does.
#[derive(Debug, Clone)]
pub struct UnixLine {
    path: PathBuf,
    mode: Mode,
}

impl UnixLine {
    /// The socket's path.
    pub fn new(path: impl Into<PathBuf>, mode: Mode) -> Self {
        Self {
            path: path.into(),
            mode,
        }
    }
}

impl Line for UnixLine {
    fn connect(&self) -> BoxFuture<'_, Result<Port, ConnectError>> {
        Box::pin(async {
            match UnixStream::connect(&self.path).await {
                Ok(stream) => Ok(self.mode.port(stream)),
                Err(source) => Err(ConnectError::Socket {
                    line: self.name(),
                    source,
                }),
            }
        })
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}
