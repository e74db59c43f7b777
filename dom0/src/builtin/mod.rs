//! The built-in backend, over russh; nothing of that crate is seen outside of this folder and the host keys.
//!
//! russh opens a channel's window again as soon as bytes arrive, and stops reading the whole connection when a channel is
//! not read. So every stream has a connection of its own, and only commands whose output is collected share one: nobody
//! who reads slowly holds up anybody else.

mod connect;
mod connection;
mod handshake;
mod login;
mod plan;
mod pump;

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

pub use connect::Connect;
use connection::{Connection, Refusal};
use plan::Plan;

use crate::backend::Opened;
use crate::ends::Ends;
use crate::{Error, Host, Target};

pub(crate) struct Builtin {
    plan: Plan,
    control: Arc<Connection>,
    control_channels: Arc<Semaphore>,
    idle: Idle,
}

type Idle = Arc<Mutex<Vec<Arc<Connection>>>>;

/// OpenSSH allows ten channels to a connection, and counts those that close for a moment longer than the others open.
const CONTROL_CHANNELS: usize = 5;

/// Connections without a stream that are kept for the next one.
const MOST_IDLE: usize = 2;

impl Builtin {
    async fn connect(plan: Plan) -> Result<Self, Error> {
        let control = Arc::new(handshake::connect(&plan).await?);
        let control_channels = Arc::new(Semaphore::new(CONTROL_CHANNELS));
        Ok(Self {
            plan,
            control,
            control_channels,
            idle: Arc::default(),
        })
    }

    pub(crate) fn host(&self) -> &Host {
        &self.plan.host
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.control.is_lost()
    }

    /// Runs a command whose output is collected at once.
    pub(crate) async fn control(&self, line: Vec<u8>) -> Result<Ends, Error> {
        // The semaphore is never closed.
        let permit = self
            .control_channels
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| self.control.lost())?;
        match self.control.exec(line.clone()).await {
            Ok(channel) => {
                let shared = Shared {
                    connection: self.control.clone(),
                    _permit: permit,
                };
                Ok(pump::command(channel, shared))
            }
            // Commands that were given up while they ran are counted until they end.
            Err(Error::Refused { .. }) => self.exec(line).await,
            Err(error) => Err(error),
        }
    }

    /// Runs a command whose output is read at leisure.
    pub(crate) async fn exec(&self, line: Vec<u8>) -> Result<Ends, Error> {
        let lease = self.lease().await?;
        let channel = lease.connection.exec(line).await?;
        Ok(pump::command(channel, lease))
    }

    pub(crate) async fn open(&self, target: &Target) -> Result<Opened, Error> {
        let lease = self.lease().await?;
        match lease.connection.open(target).await {
            Ok(channel) => Ok(Opened::Stream(pump::stream(channel, lease))),
            Err(Refusal::Forbidden) => Ok(Opened::Forbidden(None)),
            Err(Refusal::Unreachable(reason)) if matches!(target, Target::Unix { .. }) => {
                Ok(Opened::Forbidden(Some(reason)))
            }
            Err(refusal) => Err(refusal.into_error(self.host(), target.clone())),
        }
    }

    async fn lease(&self) -> Result<Lease, Error> {
        if self.is_lost() {
            return Err(self.control.lost());
        }
        let idle = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain(|connection| !connection.is_lost());
            idle.pop()
        };
        let connection = match idle {
            Some(connection) => connection,
            None => Arc::new(handshake::connect(&self.plan).await?),
        };
        Ok(Lease {
            connection,
            idle: Some(self.idle.clone()),
        })
    }
}

/// A connection for one stream, which goes back to the idle ones unless something still runs there.
struct Lease {
    connection: Arc<Connection>,
    idle: Option<Idle>,
}

impl pump::Hold for Lease {
    fn connection(&self) -> &Connection {
        &self.connection
    }

    fn given_up(&mut self) {
        self.idle = None;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(idle) = &self.idle else { return };
        let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE && !self.connection.is_lost() {
            idle.push(self.connection.clone());
        }
    }
}

/// A channel of the connection that collected commands share.
struct Shared {
    connection: Arc<Connection>,
    _permit: tokio::sync::OwnedSemaphorePermit,
}

impl pump::Hold for Shared {
    fn connection(&self) -> &Connection {
        &self.connection
    }
}
