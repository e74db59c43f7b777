//! The flags by which tools log in to the control domains of hosts.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use dom0::{Auth, Decision, Dom0, Host, HostKeys, UnknownKey};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::{Printable, note};

/// How to log in to control domains over SSH: with the agent's keys and those in `~/.ssh`, unless said.
///
/// A password comes from the environment variable `XENAPI_SSH_PASSWORD` or from a prompt, never from the command line.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
#[command(next_help_heading = "Control domain")]
pub struct ControlDomain {
    /// A private key without a passphrase; one with a passphrase belongs in the agent
    #[arg(long, global = true, value_name = "FILE")]
    ssh_key: Option<PathBuf>,
    /// Log in with a password, from XENAPI_SSH_PASSWORD or a prompt
    #[arg(long, global = true)]
    ssh_password: bool,
    /// The keys of hosts, in place of ~/.ssh/known_hosts
    #[arg(long, global = true, value_name = "FILE")]
    ssh_known_hosts: Option<PathBuf>,
    /// Go through this host
    #[arg(long, global = true, value_name = "[USER@]HOST[:PORT]")]
    ssh_jump: Option<String>,
    /// Use the `ssh` program with all that its configuration says, in place of the built-in SSH
    #[cfg(unix)]
    #[arg(long, global = true, conflicts_with_all = ["ssh_key", "ssh_password", "ssh_known_hosts", "ssh_jump"])]
    ssh_program: bool,
}

impl ControlDomain {
    /// Logs in, unless there is a session to this host already: `[user@]host[:port]`.
    ///
    /// # Errors
    /// Where the host does not answer, is not known or lets nobody in.
    pub async fn connect(&self, host: &str) -> anyhow::Result<Dom0> {
        #[cfg(unix)]
        if self.ssh_program {
            return Ok(Dom0::with_ssh_program(host).await?);
        }
        let connect = self.with_ways(Dom0::connect(host))?;
        let connect = match &self.ssh_jump {
            Some(jump) => connect.through(self.with_ways(Dom0::connect(jump))?),
            None => connect,
        };
        connect
            .await
            .with_context(|| format!("cannot log in to the control domain of {host}"))
    }

    fn with_ways(&self, mut connect: dom0::Connect) -> anyhow::Result<dom0::Connect> {
        if let Some(key) = &self.ssh_key {
            connect = connect.auth(Auth::key_file(key));
        }
        if self.ssh_password {
            connect = connect.auth(Auth::password(password()?));
        }
        let known = match &self.ssh_known_hosts {
            Some(file) => HostKeys::known_hosts(file),
            None => HostKeys::default(),
        };
        Ok(connect.host_keys(known.ask(decide)))
    }
}

fn password() -> anyhow::Result<String> {
    match std::env::var("XENAPI_SSH_PASSWORD") {
        Ok(password) => Ok(password),
        Err(_) => rpassword::prompt_password("Password of the control domain: ")
            .context("no password: set XENAPI_SSH_PASSWORD or use a terminal"),
    }
}

/// Asks whoever sits at the terminal.
fn decide(key: &UnknownKey) -> Decision {
    let (input, mut err) = (io::stdin(), io::stderr());
    if !input.is_terminal() || !err.is_terminal() {
        return Decision::Refuse;
    }
    let (host, fingerprint) = (key.host.to_string(), &key.fingerprint);
    note(format!(
        "{} is not known. It shows the {} key {fingerprint}; the host's console shows its own under \
         /etc/ssh.",
        Printable(&host),
        Printable(&key.algorithm),
    ));
    // Where it cannot be asked, nothing is answered either.
    let _ = write!(err, "Remember it and log in? [y/N] ").and_then(|()| err.flush());
    let mut answer = String::new();
    match input.read_line(&mut answer) {
        Ok(_) if answer.trim().eq_ignore_ascii_case("y") => Decision::Remember,
        _ => Decision::Refuse,
    }
}

/// Sessions to control domains, one for each.
#[derive(Clone, Debug)]
pub struct Sessions {
    flags: ControlDomain,
    open: Arc<Mutex<BTreeMap<String, Dom0>>>,
}

impl Sessions {
    /// None yet.
    pub fn new(flags: &ControlDomain) -> Self {
        Self {
            flags: flags.clone(),
            open: Arc::default(),
        }
    }

    /// The session to a host, which is made where there is none that works: `[user@]host[:port]`.
    ///
    /// # Errors
    /// Where nobody can log in.
    pub async fn to(&self, host: &str) -> anyhow::Result<Dom0> {
        let mut open = self.open.lock().await;
        if let Some(dom0) = open.get(host).filter(|dom0| !dom0.is_lost()) {
            return Ok(dom0.clone());
        }
        let dom0 = self.flags.connect(host).await?;
        open.insert(host.to_owned(), dom0.clone());
        Ok(dom0)
    }
}

/// A host's address as pools tell it, for SSH.
pub(crate) fn ssh_address(address: &str) -> String {
    Host::new(address).to_string()
}
