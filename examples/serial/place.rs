//! Which port is meant, and who has it open already.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use serial_link::bridge::Bridge;
use serial_link::reach::{BoardLine, Incoming, MEETING, Mode, TcpLine, Wish, XenStoreValues};
#[cfg(unix)]
use serial_link::reach::{BridgeLine, UnixLine};
use xenapi::{Client, Ref, Vm};
#[cfg(unix)]
use xenapi_examples::note;
use xenapi_examples::{Interrupted, Pool, Whereabouts, ask_no_more, named, settings};

use crate::Ways;
use crate::line::{VmLine, log_in};
use crate::pool_values::PoolValues;

/// What carries the link to a VM's agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// Its serial port
    Port,
    /// Values in the host's xenstore, over SSH
    Xenstore,
    /// Values in xenstore that the pool sets and tells: slow, and no SSH is needed
    Pool,
}

/// A port as people name it.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// A VM's, by its name or UUID.
    Vm(String),
    /// A socket of this machine: another bridge, or QEMU itself.
    Unix(PathBuf),
    /// A socket elsewhere.
    Tcp(String),
    /// A QEMU that connects to this address, as it does where a setting has no `server`.
    Listen(SocketAddr),
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            _ if text.is_empty() => {
                Err("a VM's name, its UUID, unix:PATH, tcp:HOST:PORT or listen:ADDRESS:PORT".to_owned())
            }
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(("tcp", address)) if address.contains(':') => Ok(Self::Tcp(address.to_owned())),
            Some(("listen", address)) => {
                let address = address.parse();
                address.map(Self::Listen).map_err(|_| "listen:ADDRESS:PORT".to_owned())
            }
            _ => Ok(Self::Vm(text.to_owned())),
        }
    }
}

/// A port that is kept open.
pub(crate) struct Place {
    /// What people call it.
    pub(crate) name: String,
    pub(crate) bridge: Bridge,
    /// Whether it may be a bridge of which nothing is known but its socket.
    pub(crate) may_be_bridge: bool,
    /// Where others of this machine find a bridge to it.
    pub(crate) meeting: Option<PathBuf>,
}

impl Wanted {
    /// Does some work with the port, until ctrl-c. A bridge of the same user is used where there is one, as the port
    /// itself serves one connection at a time; this is wished of it.
    pub(crate) async fn with<T>(
        &self,
        ways: &Ways<'_>,
        wish: Wish,
        work: impl AsyncFnOnce(Place) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        self.open(ways, Some((By::Port, wish)), MEETING, work).await
    }

    /// The same for who talks to the agent, which may be met in a folder of xenstore.
    pub(crate) async fn with_agent<T>(
        &self,
        ways: &Ways<'_>,
        by: By,
        folder: &str,
        work: impl AsyncFnOnce(Place) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        // Who takes a link's input over breaks off what it does.
        let wish = Wish::new("the agent's link").insist(true);
        self.open(ways, Some((by, wish)), folder, work).await
    }

    /// The same for who would be that bridge.
    pub(crate) async fn with_own<T>(
        &self,
        ways: &Ways<'_>,
        work: impl AsyncFnOnce(Place) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        self.open(ways, None, MEETING, work).await
    }

    async fn open<T>(
        &self,
        ways: &Ways<'_>,
        shared: Option<(By, Wish)>,
        folder: &str,
        work: impl AsyncFnOnce(Place) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let direct = |name: String, bridge| Place {
            name,
            bridge,
            may_be_bridge: true,
            meeting: None,
        };
        let (by, wish) = shared.unzip();
        let place = match self {
            Self::Vm(wanted) => {
                return ways
                    .connection
                    .run("serial", async |pool: &Pool| {
                        let vms = pool.unless_interrupted(pool.vms().all_records()).await?;
                        let (vm, record) = named(&vms, wanted)?;
                        let meeting = meeting(&record.uuid);
                        let name = record.name_label.clone();
                        let existing = meeting
                            .as_deref()
                            .zip(wish.filter(|_| by == Some(By::Port)))
                            .and_then(|(meeting, wish)| existing(meeting, wish));
                        let bridge = match (by, existing) {
                            (_, Some(bridge)) => bridge,
                            (Some(By::Pool), _) => Bridge::start(pool_line(pool, vm, &name, folder)),
                            (by, _) => {
                                pool.unless_interrupted(log_in(pool, ways, record.resident_on)).await?;
                                ask_no_more();
                                match by {
                                    Some(By::Xenstore) => Bridge::start(store_line(pool, ways, vm, &name, folder)),
                                    _ => Bridge::start(VmLine::new(pool, ways, vm, name.clone())),
                                }
                            }
                        };
                        let place = Place {
                            name,
                            bridge,
                            may_be_bridge: false,
                            meeting,
                        };
                        pool.unless_interrupted(work(place)).await
                    })
                    .await;
            }
            #[cfg(unix)]
            Self::Unix(path) => direct(
                path.display().to_string(),
                Bridge::start(UnixLine::new(path, Mode::Raw)),
            ),
            #[cfg(not(unix))]
            Self::Unix(_) => anyhow::bail!("unix sockets are not for this system"),
            Self::Listen(address) => {
                let line = Incoming::bind(*address, Mode::Raw).await;
                let line = line.with_context(|| format!("nobody can listen on {address}"))?;
                direct(
                    format!("whoever connects to {}", line.local_addr()),
                    Bridge::start(line),
                )
            }
            Self::Tcp(address) => direct(address.clone(), Bridge::start(TcpLine::new(address, Mode::Raw))),
        };
        tokio::select! {
            outcome = work(place) => outcome,
            pressed = tokio::signal::ctrl_c() => {
                pressed.context("ctrl-c cannot be waited for")?;
                Err(Interrupted.into())
            }
        }
    }
}

/// The line through the xenstore of the host where a VM runs.
fn store_line(pool: &Pool, ways: &Ways<'_>, vm: Ref<Vm>, name: &str, folder: &str) -> BoardLine<XenStoreValues> {
    let hosts = Whereabouts::new(pool, &ways.sessions);
    let (client, folder) = (Client::clone(pool), folder.to_owned());
    BoardLine::new(format!("the xenstore of {name}"), move || {
        let (hosts, client, folder) = (hosts.clone(), client.clone(), folder.clone());
        async move {
            let find = async {
                let record = client.vm(vm).record().await?;
                let state = record.power_state.as_str().to_lowercase();
                ensure!(!record.resident_on.is_null(), "it is {state}");
                let domain = u32::try_from(record.domid).context("the pool tells no domain of it")?;
                let store = hosts.session(record.resident_on).await?.store().await?;
                Ok(XenStoreValues::open(store, domain, &folder).await?)
            };
            find.await
                .map_err(|error: anyhow::Error| io::Error::other(format!("{error:#}")))
        }
    })
}

/// The line through what the pool tells of a VM's xenstore.
fn pool_line(pool: &Pool, vm: Ref<Vm>, name: &str, folder: &str) -> BoardLine<PoolValues> {
    let (client, folder) = (Client::clone(pool), folder.to_owned());
    BoardLine::new(format!("the pool's xenstore data of {name}"), move || {
        PoolValues::open(client.clone(), vm, folder.clone())
    })
}

/// Where a bridge to a VM's port is met: one for each user.
pub(crate) fn meeting(uuid: &str) -> Option<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let folder = runtime.filter(|path| path.is_absolute()).or_else(settings)?;
    Some(folder.join(format!("serial-{uuid}")))
}

/// A line to the bridge that is met there.
#[cfg(unix)]
fn existing(meeting: &Path, wish: Wish) -> Option<Bridge> {
    std::os::unix::net::UnixStream::connect(meeting).ok()?;
    note("A bridge of yours has this port open, and is used.");
    Some(Bridge::start(BridgeLine::new(meeting, wish)))
}

#[cfg(not(unix))]
fn existing(_: &Path, _: Wish) -> Option<Bridge> {
    None
}
