use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::keys::{PrivateKey, PublicKey};

use crate::auth::Auth;
use crate::{Host, HostKeys};

/// All it takes to connect to a host, as often as need be.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) host: Host,
    pub(crate) auth: Vec<Auth>,
    pub(crate) host_keys: HostKeys,
    pub(crate) through: Option<Box<Self>>,
    pub(crate) timeout: Duration,
    pub(crate) keepalive: Option<Keepalive>,
    pub(crate) memory: Memory,
}

/// After how much silence the host is asked for a sign of life, and how many questions may stay unanswered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keepalive {
    pub(crate) interval: Duration,
    pub(crate) unanswered: u16,
}

/// What the first connection has found out and the next ones need not ask for again.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    trusted: Mutex<Option<PublicKey>>,
    opened: Mutex<Vec<(PathBuf, Arc<PrivateKey>)>>,
}

impl Memory {
    pub(crate) fn trusted(&self) -> Option<PublicKey> {
        self.trusted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn trust(&self, key: PublicKey) {
        *self.trusted.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }

    pub(crate) fn opened(&self, file: &Path) -> Option<Arc<PrivateKey>> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened
            .iter()
            .find(|(known, _)| known == file)
            .map(|(_, key)| key.clone())
    }

    pub(crate) fn open(&self, file: &Path, key: Arc<PrivateKey>) {
        self.opened
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((file.to_owned(), key));
    }
}
