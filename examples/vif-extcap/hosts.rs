//! The hosts that were added, and the NICs that they had when they were last asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use dom0::Dom0;
use futures_util::future::join_all;
use pcap_tap::live::{NicKind, Vm};
use serde::{Deserialize, Serialize};
use xenapi_examples::{ControlDomain, Sessions, note, settings};

/// Names another file, for those who keep several.
const VARIABLE: &str = "XENAPI_EXTCAP";
/// Wireshark waits meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

/// All of them.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Hosts {
    hosts: BTreeMap<String, Host>,
}

#[derive(Serialize, Deserialize)]
struct Host {
    control_domain: ControlDomain,
    interfaces: Vec<Interface>,
}

/// A NIC of a VM.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Interface {
    vm: String,
    name: String,
    nic: u32,
    bridge: Option<String>,
    host: String,
}

impl Interface {
    /// What stays the same through reboots and migrations: people's preferences keep it.
    pub(crate) fn value(&self) -> String {
        format!("vif:{}:{}", self.vm, self.nic)
    }

    /// What people see.
    pub(crate) fn label(&self) -> String {
        let bridge = self.bridge.as_ref().map(|bridge| format!(", {bridge}"));
        format!(
            "{}, NIC {}{} at {}",
            self.name,
            self.nic,
            bridge.unwrap_or_default(),
            self.host
        )
    }

    fn of(host: &str, vm: &Vm) -> Vec<Self> {
        let Some(uuid) = &vm.uuid else { return Vec::new() };
        let seen = vm.nics.iter().filter(|nic| nic.kind != NicKind::SrIov);
        seen.map(|nic| Self {
            vm: uuid.clone(),
            name: vm.label(),
            nic: nic.number,
            bridge: nic.bridge.clone(),
            host: host.to_owned(),
        })
        .collect()
    }
}

impl Hosts {
    pub(crate) fn read() -> anyhow::Result<Self> {
        let path = path()?;
        match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged: delete it", path.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Several programs may do so at once, as Wireshark starts them side by side.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let path = path()?;
        let cannot = || format!("cannot write {}", path.display());
        let folder = path.parent().context("the file has no folder")?;
        fs::create_dir_all(folder).with_context(cannot)?;
        let mut file = tempfile::NamedTempFile::new_in(folder).with_context(cannot)?;
        serde_json::to_writer_pretty(&mut file, self).with_context(cannot)?;
        file.persist(&path).with_context(cannot)?;
        Ok(())
    }

    /// Logs in to a host; answers with the number of its NICs.
    pub(crate) async fn add(&mut self, host: &str, control_domain: ControlDomain) -> anyhow::Result<usize> {
        let interfaces = listed(host, &control_domain.connect(host).await?).await?;
        let count = interfaces.len();
        let entry = Host {
            control_domain,
            interfaces,
        };
        self.hosts.insert(host.to_owned(), entry);
        Ok(count)
    }

    pub(crate) fn remove(&mut self, host: &str) -> anyhow::Result<()> {
        let known: Vec<_> = self.hosts.keys().cloned().collect();
        ensure!(
            self.hosts.remove(host).is_some(),
            "{host} was not added; these were: {}",
            known.join(", ")
        );
        Ok(())
    }

    /// Asks all hosts at once; of those that do not answer, what is known stays.
    pub(crate) async fn refresh(&mut self) {
        let asked = self.hosts.iter_mut().map(async |(address, host)| {
            let ask = async { listed(address, &host.control_domain.connect(address).await?).await };
            match tokio::time::timeout(PATIENCE, ask).await {
                Ok(Ok(interfaces)) => host.interfaces = interfaces,
                Ok(Err(error)) => note(format!("{address}: {error:#}")),
                Err(_) => note(format!(
                    "{address} did not answer within {} seconds",
                    PATIENCE.as_secs()
                )),
            }
        });
        join_all(asked).await;
    }

    /// The NICs of all hosts, by the names of their VMs.
    pub(crate) fn interfaces(&self) -> Vec<&Interface> {
        let mut interfaces: Vec<_> = self.hosts.values().flat_map(|host| &host.interfaces).collect();
        interfaces.sort_by_key(|interface| (&interface.name, &interface.vm, interface.nic));
        // One that has just migrated may be listed at both hosts.
        interfaces.dedup_by_key(|interface| interface.value());
        interfaces
    }

    /// The way to all of them, with sessions that last.
    pub(crate) fn finder(self) -> Finder {
        let hosts = self.hosts.into_iter();
        Finder(
            hosts
                .map(|(address, host)| {
                    let vms = host.interfaces.into_iter().map(|interface| interface.vm);
                    (address, Sessions::new(&host.control_domain), vms.collect())
                })
                .collect(),
        )
    }
}

/// Finds VMs at the hosts that were added. Each is logged in to once, and again when the session is lost.
pub(crate) struct Finder(Vec<(String, Sessions, BTreeSet<String>)>);

impl Finder {
    /// A VM and the session to where it runs now: the host where it was seen last is asked first.
    pub(crate) async fn find(&self, uuid: &str) -> anyhow::Result<(Dom0, Vm)> {
        let mut hosts: Vec<_> = self.0.iter().collect();
        hosts.sort_by_key(|(_, _, seen)| !seen.contains(uuid));
        let mut failed = Vec::new();
        for (address, sessions, _) in hosts {
            let found = async {
                let dom0 = sessions.to(address).await?;
                let vm = Vm::find(&dom0, uuid).await?;
                anyhow::Ok((dom0, vm))
            };
            match found.await {
                Ok(found) => return Ok(found),
                Err(error) => failed.push(format!("{error:#}")),
            }
        }
        ensure!(
            !failed.is_empty(),
            "no host was added: run `vif-extcap add root@HOST` first"
        );
        anyhow::bail!("{}", failed.join("\n"))
    }
}

async fn listed(address: &str, dom0: &Dom0) -> anyhow::Result<Vec<Interface>> {
    let vms = Vm::all(dom0).await?;
    Ok(vms.iter().flat_map(|vm| Interface::of(address, vm)).collect())
}

fn path() -> anyhow::Result<PathBuf> {
    let named = std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
    let usual = || Some(settings()?.join("vif-extcap.json"));
    named
        .map(PathBuf::from)
        .or_else(usual)
        .with_context(|| format!("there is no home folder: set {VARIABLE} to the name of a file"))
}
