use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serial_link_protocol::{
    ClientError, Command, Config, Counters, LinkError, Output, Port, Read, Reply, Report, Request,
};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::pump;
use super::running::Running;
use super::shared::{Shared, State};
use crate::bridge::{Bridge, Busy, Replay};

/// Commands and files in a VM. Cheap to clone; the last clone gives the input back.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    pump: JoinHandle<()>,
    /// The line outlives every clone of the bridge elsewhere.
    _bridge: Bridge,
}

impl Client {
    /// Takes the bridge's input, begins to look for an agent, and hands everything from the guest that is not the
    /// link's to `console`, which must not wait for anything.
    ///
    /// # Errors
    /// If another has the input.
    pub fn start(bridge: &Bridge, config: Config, console: impl FnMut(&[u8]) + Send + 'static) -> Result<Self, Busy> {
        let mut writer = bridge.writer("the link")?;
        writer.keep();
        let events = bridge.events();
        let reader = bridge.reader("the link", Replay::Nothing);
        let shared = Arc::new(Shared::new(config, console));
        let pumped = shared.clone();
        let pump = tokio::spawn(async move {
            let reason = pump::run(&pumped, reader, writer, events).await;
            pumped.close(reason);
        });
        let bridge = bridge.clone();
        Ok(Self(Arc::new(Inner {
            shared,
            pump,
            _bridge: bridge,
        })))
    }

    /// Waits until an agent answers.
    ///
    /// # Errors
    /// If none does in time, or it has another secret.
    pub async fn connected(&self, limit: Duration) -> Result<(), ClientError> {
        let found = self.0.shared.wait_for(|state| match state.inbox.refusal() {
            Some(refusal) => Some(Err(ClientError::Refused(refusal))),
            None => state.link.session().map(|_| Ok(())),
        });
        timeout(limit, found)
            .await
            .unwrap_or(Err(ClientError::Timeout { limit }))
    }

    /// Starts a command.
    ///
    /// # Errors
    /// If there is no session, or the command does not start.
    pub async fn exec(&self, command: &Command) -> Result<Running, ClientError> {
        let channel = self.open(&Request::Exec(command.clone()))?;
        match channel.reply().await? {
            Reply::Started { pid } => Ok(Running::new(channel, pid)),
            other => Err(other.into()),
        }
    }

    /// Runs a command to its end with this input, and keeps what it says in memory.
    ///
    /// # Errors
    /// If there is no session, it ends meanwhile, or the command does not start.
    pub async fn output(&self, command: &Command, input: &[u8]) -> Result<Output, ClientError> {
        let mut command = command.clone();
        command.input |= !input.is_empty();
        let running = self.exec(&command).await?;
        let feed = async {
            if command.input {
                // A command need not read its input.
                let _ = running.write_all(input).await;
                let _ = running.end_input();
            }
            Ok(())
        };
        let (stdout, stderr, ()) = tokio::try_join!(
            running.read_to_end(Port::Output),
            running.read_to_end(Port::Errors),
            feed
        )?;
        let exit = running.wait().await?;
        Ok(Output { exit, stdout, stderr })
    }

    /// Asks the agent about its system.
    ///
    /// # Errors
    /// If there is no session or it ends meanwhile.
    pub async fn report(&self) -> Result<Report, ClientError> {
        match self.open(&Request::Report)?.reply().await? {
            Reply::Report(report) => Ok(*report),
            other => Err(other.into()),
        }
    }

    /// Waits for the agent's answer.
    ///
    /// # Errors
    /// If there is no session or it ends meanwhile.
    pub async fn ping(&self) -> Result<(), ClientError> {
        match self.open(&Request::Ping { token: 0 })?.reply().await? {
            Reply::Pong { .. } => Ok(()),
            other => Err(other.into()),
        }
    }

    /// Waits until all that was said has arrived in the guest, or for so long: before a program ends that has just
    /// cancelled something.
    pub async fn settled(&self, limit: Duration) {
        let settled = self.0.shared.wait_for(|state| state.link.is_idle().then_some(Ok(())));
        // What has not arrived by then is not waited for.
        let _ = timeout(limit, settled).await;
    }

    /// What the link has counted.
    pub fn counters(&self) -> Counters {
        self.0.shared.with(|state| state.link.counters())
    }

    pub(super) fn open(&self, request: &Request) -> Result<Channel, LinkError> {
        self.0.shared.wish(|state| {
            let session = state.link.session().ok_or(LinkError::NotConnected)?;
            let number = state.link.request(request)?;
            state.inbox.open(number);
            Ok(Channel {
                client: self.clone(),
                session,
                number,
            })
        })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

/// A request and what belongs to it. When it is dropped before its last reply, the agent is told to stop.
pub(super) struct Channel {
    client: Client,
    session: u32,
    number: u32,
}

impl Channel {
    fn shared(&self) -> &Shared {
        &self.client.0.shared
    }

    fn check(&self, state: &State) -> Result<(), LinkError> {
        if state.link.session() == Some(self.session) {
            Ok(())
        } else {
            Err(LinkError::Closed { channel: self.number })
        }
    }

    /// Does something with the link, unless the session is over.
    fn with<T>(&self, act: impl FnOnce(&mut State) -> Result<T, LinkError>) -> Result<T, LinkError> {
        self.shared().wish(|state| {
            self.check(state)?;
            act(state)
        })
    }

    async fn wait_for<T>(
        &self,
        mut look: impl FnMut(&mut State) -> Result<Option<T>, LinkError>,
    ) -> Result<T, ClientError> {
        self.shared()
            .wait_for(|state| {
                let looked = self.check(state).and_then(|()| look(state));
                looked.map_err(Into::into).transpose()
            })
            .await
    }

    /// The next reply; a failure is an error.
    pub(super) async fn reply(&self) -> Result<Reply, ClientError> {
        match self.wait_for(|state| state.inbox.reply(self.number)).await? {
            Reply::Failed(failure) => Err(failure.into()),
            reply => Ok(reply),
        }
    }

    /// Says something more, as soon as there is room.
    pub(super) async fn follow_up(&self, request: &Request) -> Result<(), ClientError> {
        let say = |state: &mut State| match state.link.follow_up(self.number, request) {
            Err(LinkError::Busy { .. }) => Ok(None),
            said => said.map(Some),
        };
        self.wait_for(say).await
    }

    /// Writes all of it, and waits for room.
    pub(super) async fn write_all(&self, port: Port, mut bytes: &[u8]) -> Result<(), ClientError> {
        while !bytes.is_empty() {
            let write = |state: &mut State| {
                let taken = state.link.write(self.number, port, bytes)?;
                Ok((taken > 0).then_some(taken))
            };
            let taken = self.wait_for(write).await?;
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    pub(super) fn end(&self, port: Port) -> Result<(), LinkError> {
        self.with(|state| state.link.end(self.number, port))
    }

    /// Up to `most` bytes of a stream; none at its end.
    pub(super) async fn read(&self, port: Port, most: usize) -> Result<Option<Vec<u8>>, ClientError> {
        let read = |state: &mut State| {
            Ok(match state.link.read(self.number, port, most)? {
                Read::Bytes(bytes) => Some(Some(bytes)),
                Read::End => Some(None),
                Read::Pending => None,
            })
        };
        self.wait_for(read).await
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let cancelled = self.with(|state| {
            if state.inbox.forget(self.number) {
                state.link.follow_up(self.number, &Request::Cancel)?;
            }
            state.link.close(self.number);
            Ok(())
        });
        // The session has ended, and all that the agent did with it; or the line is so full that the agent hears of the
        // end of the channel alone.
        if cancelled.is_err() {
            let _ = self.with(|state| {
                state.link.close(self.number);
                Ok(())
            });
        }
    }
}
