//! The flags by which every tool finds its pool.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use xenapi::wire::Encoding;
use xenapi::{Client, Connect, SecretString};
use xenapi_sim::Simulator;

use crate::interrupt::Interrupt;
use crate::known_pools::{KnownPool, KnownPools, default_known_hosts};
use crate::{Afterwards, Pool, note};

/// Where the pool is and how to log in. Without `--url` and `--pool` a simulated pool is made in this process.
///
/// The password comes from where the file of pools says, the environment variable `XENAPI_PASSWORD` or a prompt, never
/// from the command line, where every user of the machine could read it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    // The variables are looked up where the flags are used, not by clap: what a shell's profile sets must neither
    // conflict with another flag nor ask for one.
    /// A host of the pool, for example https://10.0.0.2 [env: XENAPI_URL]; without it, a simulated pool
    #[arg(long, global = true)]
    url: Option<String>,
    /// A pool by its name in ~/.config/xenapi/pools.toml [env: XENAPI_CONFIG names another file]
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "url")]
    pool: Option<String>,
    /// The user to log in as [env: XENAPI_USER] [default: root]; the password comes from XENAPI_PASSWORD or a prompt
    #[arg(long, global = true)]
    user: Option<String>,
    /// Accept exactly the certificate with this SHA-256 fingerprint [env: XENAPI_PIN]
    #[arg(long, global = true, value_name = "FINGERPRINT", conflicts_with_all = ["ca", "known_hosts", "tofu", "insecure"])]
    pin: Option<String>,
    /// Accept certificates of the authorities in this PEM file
    #[arg(long, global = true, value_name = "FILE", conflicts_with_all = ["known_hosts", "tofu", "insecure"])]
    ca: Option<PathBuf>,
    /// Accept what the host shows first and remember it in this file
    #[arg(long, global = true, value_name = "FILE", conflicts_with_all = ["tofu", "insecure"])]
    known_hosts: Option<PathBuf>,
    /// The same with the file ~/.config/xenapi/known_hosts
    #[arg(long, global = true, conflicts_with = "insecure")]
    tofu: bool,
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
        conflicts_with_all = ["url", "pool"]
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
    pub const FLAGS: [&str; 7] = ["url", "pool", "pin", "ca", "known_hosts", "tofu", "insecure"];

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
        self.pool.is_some() || self.url().is_some()
    }

    /// The names in the file of pools.
    pub(crate) fn known_names() -> anyhow::Result<Vec<String>> {
        Ok(KnownPools::read()?.names().map(str::to_owned).collect())
    }

    /// The same flags for another pool of the file.
    pub(crate) fn to(&self, name: &str) -> Self {
        Self {
            pool: Some(name.to_owned()),
            ..self.clone()
        }
    }

    fn url(&self) -> Option<String> {
        self.url.clone().or_else(|| variable("XENAPI_URL"))
    }

    /// Where to go, what the file of pools says of it included. The variables speak of one pool, which a name is not.
    fn place(&self) -> anyhow::Result<Option<Place>> {
        let Some(name) = &self.pool else {
            return Ok(self.url().map(|url| Place {
                url,
                known: None,
                pin: variable("XENAPI_PIN"),
            }));
        };
        let known = KnownPools::read()?.named(name)?.clone();
        Ok(Some(Place {
            url: known.url.clone(),
            pin: None,
            known: Some(known),
        }))
    }

    async fn open(&self, tool: &str) -> anyhow::Result<Pool> {
        let originator = format!("xenapi-examples-{tool}");
        let (url, simulated, connect, user, password) = match self.place()? {
            Some(place) => {
                let connect = self.trusted(&place)?;
                let user = self.user(place.known.as_ref());
                let password = password(&user, &place)?;
                (place.url, None, connect, user, password)
            }
            None => {
                ensure!(
                    !self.names_trust(),
                    "--pin, --ca, --known-hosts, --tofu and --insecure say how to know the host at --url, which is missing"
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
                    "root".to_owned(),
                    "simulated".into(),
                )
            }
        };
        let interrupt = Interrupt::watch();
        let client = self
            .encoded(connect)
            .originator(originator)
            // What ctrl-c gives up does not go on behind its back.
            .cancel_dropped_tasks()
            .login(&user, password)
            .await?;
        Ok(Pool {
            client,
            url,
            simulated,
            interrupt,
            afterwards: Afterwards::default(),
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
        self.pin.is_some() || self.ca.is_some() || self.known_hosts.is_some() || self.tofu || self.insecure
    }

    /// How the host is known: by the flags, otherwise by the file of pools or the variable. A pool of the file that says
    /// nothing of it is trusted as it is first seen.
    fn trusted(&self, place: &Place) -> anyhow::Result<Connect> {
        let connect = Client::connect(&place.url);
        if self.insecure {
            return Ok(connect.danger_accept_any_certificate());
        }
        let (pin, ca, known_hosts) = match (&place.known, self.names_trust()) {
            (_, true) => (&self.pin, &self.ca, &self.known_hosts),
            (Some(known), false) => (&known.pin, &known.ca, &known.known_hosts),
            (None, false) => (&place.pin, &None, &None),
        };
        Ok(match (pin, ca, known_hosts) {
            (Some(pin), ..) => connect.pin_sha256(pin),
            (_, Some(ca), _) => {
                connect.trust_ca_pem(std::fs::read(ca).with_context(|| format!("cannot read {}", ca.display()))?)
            }
            (.., Some(file)) => connect.trust_on_first_use(file),
            _ if self.tofu || place.known.is_some() => connect.trust_on_first_use(default_known_hosts()?),
            _ => connect,
        })
    }

    fn user(&self, known: Option<&KnownPool>) -> String {
        let given = self.user.clone().or_else(|| known.and_then(|known| known.user.clone()));
        given
            .or_else(|| variable("XENAPI_USER"))
            .unwrap_or_else(|| "root".to_owned())
    }

    fn encoded(&self, connect: Connect) -> Connect {
        match self.encoding {
            Some(Wire::Json) => connect.encoding(Encoding::Json),
            Some(Wire::Xml) => connect.encoding(Encoding::Xml),
            None => connect,
        }
    }
}

/// A real pool.
struct Place {
    url: String,
    /// What the file of pools says of it, where it was named.
    known: Option<KnownPool>,
    pin: Option<String>,
}

fn password(user: &str, place: &Place) -> anyhow::Result<SecretString> {
    if let Some(password) = place.known.as_ref().map(KnownPool::password).transpose()?.flatten() {
        return Ok(password);
    }
    if let Ok(password) = std::env::var("XENAPI_PASSWORD") {
        return Ok(password.into());
    }
    let prompt = format!("Password of {user} at {}: ", place.url);
    Ok(rpassword::prompt_password(prompt)
        .context("no password: set XENAPI_PASSWORD or use a terminal")?
        .into())
}

/// An environment variable that holds something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
