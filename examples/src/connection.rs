//! The flags by which every tool finds its pool.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use xenapi::wire::Encoding;
use xenapi::{Client, Connect, SecretString};
use xenapi_sim::Simulator;

use crate::interrupt::Interrupt;
use crate::{Pool, note};

/// Where the pool is and how to log in. Without `--url` a simulated pool is made in this process.
///
/// The password comes from the environment variable `XENAPI_PASSWORD` or from a prompt, never from the command line,
/// where every user of the machine could read it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    // The variables are looked up where the flags are used, not by clap: what a shell's profile sets must neither
    // conflict with another flag nor ask for one.
    /// A host of the pool, for example https://10.0.0.2 [env: XENAPI_URL]; without it, a simulated pool
    #[arg(long, global = true)]
    url: Option<String>,
    /// The user to log in as; the password comes from XENAPI_PASSWORD or a prompt
    #[arg(long, global = true, env = "XENAPI_USER", default_value = "root")]
    user: String,
    /// Accept exactly the certificate with this SHA-256 fingerprint [env: XENAPI_PIN]
    #[arg(long, global = true, value_name = "FINGERPRINT", conflicts_with_all = ["ca", "known_hosts", "insecure"])]
    pin: Option<String>,
    /// Accept certificates of the authorities in this PEM file
    #[arg(long, global = true, value_name = "FILE", conflicts_with_all = ["known_hosts", "insecure"])]
    ca: Option<PathBuf>,
    /// Accept what the host shows first and remember it in this file
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "insecure")]
    known_hosts: Option<PathBuf>,
    /// Accept any certificate: whoever is on the way can read the password
    #[arg(long, global = true)]
    insecure: bool,
    /// Use this encoding only; otherwise JSON first
    #[arg(long, global = true)]
    encoding: Option<Wire>,
    /// How many VMs the simulated pool has
    #[arg(
        long,
        global = true,
        value_name = "COUNT",
        default_value_t = 40,
        conflicts_with = "url"
    )]
    simulated_vms: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Wire {
    Json,
    Xml,
}

impl Connection {
    /// The ids of the flags that make no sense without a pool.
    pub const FLAGS: [&str; 5] = ["url", "pin", "ca", "known_hosts", "insecure"];

    /// Logs in, runs a tool's work and logs out, however the work ended. `tool` is the name that the server sees.
    ///
    /// # Errors
    /// Where the login, the work or the logout fails.
    pub async fn run<T>(&self, tool: &str, work: impl AsyncFnOnce(&Pool) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let pool = self.open(tool).await?;
        let outcome = work(&pool).await;
        let closed = pool.close().await;
        if let Err(error) = &closed
            && outcome.is_err()
        {
            note(format!("{error:#}"));
        }
        let value = outcome?;
        closed.map(|()| value)
    }

    /// Whether the pool is a real one.
    pub fn is_real(&self) -> bool {
        self.url().is_some()
    }

    fn url(&self) -> Option<String> {
        self.url.clone().or_else(|| variable("XENAPI_URL"))
    }

    async fn open(&self, tool: &str) -> anyhow::Result<Pool> {
        let originator = format!("xenapi-examples-{tool}");
        let (url, simulated, connect, user, password) = match self.url() {
            Some(url) => {
                let connect = self.trusted(Client::connect(&url))?;
                (url, None, connect, self.user.as_str(), self.password()?)
            }
            None => {
                ensure!(
                    !self.names_trust(),
                    "--pin, --ca, --known-hosts and --insecure say how to know the host at --url, which is missing"
                );
                let server = self.simulator().await?;
                let pin = server
                    .fingerprint_sha256()
                    .context("the simulated pool has no certificate")?;
                let connect = Client::connect(server.url()).pin_sha256(pin);
                (
                    server.url().to_owned(),
                    Some(server),
                    connect,
                    "root",
                    "simulated".into(),
                )
            }
        };
        let interrupt = Interrupt::watch();
        let client = self
            .encoded(connect)
            .originator(originator)
            .login(user, password)
            .await?;
        Ok(Pool {
            client,
            url,
            simulated,
            interrupt,
        })
    }

    async fn simulator(&self) -> anyhow::Result<xenapi_sim::Server> {
        note(format!(
            "No --url: using a simulated pool of {} VMs, over HTTPS in this process.",
            self.simulated_vms
        ));
        let simulator = Simulator::builder()
            .hosts(2)
            .vms(self.simulated_vms)
            .password("simulated")
            .build()?;
        Ok(simulator.listen_tls("127.0.0.1:0").await?)
    }

    fn names_trust(&self) -> bool {
        self.pin.is_some() || self.ca.is_some() || self.known_hosts.is_some() || self.insecure
    }

    fn trusted(&self, connect: Connect) -> anyhow::Result<Connect> {
        let pin = match self.names_trust() {
            true => self.pin.clone(),
            false => variable("XENAPI_PIN"),
        };
        Ok(match (pin, &self.ca, &self.known_hosts, self.insecure) {
            (Some(pin), ..) => connect.pin_sha256(&pin),
            (_, Some(ca), ..) => {
                connect.trust_ca_pem(std::fs::read(ca).with_context(|| format!("cannot read {}", ca.display()))?)
            }
            (_, _, Some(file), _) => connect.trust_on_first_use(file),
            (.., true) => connect.danger_accept_any_certificate(),
            _ => connect,
        })
    }

    fn encoded(&self, connect: Connect) -> Connect {
        match self.encoding {
            Some(Wire::Json) => connect.encoding(Encoding::Json),
            Some(Wire::Xml) => connect.encoding(Encoding::Xml),
            None => connect,
        }
    }

    fn password(&self) -> anyhow::Result<SecretString> {
        if let Ok(password) = std::env::var("XENAPI_PASSWORD") {
            return Ok(password.into());
        }
        let prompt = format!("Password of {}: ", self.user);
        Ok(rpassword::prompt_password(prompt)
            .context("no password: set XENAPI_PASSWORD or use a terminal")?
            .into())
    }
}

/// An environment variable that holds something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
