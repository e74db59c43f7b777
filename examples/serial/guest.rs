//! The agent in a guest.

use std::path::PathBuf;
use std::time::Duration;

#[cfg(unix)]
use anyhow::ensure;
use anyhow::{Context as _, bail};
use clap::Args;
use serial_link::link::{Client, Config, Entropy, Secret};
use serial_link::reach::MEETING;
use xenapi_examples::settings;

use crate::Ways;
use crate::place::{By, Place, Wanted};

/// How the agent is talked to.
#[derive(Args)]
#[command(next_help_heading = "Agent")]
pub(crate) struct Guest {
    /// The secret that the agent has; without it, serial-secret in the folder of pools.toml
    #[arg(long, value_name = "FILE")]
    secret: Option<PathBuf>,
    /// What carries it
    #[arg(long, value_enum, default_value_t = By::Port)]
    by: By,
    /// For xenstore and pool: the folder of xenstore that the agent was given
    #[arg(long, value_name = "FOLDER", default_value = MEETING)]
    xenstore_folder: String,
    /// How long the agent may take to answer
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    patience: u64,
    /// Show what else comes from the guest, such as boot messages, on standard error
    #[arg(long)]
    console: bool,
}

impl Guest {
    /// Does some work with what carries the link.
    pub(crate) async fn with<T>(
        &self,
        wanted: &Wanted,
        ways: &Ways<'_>,
        work: impl AsyncFnOnce(Place) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        wanted.with_agent(ways, self.by, &self.xenstore_folder, work).await
    }

    /// Finds the agent at the end of a line.
    pub(crate) async fn connect(&self, place: &Place) -> anyhow::Result<Client> {
        let secret = self.read_secret().await?;
        let show = self.console;
        let client = Client::start(&place.bridge, Config::new(secret, Entropy::system()?), move |text| {
            if show {
                eprint!("{}", String::from_utf8_lossy(text));
            }
        })?;
        let found = client.connected(Duration::from_secs(self.patience)).await;
        let status = place.bridge.status();
        match (found, status.last_error) {
            (Err(_), Some(reason)) if !status.connected && place.may_be_bridge => bail!(
                "{reason}; if a bridge is there, another program may have its input, which the bridge tells on its standard \
                 error"
            ),
            (Err(_), Some(reason)) if !status.connected => bail!(reason),
            (found, _) => found.with_context(|| place.name.clone())?,
        }
        Ok(client)
    }

    async fn read_secret(&self) -> anyhow::Result<Secret> {
        let standard = || settings().map(|folder| folder.join("serial-secret"));
        let file = self.secret.clone().or_else(standard);
        let file = file.context("which secret? say --secret FILE: a copy of the agent's /etc/serial-agent/secret")?;
        let read = tokio::fs::read(&file).await;
        let read = read.with_context(|| {
            format!(
                "the secret {} cannot be read; it is a copy of the agent's /etc/serial-agent/secret",
                file.display()
            )
        })?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let open = tokio::fs::metadata(&file).await?.permissions().mode() & 0o077 != 0;
            ensure!(
                !open,
                "others may read {}: run `chmod 600` on it, and change the secret at both ends",
                file.display()
            );
        }
        Secret::new(read).with_context(|| format!("{} is no secret", file.display()))
    }
}

/// So long a guest gets to hear that something was cancelled.
pub(crate) const PARTING: Duration = Duration::from_secs(1);
