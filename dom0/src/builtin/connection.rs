use std::sync::{Arc, OnceLock};

use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelOpenFailure};

use super::handshake::Session;
use crate::{Error, Host, Target};

/// One SSH connection, logged in.
pub(super) struct Connection {
    pub(super) handle: Session,
    pub(super) host: Host,
    pub(super) lost: Arc<OnceLock<String>>,
    pub(super) _through: Option<Arc<Self>>,
}

/// Why a socket could not be opened.
pub(super) enum Refusal {
    /// The server does not allow it, or does not know it.
    Forbidden,
    /// Nothing answers there; servers say so of unix sockets that they forbid as well.
    Unreachable(String),
    Lost(Error),
}

impl Refusal {
    pub(super) fn into_error(self, host: &Host, target: Target) -> Error {
        let host = host.to_string();
        match self {
            Self::Lost(error) => error,
            Self::Unreachable(reason) => Error::Unreachable { host, target, reason },
            Self::Forbidden => Error::Unreachable {
                host,
                target,
                reason: "forwarding is forbidden (AllowTcpForwarding)".into(),
            },
        }
    }
}

impl Connection {
    pub(super) fn is_lost(&self) -> bool {
        self.handle.is_closed()
    }

    pub(super) fn lost(&self) -> Error {
        let reason = self.lost.get().map_or("the host hung up", String::as_str).to_owned();
        Error::Lost {
            host: self.host.to_string(),
            reason,
        }
    }

    /// A channel in which a command runs.
    pub(super) async fn exec(&self, line: Vec<u8>) -> Result<Channel<Msg>, Error> {
        let refused = |reason: &str| Error::Refused {
            host: self.host.to_string(),
            what: "to run a command".into(),
            reason: reason.into(),
        };
        let mut channel = self.handle.channel_open_session().await.map_err(|error| match error {
            russh::Error::ChannelOpenFailure(failure) => refused(&said(failure)),
            _ => self.lost(),
        })?;
        channel.exec(true, line).await.map_err(|_| self.lost())?;
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Success) => return Ok(channel),
                Some(ChannelMsg::Failure) => return Err(refused("this user may not")),
                Some(_) => {}
                None => return Err(self.lost()),
            }
        }
    }

    /// A channel that is a connection to a socket.
    pub(super) async fn open(&self, target: &Target) -> Result<Channel<Msg>, Refusal> {
        let channel = match target {
            Target::Tcp { host, port } => {
                self.handle
                    .channel_open_direct_tcpip(host.as_str(), (*port).into(), "127.0.0.1", 0)
                    .await
            }
            Target::Unix { path } => self.handle.channel_open_direct_streamlocal(path.as_str()).await,
        };
        channel.map_err(|error| match error {
            russh::Error::ChannelOpenFailure(
                ChannelOpenFailure::AdministrativelyProhibited | ChannelOpenFailure::UnknownChannelType,
            ) => Refusal::Forbidden,
            russh::Error::ChannelOpenFailure(failure) => Refusal::Unreachable(said(failure)),
            _ => Refusal::Lost(self.lost()),
        })
    }
}

fn said(failure: ChannelOpenFailure) -> String {
    match failure {
        ChannelOpenFailure::AdministrativelyProhibited => "administratively prohibited".into(),
        ChannelOpenFailure::ConnectFailed => "nobody answers there".into(),
        ChannelOpenFailure::UnknownChannelType => "it does not know how".into(),
        ChannelOpenFailure::ResourceShortage => "it is short of resources".into(),
        ChannelOpenFailure::Other { reason, .. } => reason,
    }
}
