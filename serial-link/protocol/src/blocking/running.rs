use crate::blocking::client::unexpected;
use crate::blocking::{Channel, Client};
use crate::client_error::ClientError;
use crate::error::LinkError;
use crate::message::{Exit, Port, Reply, Request, Signal};
use crate::role::Host;

/// So much of a stream is kept in memory.
const KEPT: usize = 64 << 20;

/// A command that runs in the VM. Dropping it kills the command.
#[derive(Debug)]
pub struct Running {
    client: Client,
    channel: Channel<Host>,
    pid: u32,
}

impl Running {
    pub(super) fn new(client: Client, channel: Channel<Host>, pid: u32) -> Self {
        Self { client, channel, pid }
    }

    /// The number of its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Writes to its standard input, and waits for room.
    ///
    /// # Errors
    /// If the command reads no more, or the session is over.
    pub fn write_all(&self, bytes: &[u8]) -> Result<(), LinkError> {
        self.channel.write_all(Port::Input, bytes)
    }

    /// Ends its standard input.
    ///
    /// # Errors
    /// If the session is over.
    pub fn end_input(&self) -> Result<(), LinkError> {
        self.channel.end(Port::Input)
    }

    /// Waits for up to `most` bytes of its output; `None` is the end. Read both streams, from two threads if need be: a
    /// command that nobody listens to stops.
    ///
    /// # Errors
    /// If the session is over.
    pub fn read(&self, port: Port, most: usize) -> Result<Option<Vec<u8>>, LinkError> {
        self.channel.read(port, most)
    }

    /// Reads a stream to its end, and keeps up to 64 MiB of it.
    ///
    /// # Errors
    /// If the session is over; [`ClientError::TooMuch`] for a longer one, which [`read`](Self::read) is for.
    pub fn read_to_end(&self, port: Port) -> Result<Vec<u8>, ClientError> {
        let mut all = Vec::new();
        while let Some(bytes) = self.read(port, 64 << 10)? {
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
    pub fn signal(&self, signal: Signal) -> Result<(), LinkError> {
        self.channel.follow_up(&Request::Signal(signal))
    }

    /// Waits for its end. Read the streams first.
    ///
    /// # Errors
    /// If the session is over.
    pub fn wait(&self) -> Result<Exit, ClientError> {
        match self.client.reply(&self.channel)? {
            Reply::Exited(exit) => Ok(exit),
            other => Err(unexpected(&self.channel, other)),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.client.abandon(&self.channel);
    }
}
