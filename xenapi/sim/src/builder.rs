//! Building a pool.

use std::path::PathBuf;
use std::time::Duration;

use crate::behaviour::nbd::{self, NbdPurpose};
use crate::certificate::Certificate;
use crate::config::{Account, Config};
use crate::faults::Fault;
use crate::inventory;
use crate::inventory_file::{self, InventoryError};
use crate::roles::Role;
use crate::server::Server;
use crate::simulator::Simulator;
use crate::state::{Shared, State};

/// Chooses what a pool is like; [`Simulator::builder`] starts it.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    config: Config,
    faults: Vec<Fault>,
    inventory: Option<PathBuf>,
    nbd: Option<NbdPurpose>,
}

/// Why a pool could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A host's self-signed certificate could not be made.
    #[error("cannot make a self-signed certificate for a host: {0}")]
    Certificate(String),
    /// An address could not be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The inventory in a file could not be loaded.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
}

impl BuildError {
    pub(crate) fn certificate(error: impl ToString) -> Self {
        Self::Certificate(error.to_string())
    }
}

impl Builder {
    /// How many hosts there are: at least one, which is the coordinator. One by default.
    pub fn hosts(mut self, count: usize) -> Self {
        self.config.hosts = count.max(1);
        self
    }

    /// How many VMs there are, beside templates, control domains and one snapshot. Four by default.
    ///
    /// They are called `web-01`, `db-01`, `app-01`, `win-01`, `web-02` and so on; every third is halted. Each has a
    /// disk with a partition table, an empty CD drive and a network interface. Every fifth has its disk where only
    /// one host sees it.
    pub fn vms(mut self, count: usize) -> Self {
        self.config.vms = count;
        self
    }

    /// How many images the ISO library has. Four by default.
    pub fn isos(mut self, count: usize) -> Self {
        self.config.isos = count;
        self
    }

    /// Takes hosts, VMs and everything else from a file that [`Simulator::save`] wrote, in place of
    /// [`hosts`](Self::hosts), [`vms`](Self::vms) and [`isos`](Self::isos).
    ///
    /// Accounts are not in it: they are those of the builder. Hosts get new certificates and the addresses of the
    /// [transport](Simulator::transport); nobody is logged in, and nothing runs that was running.
    pub fn load(mut self, path: impl Into<PathBuf>) -> Self {
        self.inventory = Some(path.into());
        self
    }

    /// The name of the superuser; `root` by default, as it always is in xapi.
    pub fn superuser(mut self, name: impl Into<String>) -> Self {
        self.config.superuser = name.into();
        self
    }

    /// The superuser's password; `xensource` by default.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.config.password = password.into();
        self
    }

    /// One more user who can log in, and who may do what the role allows. Other calls fail with
    /// `RBAC_PERMISSION_DENIED`, other handlers answer 403.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>, role: Role) -> Self {
        self.config.accounts.push(Account {
            name: name.into(),
            password: password.into(),
            role,
        });
        self
    }

    /// Has the metrics in JSON be bare numbers, `NaN` and `Infinity` among them, as servers before xapi 23.31 send
    /// them. By default they are texts.
    pub fn bare_metrics(mut self) -> Self {
        self.config.bare_metrics = true;
        self
    }

    /// Where references, UUIDs and the chances of faults come from: equal seeds give equal pools.
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.seed = seed;
        self
    }

    /// How long every answer waits.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.config.delay = delay;
        self
    }

    /// How often an operation reports progress before it is done. By default operations take no time and report none.
    pub fn task_steps(mut self, count: u32) -> Self {
        self.config.task_steps = count;
        self
    }

    /// How long an operation takes before each of these steps, and before its end.
    pub fn task_delay(mut self, delay: Duration) -> Self {
        self.config.task_delay = delay;
        self
    }

    /// How many sessions one originator may have before its oldest are ended. 500 by default, as in xapi.
    pub fn session_limit(mut self, count: usize) -> Self {
        self.config.session_limit = count;
        self
    }

    /// After how long without calls a session ends. A day by default, as in xapi.
    pub fn session_timeout(mut self, limit: Duration) -> Self {
        self.config.session_timeout = limit;
        self
    }

    /// Has the network of the hosts' management interfaces a purpose by which disks can be read over NBD. None of them
    /// has one by default, as in xapi; `network.add_purpose` gives it as well.
    ///
    /// The servers listen where the pool [listens](Simulator::listen), each on a free port of the same address, which
    /// `VDI.get_nbd_info` tells in place of 10809. Through the [transport](Simulator::transport) they cannot be reached.
    pub fn nbd(mut self, purpose: NbdPurpose) -> Self {
        self.nbd = Some(purpose);
        self
    }

    /// A fault to commit from the start.
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Builds the pool.
    ///
    /// # Errors
    /// Where no certificate could be made, or the file to [`load`](Self::load) is not what it should be.
    pub fn build(self) -> Result<Simulator, BuildError> {
        let mut state = State::new(self.config);
        match &self.inventory {
            Some(path) => inventory_file::load(&mut state, path)?,
            None => inventory::build(&mut state),
        }
        state.faults = self.faults;
        let addresses: Vec<_> = (0..state.hosts.len()).map(inventory::address).collect();
        let hosts = state.hosts.clone();
        let certificate = |(host, address): (&String, &String)| {
            let name = state.db.text("host", host, "hostname");
            Certificate::generate(vec![
                name,
                address.clone(),
                "127.0.0.1".to_owned(),
                "localhost".to_owned(),
            ])
        };
        let certificates = hosts.iter().zip(&addresses).map(certificate);
        let certificates = certificates.collect::<Result<Vec<_>, _>>()?;
        for (host, certificate) in hosts.iter().zip(&certificates) {
            state.set_certificate(host, certificate);
        }
        state.certificates.clone_from(&certificates);
        if let Some(purpose) = self.nbd {
            nbd::give_purpose(&mut state, purpose);
        }
        Ok(Simulator::new(Shared::new(state, certificates), addresses))
    }

    /// Builds the pool and answers over TLS on free ports of 127.0.0.1.
    ///
    /// # Errors
    /// As for [`build`](Self::build), and where no port could be opened.
    pub async fn start(self) -> Result<Server, BuildError> {
        self.build()?.listen_tls("127.0.0.1:0").await
    }
}
