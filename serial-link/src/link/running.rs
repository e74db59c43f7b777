use std::fmt;

use serial_link_protocol::{ClientError, Exit, LinkError, Port, Reply, Request, Signal};

use super::client::Channel;

/// So much of a stream is kept in memory.
const KEPT: usize = 64 << 20;

/// A command that runs in the VM. Dropping it kills the command.
pub struct Running {
    channel: Channel,
    pid: u32,
}

impl Running {
    pub(super) fn new(channel: Channel, pid: u32) -> Self {
        Self { channel, pid }
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Writes to its standard input, and waits for room.
    ///
    /// # Errors
    /// If the command reads no more, or the session is over.
    pub async fn write_all(&self, bytes: &[u8]) -> Result<(), ClientError> {
        self.channel.write_all(Port::Input, bytes).await
    }

    /// Ends its standard input.
    ///
    /// # Errors
    /// If the session is over.
    pub fn end_input(&self) -> Result<(), LinkError> {
        self.channel.end(Port::Input)
    }

    /// Waits for up to `most` bytes of its output; `None` is the end. Read both streams side by side: a command that
    /// nobody listens to stops.
    ///
    /// # Errors
    /// If the session is over.
    pub async fn read(&self, port: Port, most: usize) -> Result<Option<Vec<u8>>, ClientError> {
        self.channel.read(port, most).await
    }

    /// Reads a stream to its end, and keeps up to 64 MiB of it.
    ///
    /// # Errors
    /// If the session is over; [`ClientError::TooMuch`] for a longer one, which [`read`](Self::read) is for.
    pub async fn read_to_end(&self, port: Port) -> Result<Vec<u8>, ClientError> {
        let mut all = Vec::new();
        while let Some(bytes) = self.read(port, 64 << 10).await? {
            if all.len() + bytes.len() > KEPT {
                return Err(ClientError::TooMuch { limit: KEPT });
            }
            all.extend(bytes);
        }
        Ok(all)
    }

    /// Sends a signal to it and its children.
    ///
    /// # Errors
    /// If the session is over.
    pub async fn signal(&self, signal: Signal) -> Result<(), ClientError> {
        self.channel.follow_up(&Request::Signal(signal)).await
    }

    /// Waits for its end. Read the streams first.
    ///
    /// # Errors
    /// If the session is over.
    pub async fn wait(&self) -> Result<Exit, ClientError> {
        match self.channel.reply().await? {
            Reply::Exited(exit) => Ok(exit),
            other => Err(other.into()),
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}
