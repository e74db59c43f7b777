//! From a host to a connection whose key is trusted.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use russh::client::{self, DisconnectReason, Handle};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Preferred, cipher};
use tokio::net::TcpStream;

use super::connection::Connection;
use super::login::login;
use super::plan::Plan;
use crate::host_keys::{Decision, fingerprint};
use crate::stream::QUEUE;
use crate::{Error, Target};

pub(super) async fn connect(plan: &Plan) -> Result<Connection, Error> {
    let shown = Arc::default();
    let connection = match hello(plan, &shown).await {
        Err(Rejected::Unknown) => {
            let key = shown.lock().unwrap_or_else(PoisonError::into_inner).take();
            let key = key.ok_or_else(|| Error::UnknownHostKey {
                host: plan.host.to_string(),
                fingerprint: None,
            })?;
            match plan.host_keys.decide(&plan.host, &key).await? {
                Decision::Refuse => {
                    let fingerprint = Some(fingerprint(&key));
                    return Err(Error::UnknownHostKey {
                        host: plan.host.to_string(),
                        fingerprint,
                    });
                }
                Decision::Once => {}
                Decision::Remember => plan.host_keys.remember(&plan.host, &key)?,
            }
            // A person may have thought about it for longer than the host waits.
            plan.memory.trust(key);
            hello(plan, &shown).await
        }
        first => first,
    };
    let mut connection = connection.map_err(|rejected| match rejected {
        Rejected::Error(error) => error,
        Rejected::Unknown => Error::UnknownHostKey {
            host: plan.host.to_string(),
            fingerprint: None,
        },
    })?;
    if let Some(key) = shown.lock().unwrap_or_else(PoisonError::into_inner).take() {
        plan.memory.trust(key);
    }
    login(&mut connection, plan).await?;
    Ok(connection)
}

enum Rejected {
    Error(Error),
    Unknown,
}

impl From<Error> for Rejected {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

async fn hello(plan: &Plan, shown: &Arc<Mutex<Option<PublicKey>>>) -> Result<Connection, Rejected> {
    let config = Arc::new(config(plan)?);
    let lost = Arc::new(OnceLock::new());
    let gate = Gate {
        host: plan.host.clone(),
        host_keys: plan.host_keys.clone(),
        trusted: plan.memory.trusted(),
        shown: shown.clone(),
        lost: lost.clone(),
    };
    let late = |doing| Error::Timeout {
        host: plan.host.to_string(),
        limit: plan.timeout,
        doing,
    };
    let (handle, through) = match &plan.through {
        None => {
            let address = (plan.host.name(), plan.host.port());
            let socket = tokio::time::timeout(plan.timeout, TcpStream::connect(address));
            let socket = socket.await.map_err(|_| late("connecting"))?;
            let socket = socket
                .and_then(|socket| socket.set_nodelay(true).map(|()| socket))
                .map_err(|error| Error::Connect {
                    host: plan.host.to_string(),
                    reason: error.to_string(),
                })?;
            (
                tokio::time::timeout(plan.timeout, client::connect_stream(config, socket, gate)).await,
                None,
            )
        }
        Some(jump) => {
            let jump = Arc::new(Box::pin(connect(jump)).await?);
            let target = Target::tcp(plan.host.name(), plan.host.port());
            let socket = tokio::time::timeout(plan.timeout, jump.open(&target));
            let socket = socket.await.map_err(|_| late("connecting through the jump host"))?;
            let socket = socket.map_err(|refusal| refusal.into_error(&jump.host, target))?;
            let socket = super::pump::stream(socket, jump.clone());
            (
                tokio::time::timeout(plan.timeout, client::connect_stream(config, socket, gate)).await,
                Some(jump),
            )
        }
    };
    match handle.map_err(|_| late("agreeing on keys"))? {
        Ok(handle) => Ok(Connection {
            handle,
            host: plan.host.clone(),
            lost,
            _through: through,
        }),
        Err(GateError::Key(error)) => Err(Rejected::Error(*error)),
        Err(GateError::Ssh(russh::Error::UnknownKey)) => Err(Rejected::Unknown),
        Err(GateError::Ssh(error)) => {
            let reason = match error {
                russh::Error::HUP | russh::Error::Disconnect => "it hung up".into(),
                other => other.to_string(),
            };
            Err(Error::Handshake {
                host: plan.host.to_string(),
                reason,
            }
            .into())
        }
    }
}

/// AES-GCM is the fastest by far where the processor knows AES, which all that run Xen do.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

fn config(plan: &Plan) -> Result<client::Config, Error> {
    let known = match plan.memory.trusted() {
        Some(key) => vec![key.algorithm()],
        None => plan.host_keys.algorithms(&plan.host)?,
    };
    // What is known is asked for first: a host with several keys shows the one that can be checked.
    let is_known = |algorithm: &Algorithm| match algorithm {
        Algorithm::Rsa { .. } => known.iter().any(|known| matches!(known, Algorithm::Rsa { .. })),
        other => known.contains(other),
    };
    let (mut algorithms, others): (Vec<_>, Vec<_>) = HOST_KEYS.iter().cloned().partition(is_known);
    algorithms.extend(others);
    Ok(client::Config {
        preferred: Preferred {
            key: Cow::Owned(algorithms),
            cipher: Cow::Borrowed(CIPHERS),
            ..Preferred::DEFAULT
        },
        channel_buffer_size: QUEUE,
        keepalive_interval: plan.keepalive.map(|keepalive| keepalive.interval),
        keepalive_max: plan.keepalive.map_or(0, |keepalive| keepalive.unanswered.into()),
        nodelay: true,
        ..client::Config::default()
    })
}

/// Without the oldest, whose signatures are of SHA-1.
const HOST_KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP521,
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha256),
    },
];

/// Lets in the hosts whose keys are trusted, and keeps the reason why the connection ended.
pub(super) struct Gate {
    host: crate::Host,
    host_keys: crate::HostKeys,
    trusted: Option<PublicKey>,
    shown: Arc<Mutex<Option<PublicKey>>>,
    lost: Arc<OnceLock<String>>,
}

#[derive(Debug)]
pub(super) enum GateError {
    Ssh(russh::Error),
    Key(Box<Error>),
}

impl From<russh::Error> for GateError {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

pub(super) type Session = Handle<Gate>;

impl client::Handler for Gate {
    type Error = GateError;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, GateError> {
        let key = key.public_key();
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(key.clone());
        if let Some(trusted) = &self.trusted {
            return match trusted.key_data() == key.key_data() {
                true => Ok(true),
                false => Err(GateError::Key(Box::new(Error::WrongHostKey {
                    host: self.host.to_string(),
                    expected: fingerprint(trusted),
                    found: fingerprint(&key),
                }))),
            };
        }
        self.host_keys
            .check(&self.host, &key)
            .map_err(|error| GateError::Key(Box::new(error)))
    }

    async fn disconnected(&mut self, reason: DisconnectReason<GateError>) -> Result<(), GateError> {
        let said = match &reason {
            DisconnectReason::ReceivedDisconnect(info) if info.message.is_empty() => format!("{:?}", info.reason_code),
            DisconnectReason::ReceivedDisconnect(info) => info.message.clone(),
            DisconnectReason::Error(GateError::Ssh(russh::Error::KeepaliveTimeout)) => {
                "the host answers no signs of life any more".into()
            }
            DisconnectReason::Error(GateError::Ssh(russh::Error::HUP)) => "the host hung up".into(),
            DisconnectReason::Error(GateError::Ssh(error)) => error.to_string(),
            DisconnectReason::Error(GateError::Key(error)) => error.to_string(),
        };
        // Only the first reason counts.
        let _ = self.lost.set(said);
        match reason {
            DisconnectReason::ReceivedDisconnect(_) => Ok(()),
            DisconnectReason::Error(error) => Err(error),
        }
    }
}
