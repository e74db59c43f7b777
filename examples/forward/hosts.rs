//! One SSH session a host, made when it is first needed and again when it was lost.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex as Lock, PoisonError};

use clap::Args;
use dom0::{Auth, Dom0, Error, Host, HostKeys, RemoteStream, Target};
use tokio::sync::Mutex;

/// The agent and the keys in `~/.ssh` are tried unless one is named; a password comes from `FORWARD_PASSWORD`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "SSH to the hosts")]
pub(crate) struct SshFlags {
    /// Who logs in at the hosts; a password comes from FORWARD_PASSWORD
    #[arg(long, value_name = "USER", default_value = "root")]
    ssh_user: String,
    /// The port of the hosts' SSH servers
    #[arg(long, value_name = "PORT", default_value_t = 22)]
    ssh_port: u16,
    /// Log in with this private key; otherwise with the agent and the keys in ~/.ssh
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// The file of the hosts' keys; otherwise ~/.ssh/known_hosts
    #[arg(long, value_name = "FILE")]
    ssh_known_hosts: Option<PathBuf>,
    /// Trust what an unknown host shows, and remember it
    #[arg(long)]
    accept_new: bool,
}

type Session = Arc<Mutex<Option<Dom0>>>;

/// The sessions, by the address of the host.
#[derive(Debug)]
pub(crate) struct Hosts {
    flags: SshFlags,
    sessions: Lock<HashMap<String, Session>>,
}

impl Hosts {
    pub(crate) fn new(flags: SshFlags) -> Self {
        Self {
            flags,
            sessions: Lock::default(),
        }
    }

    /// Connects to a socket as a host sees it. A session that was lost in the meantime is made again, once.
    pub(crate) async fn open(&self, host: &str, target: &Target) -> Result<RemoteStream, Error> {
        match self.session(host).await?.open(target).await {
            Err(error) if error.is_lost() => {
                *self.place(host).lock().await = None;
                self.session(host).await?.open(target).await
            }
            opened => opened,
        }
    }

    fn place(&self, host: &str) -> Session {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.entry(host.to_owned()).or_default().clone()
    }

    async fn session(&self, host: &str) -> Result<Dom0, Error> {
        let place = self.place(host);
        let mut known = place.lock().await;
        if let Some(dom0) = known.as_ref().filter(|dom0| !dom0.is_lost()) {
            return Ok(dom0.clone());
        }
        Ok(known.insert(self.connect(host).await?).clone())
    }

    async fn connect(&self, host: &str) -> Result<Dom0, Error> {
        let flags = &self.flags;
        let host = Host::new(host).with_user(&flags.ssh_user).with_port(flags.ssh_port);
        let keys = flags.ssh_known_hosts.as_ref();
        let mut keys = keys.map_or_else(HostKeys::default, HostKeys::known_hosts);
        if flags.accept_new {
            keys = keys.accept_new();
        }
        let mut connect = Dom0::connect(host.to_string()).host_keys(keys);
        if let Some(file) = &flags.identity {
            connect = connect.auth(Auth::key_file(file));
        }
        if let Ok(password) = std::env::var("FORWARD_PASSWORD") {
            connect = connect.auth(Auth::password(password));
        }
        connect.await
    }
}
