//! Which guests, which ports, and where they are at the moment.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use anyhow::{Context as _, ensure};
use xenapi::{Client, Map, Ref, Vm, VmRecord};
use xenapi_examples::{Chosen, Selection};

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
        let guest = address(&networks).context("its agent has told no address")?;
        Ok(Self {
            host_name,
            host,
            guest,
            port,
        })
    }
}

/// The address of the first device that has one that leads anywhere, IPv4 first: `0/ip`, `0/ipv4/0`, `0/ipv6/0`.
fn address(networks: &Map<String, String>) -> Option<IpAddr> {
    let found = networks.iter().filter_map(|(key, value)| {
        let device: u32 = key.split('/').next()?.parse().ok()?;
        let address: IpAddr = value.parse().ok()?;
        let leads = match address {
            IpAddr::V4(v4) => !v4.is_link_local() && !v4.is_unspecified(),
            IpAddr::V6(v6) => !v6.is_unicast_link_local() && !v6.is_unspecified(),
        };
        leads.then_some((address.is_ipv6(), device, address))
    });
    found.min().map(|(.., address)| address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_address_that_leads_anywhere() {
        let networks = [
            ("0/ip", "169.254.3.4"),
            ("0/ipv6/0", "fd00::1"),
            ("10/ip", "10.0.0.10"),
            ("2/ip", "10.0.0.2"),
        ];
        let networks = networks.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(
            address(&networks.into_iter().collect()),
            Some("10.0.0.2".parse().unwrap())
        );
        let only: Map<_, _> = [("0/ipv6/1".to_owned(), "fd00::2".to_owned())].into_iter().collect();
        assert_eq!(address(&only), Some("fd00::2".parse().unwrap()));
    }
}
