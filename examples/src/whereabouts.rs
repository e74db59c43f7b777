//! At which host's control domain the packets of a VM pass.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use dom0::{Command, Dom0};
use pcap_tap::live;
use xenapi::vm::PowerState;
use xenapi::{Client, Host, NetworkRecord, PifRecord, Ref};

use crate::{Pool, Printable, Sessions, named, note};

/// VMs as a pool knows them, and sessions to where they run.
#[derive(Clone)]
pub struct Whereabouts {
    client: Client,
    sessions: Sessions,
}

/// A VM that runs, at its host.
pub struct Running {
    /// The control domain.
    pub dom0: Dom0,
    /// What it knows of the VM.
    pub vm: live::Vm,
}

impl Whereabouts {
    /// Looks in a pool.
    pub fn new(pool: &Pool, sessions: &Sessions) -> Self {
        Self {
            client: Client::clone(pool),
            sessions: sessions.clone(),
        }
    }

    /// VMs by their names or UUIDs.
    ///
    /// # Errors
    /// Where there is none, it does not run, or nobody can log in to its host.
    pub async fn find(&self, wanted: &[String]) -> anyhow::Result<Vec<Running>> {
        let vms = self.client.vms().all_records().await?;
        let mut found = Vec::new();
        for wanted in wanted {
            let (_, vm) = named(&vms, wanted)?;
            let name = Printable(&vm.name_label);
            ensure!(
                matches!(vm.power_state, PowerState::Running | PowerState::Paused),
                "{name} is {}: only VMs that run have packets; start it first",
                vm.power_state.as_str().to_lowercase()
            );
            ensure!(
                !vm.resident_on.is_null(),
                "the pool does not know at which host {name} runs"
            );
            let dom0 = self.session(vm.resident_on).await?;
            let vm = live::Vm::find(&dom0, &vm.uuid)
                .await
                .with_context(|| format!("the pool says that {name} runs at {}", dom0.host()))?;
            found.push(Running { dom0, vm });
        }
        Ok(found)
    }

    /// A session to a host.
    ///
    /// # Errors
    /// Where its SSH is turned off, or nobody can log in.
    pub async fn session(&self, host: Ref<Host>) -> anyhow::Result<Dom0> {
        let address = self.client.host(host).address().await?;
        match self.sessions.to(&address).await {
            Ok(dom0) => Ok(dom0),
            // Servers before 25.21 do not say.
            Err(error) => match self.client.host(host).ssh_enabled().await {
                Ok(false) => Err(error.context(
                    "the pool says that SSH is turned off at this host: `host.enable_ssh` or its console turns it on",
                )),
                _ => Err(error),
            },
        }
    }

    /// The session to where a VM runs now, for a capture that has lost it.
    pub async fn again(self, vm: live::Vm) -> Option<Dom0> {
        let uuid = vm.uuid.as_deref()?;
        let host = async {
            let vm = self.client.vms().by_uuid(uuid).await?;
            let host = self.client.vm(vm).resident_on().await?;
            match host.is_null() {
                true => Ok(None),
                false => self.session(host).await.map(Some),
            }
        };
        host.await.unwrap_or_else(|error: anyhow::Error| {
            note(format!("{} is not found now: {error:#}", vm.label()));
            None
        })
    }

    /// What people call the networks, by their bridges.
    ///
    /// # Errors
    /// Where the server refuses.
    pub async fn networks(&self) -> xenapi::Result<BTreeMap<String, String>> {
        let networks = self.client.networks().all_records().await?;
        let networks = networks.into_iter().map(|(_, network)| network);
        Ok(networks.map(|network| (network.bridge, network.name_label)).collect())
    }

    /// Where a network leaves its hosts: physical cards, or bonds.
    ///
    /// # Errors
    /// Where the network is not known or internal, or nobody can log in.
    pub async fn carriers(&self, network: &str) -> anyhow::Result<Vec<Carrier>> {
        let (networks, pifs, bonds) = tokio::try_join!(
            self.client.networks().all_records(),
            self.client.pifs().all_records(),
            self.client.bonds().all_records(),
        )?;
        let is_it =
            |known: &NetworkRecord| [&known.name_label, &known.uuid, &known.bridge].contains(&&network.to_owned());
        let Some((&network, record)) = networks.iter().find(|(_, known)| is_it(known)) else {
            bail!("the pool has no network {network:?}");
        };
        let mut carriers = Vec::new();
        for pif in pifs
            .values()
            .filter(|pif| pif.network == network && pif.currently_attached)
        {
            let dom0 = self.session(pif.host).await?;
            let mut devices = vec![pif.device.clone()];
            // To Open vSwitch a bond is a port and no device, so its cards stand for it.
            if !exists(&dom0, &pif.device).await? {
                let is_of_bond = |card: &&PifRecord| {
                    let bond = bonds.get(&card.bond_slave_of).and_then(|bond| pifs.get(&bond.master));
                    bond.is_some_and(|master| master.device == pif.device && master.host == pif.host)
                };
                devices = pifs
                    .values()
                    .filter(is_of_bond)
                    .map(|card| card.device.clone())
                    .collect();
            }
            carriers.extend(devices.into_iter().map(|device| Carrier {
                dom0: dom0.clone(),
                device,
                vlan: u32::try_from(pif.vlan).ok(),
            }));
        }
        ensure!(
            !carriers.is_empty(),
            "the network {} leaves no host: its packets pass at the devices of its VMs alone",
            Printable(&record.name_label)
        );
        Ok(carriers)
    }
}

/// A device by which a network leaves a host.
pub struct Carrier {
    /// The control domain.
    pub dom0: Dom0,
    /// The device there.
    pub device: String,
    /// The network is this VLAN, and others pass there too.
    pub vlan: Option<u32>,
}

async fn exists(dom0: &Dom0, device: &str) -> Result<bool, dom0::Error> {
    let there = Command::raw(r#"test -e "/sys/class/net/$1""#).arg(device);
    Ok(dom0.output(&there).await?.exit.success())
}
