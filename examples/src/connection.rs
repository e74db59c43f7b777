//! The flags by which every tool finds its pool.

use std::ops::Deref;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use xenapi::wire::Encoding;
use xenapi::{Client, Connect, SecretString};
use xenapi_sim::{Server, Simulator};

/// Where the pool is and how to log in. Without `--url` a simulated pool is made in this process.
///
/// The password comes from the environment variable `XENAPI_PASSWORD` or from a prompt, never from the command line,
/// where every user of the machine could read it.
#[derive(Args, Debug)]
pub struct Connection {
    /// A host of the pool, for example https://10.0.0.2; without it, a simulated pool.
    #[arg(long, env = "XENAPI_URL")]
    url: Option<String>,
    /// The user to log in as.
    #[arg(long, env = "XENAPI_USER", default_value = "root")]
    user: String,
    /// Accept exactly the certificate with this SHA-256 fingerprint.
    #[arg(long, env = "XENAPI_PIN", conflicts_with_all = ["ca", "known_hosts", "insecure"])]
    pin: Option<String>,
    /// Accept certificates of the authorities in this PEM file.
    #[arg(long, conflicts_with_all = ["known_hosts", "insecure"])]
    ca: Option<PathBuf>,
    /// Accept what the host shows first and remember it in this file.
    #[arg(long, conflicts_with = "insecure")]
    known_hosts: Option<PathBuf>,
    /// Accept any certificate: whoever is on the way can read the password.
    #[arg(long)]
    insecure: bool,
    /// Use this encoding only; otherwise JSON first.
    #[arg(long)]
    encoding: Option<Wire>,
    /// How many VMs the simulated pool has.
    #[arg(long, default_value_t = 40)]
    simulated_vms: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Wire {
    Json,
    Xml,
}

/// A connection, and the simulated pool behind it if it has one.
#[derive(Debug)]
pub struct Pool {
    client: Client,
    simulated: Option<Server>,
}

impl Connection {
    /// Connects and logs in; `tool` is the name that the server sees.
    pub async fn open(&self, tool: &str) -> anyhow::Result<Pool> {
        match &self.url {
            Some(url) => {
                let connect = self
                    .trusted(Client::connect(url))?
                    .originator(format!("xenapi-examples-{tool}"));
                let client = connect.login(&self.user, self.password()?).await?;
                Ok(Pool {
                    client,
                    simulated: None,
                })
            }
            None => self.simulated(tool).await,
        }
    }

    async fn simulated(&self, tool: &str) -> anyhow::Result<Pool> {
        eprintln!(
            "No --url: using a simulated pool of {} VMs, over HTTPS in this process.",
            self.simulated_vms
        );
        let simulator = Simulator::builder()
            .hosts(2)
            .vms(self.simulated_vms)
            .password("simulated")
            .build()?;
        let server = simulator.listen_tls("127.0.0.1:0").await?;
        let pin = server
            .fingerprint_sha256()
            .context("the simulated pool has no certificate")?
            .to_owned();
        let connect = self.encoded(Client::connect(server.url())).pin_sha256(&pin);
        let client = connect
            .originator(format!("xenapi-examples-{tool}"))
            .login("root", "simulated")
            .await?;
        Ok(Pool {
            client,
            simulated: Some(server),
        })
    }

    fn trusted(&self, connect: Connect) -> anyhow::Result<Connect> {
        let connect = self.encoded(connect);
        Ok(match (&self.pin, &self.ca, &self.known_hosts, self.insecure) {
            (Some(pin), ..) => connect.pin_sha256(pin),
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

impl Pool {
    /// Whether this is a simulated pool of our own.
    pub fn is_simulated(&self) -> bool {
        self.simulated.is_some()
    }

    /// Logs out.
    pub async fn close(self) -> anyhow::Result<()> {
        Ok(self.client.logout().await?)
    }
}

impl Deref for Pool {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}
