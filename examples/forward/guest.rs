//! Which guests, which ports, and where they are at the moment.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use anyhow::{Context as _, ensure};
use xenapi::{Client, Map, Ref, Vm, VmRecord};
use xenapi_examples::{Chosen, Selection, guest_address};

/// `VM:PORT` as it was typed; the VM may be several.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    vm: String,
    port: u16,
}

impl FromStr for Door {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (vm, port) = text.rsplit_once(':').ok_or("a port is missing: VM:PORT")?;
        let port = port.parse().ok().filter(|&port| port != 0);
        let port = port.ok_or("after the last colon comes a port from 1 to 65535")?;
        match vm {
            "" => Err("the VM is missing: VM:PORT".to_owned()),
            _ => Ok(Self {
                vm: vm.to_owned(),
                port,
            }),
        }
    }
}

/// Each VM with each of its ports, once.
pub(crate) fn doors(wanted: &[Door], vms: &Map<Ref<Vm>, VmRecord>) -> anyhow::Result<Vec<(Chosen, u16)>> {
    let mut all: Vec<(Chosen, u16)> = Vec::new();
    for door in wanted {
        for chosen in Selection::of([door.vm.clone()]).choose(vms)? {
            if !all
                .iter()
                .any(|(known, port)| known.vm == chosen.vm && *port == door.port)
            {
                all.push((chosen, door.port));
            }
        }
    }
    Ok(all)
}

/// Where a guest's port is reached.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) host_name: String,
    pub(crate) host: String,
    pub(crate) guest: IpAddr,
    pub(crate) port: u16,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.guest {
            IpAddr::V4(guest) => write!(f, "{guest}:{}", self.port)?,
            IpAddr::V6(guest) => write!(f, "[{guest}]:{}", self.port)?,
        }
        write!(f, " through {}", self.host_name)
    }
}

impl Place {
    /// Asks the pool.
    pub(crate) async fn look_up(client: &Client, vm: Ref<Vm>, port: u16) -> anyhow::Result<Self> {
        let record = client.vm(vm).record().await?;
        ensure!(!record.resident_on.is_null(), "it does not run");
        ensure!(
            !record.guest_metrics.is_null(),
            "it has no agent that would tell its address"
        );
        let host = client.host(record.resident_on);
        let metrics = client.vm_guest_metrics(record.guest_metrics);
        let (host_name, host, networks) = tokio::try_join!(host.name_label(), host.address(), metrics.networks())?;
        let guest = guest_address(&networks).context("its agent has told no address")?;
        Ok(Self {
            host_name,
            host,
            guest,
            port,
        })
    }
}
