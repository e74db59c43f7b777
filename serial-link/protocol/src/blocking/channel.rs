use crate::blocking::Pump;
use crate::error::LinkError;
use crate::link::Link;
use crate::message::{Port, Reply, Request};
use crate::role::{Agent, Host, Role};
use crate::session::Read;

/// A channel of one session. In the next session, where its number may mean another one, it is closed.
pub struct Channel<R: Role> {
    pump: Pump<R>,
    session: u32,
    number: u32,
}

impl<R: Role> Channel<R> {
    /// The channel with this number in this session.
    #[must_use]
    pub fn new(pump: Pump<R>, session: u32, number: u32) -> Self {
        Self { pump, session, number }
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The session that it belongs to.
    #[must_use]
    pub fn session(&self) -> u32 {
        self.session
    }

    /// Does something with the link, unless the session is over.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Link<R>) -> Result<T, LinkError>) -> Result<T, LinkError> {
        self.pump.with(|link, _| {
            self.check(link)?;
            act(link)
        })
    }

    /// Waits until `look` finds something, or the session is over.
    pub(crate) fn wait_for<T>(
        &self,
        mut look: impl FnMut(&mut Link<R>) -> Result<Option<T>, LinkError>,
    ) -> Result<T, LinkError> {
        self.pump
            .wait_for(|link| self.check(link).and_then(|()| look(link)).transpose())
    }

    fn check(&self, link: &Link<R>) -> Result<(), LinkError> {
        if link.session() == Some(self.session) {
            Ok(())
        } else {
            Err(LinkError::Closed { channel: self.number })
        }
    }

    /// Writes all of `bytes`, and waits for room.
    ///
    /// # Errors
    /// If the channel is closed, or nobody reads the stream any more.
    pub fn write_all(&self, port: Port, mut bytes: &[u8]) -> Result<(), LinkError> {
        while !bytes.is_empty() {
            let taken = self.wait_for(|link| {
                let taken = link.write(self.number, port, bytes)?;
                Ok((taken > 0).then_some(taken))
            })?;
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// Ends a stream behind what was written.
    ///
    /// # Errors
    /// If the channel is closed.
    pub fn end(&self, port: Port) -> Result<(), LinkError> {
        self.with(|link| link.end(self.number, port))
    }

    /// Waits for up to `most` bytes of a stream; `None` is its end.
    ///
    /// # Errors
    /// If the channel is closed.
    pub fn read(&self, port: Port, most: usize) -> Result<Option<Vec<u8>>, LinkError> {
        self.wait_for(|link| {
            Ok(match link.read(self.number, port, most)? {
                Read::Bytes(bytes) => Some(Some(bytes)),
                Read::End => Some(None),
                Read::Pending => None,
            })
        })
    }

    /// Tells the other end that nobody reads this stream any more.
    pub fn stop(&self, port: Port) {
        // Who does not read does not mind that the channel is closed.
        let _ = self.with(|link| link.stop(self.number, port));
    }

    /// Forgets the channel; what was ended is sent to its end.
    pub fn close(&self) {
        let _ = self.with(|link| {
            link.close(self.number);
            Ok(())
        });
    }
}

impl Channel<Agent> {
    /// Answers.
    ///
    /// # Errors
    /// If the channel is closed.
    pub fn reply(&self, reply: &Reply) -> Result<(), LinkError> {
        self.wait_while_busy(|link| link.reply(self.number, reply))
    }
}

impl Channel<Host> {
    /// Says something more.
    ///
    /// # Errors
    /// If the channel is closed.
    pub fn follow_up(&self, request: &Request) -> Result<(), LinkError> {
        self.wait_while_busy(|link| link.follow_up(self.number, request))
    }
}

impl<R: Role> Channel<R> {
    fn wait_while_busy(&self, mut say: impl FnMut(&mut Link<R>) -> Result<(), LinkError>) -> Result<(), LinkError> {
        self.wait_for(|link| match say(link) {
            Err(LinkError::Busy { .. }) => Ok(None),
            said => said.map(Some),
        })
    }
}

impl<R: Role> Clone for Channel<R> {
    fn clone(&self) -> Self {
        Self {
            pump: self.pump.clone(),
            ..*self
        }
    }
}

impl<R: Role> std::fmt::Debug for Channel<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel")
            .field("session", &self.session)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
