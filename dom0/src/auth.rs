use std::path::{Path, PathBuf};

use crate::Secret;

/// One way to prove who one is. Several are tried in the order given.
#[derive(Debug, Clone)]
pub struct Auth(pub(crate) Method);

#[derive(Debug, Clone)]
pub(crate) enum Method {
    /// None: the one that SSH_AUTH_SOCK names.
    Agent(Option<PathBuf>),
    KeyFile {
        file: PathBuf,
        passphrase: Option<Secret>,
    },
    Password(Secret),
}

impl Auth {
    /// The keys of the agent that `SSH_AUTH_SOCK` names.
    pub fn agent() -> Self {
        Self(Method::Agent(None))
    }

    /// The keys of the agent at a socket.
    pub fn agent_at(socket: impl Into<PathBuf>) -> Self {
        Self(Method::Agent(Some(socket.into())))
    }

    /// A private key without a passphrase.
    pub fn key_file(file: impl Into<PathBuf>) -> Self {
        Self(Method::KeyFile {
            file: file.into(),
            passphrase: None,
        })
    }

    /// A private key with a passphrase.
    pub fn encrypted_key_file(file: impl Into<PathBuf>, passphrase: impl Into<Secret>) -> Self {
        Self(Method::KeyFile {
            file: file.into(),
            passphrase: Some(passphrase.into()),
        })
    }

    /// A password; it is given as the answer to a lone prompt as well, where a host insists on asking.
    pub fn password(password: impl Into<Secret>) -> Self {
        Self(Method::Password(password.into()))
    }

    /// What `ssh` tries by itself: the agent, then the keys in `~/.ssh`.
    pub(crate) fn usual() -> Vec<Self> {
        let agent = std::env::var_os("SSH_AUTH_SOCK").map(|_| Self::agent());
        let files = ["id_ed25519", "id_ecdsa", "id_rsa"].map(crate::home::ssh_file);
        let files = files.into_iter().filter(|file| Path::exists(file)).map(Self::key_file);
        agent.into_iter().chain(files).collect()
    }
}
