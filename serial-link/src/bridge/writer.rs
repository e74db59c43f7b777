use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::event::Event;
use super::shared::Shared;

/// The one who may write. It is given back when this is dropped.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    id: u64,
    requests: mpsc::Receiver<Request>,
}

/// Who may write, as the bridge knows him.
#[derive(Debug)]
pub(super) struct Holder {
    id: u64,
    pub(super) name: String,
    requests: mpsc::Sender<Request>,
}

/// Somebody else may write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{holder} has the input, and there is one writer at a time")]
pub struct Busy {
    /// Who.
    pub holder: String,
}

/// The one who may write does not hand it over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// He said no, or has too many requests to look at.
    #[error("{holder} keeps the input")]
    Refused {
        /// Who.
        holder: String,
    },
    /// The bridge is gone.
    #[error("the bridge is closed")]
    Closed,
}

/// Bytes that were not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The input was handed over.
    #[error("{} has the input now", by.as_deref().unwrap_or("nobody"))]
    TakenOver {
        /// Who has it, unless he has given it back.
        by: Option<String>,
    },
    /// The bridge is gone.
    #[error("the bridge is closed")]
    Closed,
}

/// Somebody asks for the input. Dropping this says no.
#[derive(Debug)]
pub struct Request {
    /// Who asks.
    pub name: String,
    shared: Arc<Shared>,
    answer: oneshot::Sender<Writer>,
}

const REQUESTS: usize = 8;

impl Writer {
    /// The input, if nobody has it.
    pub(super) fn take(shared: &Arc<Shared>, name: &str) -> Result<Self, Busy> {
        let mut state = shared.state();
        if let Some(holder) = &state.holder {
            return Err(Busy {
                holder: holder.name.clone(),
            });
        }
        let id = state.id();
        let (holder, writer) = Self::pair(shared, id, name);
        state.holder = Some(holder);
        drop(state);
        shared.tell(Event::Writer {
            name: Some(name.into()),
        });
        Ok(writer)
    }

    fn pair(shared: &Arc<Shared>, id: u64, name: &str) -> (Holder, Self) {
        let (sender, requests) = mpsc::channel(REQUESTS);
        let holder = Holder {
            id,
            name: name.into(),
            requests: sender,
        };
        let writer = Self {
            shared: shared.clone(),
            id,
            requests,
        };
        (holder, writer)
    }

    /// Waits until the one who may write hands over or leaves.
    pub(super) async fn ask(shared: &Arc<Shared>, name: &str) -> Result<Self, AskError> {
        loop {
            if shared.progress.borrow().closed {
                return Err(AskError::Closed);
            }
            if let Ok(writer) = Self::take(shared, name) {
                return Ok(writer);
            }
            let (answer, answered) = oneshot::channel();
            let (id, holder, sent) = {
                let state = shared.state();
                let Some(holder) = &state.holder else { continue };
                let request = Request {
                    name: name.into(),
                    shared: shared.clone(),
                    answer,
                };
                // A request that is dropped here answers itself, and locks nothing.
                (
                    holder.id,
                    holder.name.clone(),
                    holder.requests.try_send(request).is_ok(),
                )
            };
            if sent && let Ok(writer) = answered.await {
                return Ok(writer);
            }
            if shared.state().holder.as_ref().is_some_and(|now| now.id == id) {
                return Err(AskError::Refused { holder });
            }
        }
    }

    /// Sends bytes to the guest, in order, as soon as the port is open and takes them. Large pieces are split.
    ///
    /// It returns when the bytes are on their way. A connection that breaks can take some with it; those that were not yet
    /// given to it go to the next.
    pub async fn write(&self, bytes: &[u8]) -> Result<(), WriteError> {
        for piece in bytes.chunks(PIECE) {
            let permit = self.shared.input.reserve().await.map_err(|_| WriteError::Closed)?;
            if self.shared.progress.borrow().closed {
                return Err(WriteError::Closed);
            }
            // Under the lock, so that nothing of the old writer comes behind the first of the new one.
            let state = self.shared.state();
            match &state.holder {
                Some(holder) if holder.id == self.id => permit.send(Bytes::copy_from_slice(piece)),
                holder => {
                    return Err(WriteError::TakenOver {
                        by: holder.as_ref().map(|holder| holder.name.clone()),
                    });
                }
            }
        }
        Ok(())
    }

    /// Says no to everybody who asks for the input from now on.
    pub fn keep(&mut self) {
        self.requests.close();
        while self.requests.try_recv().is_ok() {}
    }

    /// The next who asks for the input; none when it is not this one's to give any more.
    pub async fn asked(&mut self) -> Option<Request> {
        self.requests.recv().await
    }
}

const PIECE: usize = 4096;

impl Drop for Writer {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if state.holder.as_ref().is_none_or(|holder| holder.id != self.id) {
            return;
        }
        let left = state.holder.take();
        drop(state);
        drop(left);
        self.shared.tell(Event::Writer { name: None });
    }
}

impl Request {
    /// Hands the input over: what the former writer writes after this is an error for him.
    pub fn grant(self) {
        let mut state = self.shared.state();
        let id = state.id();
        let (holder, writer) = Writer::pair(&self.shared, id, &self.name);
        let former = state.holder.replace(holder);
        drop(state);
        drop(former);
        self.shared.tell(Event::Writer { name: Some(self.name) });
        // One who does not wait any more gives it back by that.
        drop(self.answer.send(writer));
    }

    /// Says no.
    pub fn refuse(self) {}
}
