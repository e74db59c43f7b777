use futures_util::future::BoxFuture;
use tokio::net::TcpStream;

use super::{ConnectError, Line, Mode, Port};

/// Straight over the network, to a QEMU that listens there. Nothing is asked for and nothing is encrypted.
#[derive(Debug, Clone)]
pub struct TcpLine {
    address: String,
    mode: Mode,
}

impl TcpLine {
    /// `host:port`.
    pub fn new(address: impl Into<String>, mode: Mode) -> Self {
        Self {
            address: address.into(),
            mode,
        }
    }
}

impl Line for TcpLine {
    fn connect(&self) -> BoxFuture<'_, Result<Port, ConnectError>> {
        Box::pin(async {
            let wrong = |source| ConnectError::Socket {
                line: self.name(),
                source,
            };
            let stream = TcpStream::connect(&self.address).await.map_err(wrong)?;
            // Keys and debuggers' packets are small, and somebody waits for each.
            stream.set_nodelay(true).map_err(wrong)?;
            Ok(self.mode.port(stream))
        })
    }

    fn name(&self) -> String {
        self.address.clone()
    }
}
