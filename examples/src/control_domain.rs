//! The flags by which tools log in to the control domains of hosts.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as Lock, PoisonError};

use anyhow::{Context, ensure};
use clap::Args;
use dom0::{Auth, Decision, Dom0, Host, HostKeys, RemoteStream, Secret, Target, UnknownKey};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::{Printable, note};

/// How to log in to control domains over SSH: with the agent's keys and those in `~/.ssh`, unless said.
///
/// A password comes from the environment variable `XENAPI_SSH_PASSWORD` or from a prompt, never from the command line. It
/// is asked for once, whatever the number of logins.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
#[command(next_help_heading = "Control domain")]
pub struct ControlDomain {
    /// Who logs in, where the host's name says nobody; otherwise root
    #[arg(long, global = true, value_name = "USER")]
    ssh_user: Option<String>,
    /// The port of the hosts' SSH servers, where the host's name has none
    #[arg(long, global = true, value_name = "PORT", default_value_t = 22)]
    ssh_port: u16,
    /// A private key without a passphrase; one with a passphrase belongs in the agent
    #[arg(long, global = true, value_name = "FILE")]
    ssh_key: Option<PathBuf>,
    /// Log in with a password, from XENAPI_SSH_PASSWORD or a prompt
    #[arg(long, global = true)]
    ssh_password: bool,
    /// The keys of hosts, in place of ~/.ssh/known_hosts
    #[arg(long, global = true, value_name = "FILE")]
    ssh_known_hosts: Option<PathBuf>,
    /// Trust what an unknown host shows, and remember it
    #[arg(long, global = true)]
    ssh_accept_new: bool,
    /// Go through this host
    #[arg(long, global = true, value_name = "[USER@]HOST[:PORT]")]
    ssh_jump: Option<String>,
    /// Use the `ssh` program with all that its configuration says, in place of the built-in SSH
    #[cfg(unix)]
    #[arg(long, global = true, conflicts_with_all = ["ssh_key", "ssh_password", "ssh_known_hosts", "ssh_accept_new", "ssh_jump"])]
    ssh_program: bool,
}

impl ControlDomain {
    /// Logs in at a host: `[user@]host[:port]`.
    ///
    /// # Errors
    /// Where the host does not answer, is not known or lets nobody in.
    pub async fn connect(&self, host: &str) -> anyhow::Result<Dom0> {
        #[cfg(unix)]
        if self.ssh_program {
            let mut ssh = Dom0::with_ssh_program(host);
            if let Some(user) = &self.ssh_user {
                ssh = ssh.option("User", user);
            }
            if self.ssh_port != 22 {
                ssh = ssh.option("Port", &self.ssh_port.to_string());
            }
            return Ok(ssh.await?);
        }
        let mut place: Host = host.parse()?;
        if let Some(user) = self.ssh_user.as_ref().filter(|_| !host.contains('@')) {
            place = place.with_user(user);
        }
        if place.port() == 22 {
            place = place.with_port(self.ssh_port);
        }
        let connect = self.with_ways(Dom0::connect(place.to_string())).await?;
        let connect = match &self.ssh_jump {
            Some(jump) => connect.through(self.with_ways(Dom0::connect(jump)).await?),
            None => connect,
        };
        connect
            .await
            .with_context(|| format!("cannot log in to the control domain of {host}"))
    }

    async fn with_ways(&self, mut connect: dom0::Connect) -> anyhow::Result<dom0::Connect> {
        if let Some(key) = &self.ssh_key {
            connect = connect.auth(Auth::key_file(key));
        }
        if self.ssh_password {
            connect = connect.auth(Auth::password(password().await?));
        }
        let known = match &self.ssh_known_hosts {
            Some(file) => HostKeys::known_hosts(file),
            None => HostKeys::default(),
        };
        Ok(connect.host_keys(match self.ssh_accept_new {
            true => known.accept_new(),
            false => known.ask(decide),
        }))
    }
}

/// Nobody is asked any more, for whatever is left of the process: a question that is still open is answered with no.
///
/// For programs that have the terminal to themselves from here on, and for those that nobody sits at.
pub fn ask_no_more() {
    ASKS_NO_MORE.store(true, Ordering::Relaxed);
}

static ASKS_NO_MORE: AtomicBool = AtomicBool::new(false);

fn asks() -> bool {
    !ASKS_NO_MORE.load(Ordering::Relaxed)
}

/// The password, once it is known. Several logins at a time wait here for one answer.
static PASSWORD: Mutex<Option<Secret>> = Mutex::const_new(None);

async fn password() -> anyhow::Result<Secret> {
    let mut known = PASSWORD.lock().await;
    if let Some(password) = &*known {
        return Ok(password.clone());
    }
    let password = match std::env::var("XENAPI_SSH_PASSWORD") {
        Ok(password) => password,
        Err(_) => {
            ensure!(
                asks(),
                "no password: set XENAPI_SSH_PASSWORD, as nobody can be asked now"
            );
            rpassword::prompt_password("Password of the control domain: ")
                .context("no password: set XENAPI_SSH_PASSWORD or use a terminal")?
        }
    };
    Ok(known.insert(password.into()).clone())
}

/// Asks whoever sits at the terminal.
fn decide(key: &UnknownKey) -> Decision {
    let (input, mut err) = (io::stdin(), io::stderr());
    if !asks() || !input.is_terminal() || !err.is_terminal() {
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

type Session = Arc<Mutex<Option<Dom0>>>;

/// Sessions to control domains, one for each: made when it is first needed, and again when it was lost.
#[derive(Clone, Debug)]
pub struct Sessions {
    flags: ControlDomain,
    open: Arc<Lock<BTreeMap<String, Session>>>,
}

impl Sessions {
    /// None yet.
    pub fn new(flags: &ControlDomain) -> Self {
        Self {
            flags: flags.clone(),
            open: Arc::default(),
        }
    }

    /// Asks for what any login would need, unless it is known already.
    ///
    /// # Errors
    /// Where nobody can be asked.
    pub async fn prepare(&self) -> anyhow::Result<()> {
        if self.flags.ssh_password {
            password().await?;
        }
        Ok(())
    }

    /// The session to a host, `[user@]host[:port]`.
    ///
    /// # Errors
    /// Where nobody can log in.
    pub async fn to(&self, host: &str) -> anyhow::Result<Dom0> {
        let place = self.place(host);
        let mut known = place.lock().await;
        if let Some(dom0) = known.as_ref().filter(|dom0| !dom0.is_lost()) {
            return Ok(dom0.clone());
        }
        Ok(known.insert(self.flags.connect(host).await?).clone())
    }

    /// Connects to a socket as a host sees it. A session that turns out to be lost is made again, once.
    ///
    /// # Errors
    /// Where nobody can log in, or nothing answers there.
    pub async fn open(&self, host: &str, target: &Target) -> anyhow::Result<RemoteStream> {
        match self.to(host).await?.open(target).await {
            Err(error) if error.is_lost() => {
                *self.place(host).lock().await = None;
                Ok(self.to(host).await?.open(target).await?)
            }
            opened => Ok(opened?),
        }
    }

    /// One host that does not answer holds up none of the others.
    fn place(&self, host: &str) -> Session {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.entry(host.to_owned()).or_default().clone()
    }
}
