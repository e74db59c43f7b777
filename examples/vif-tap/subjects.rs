//! What is captured.

use anyhow::{Context, ensure};
use clap::Args;
use dom0::Dom0;
use pcap_tap::live::{NicKind, Tap, Vm};
use xenapi_examples::{Running, Whereabouts, note};

const NOTHING: &str = "nothing to capture: say --vm NAME or --network NAME";

#[derive(Args)]
#[command(next_help_heading = "What to capture")]
pub(crate) struct Subjects {
    /// A VM, by name or UUID; several may be named
    #[arg(long = "vm", value_name = "VM")]
    vms: Vec<String>,
    /// Of each VM only the NIC with this number
    #[arg(long, value_name = "NUMBER")]
    nic: Option<u32>,
    /// What enters and leaves the hosts over this network of the pool, by name; without a pool, a device of the host
    #[arg(long = "network", value_name = "NETWORK")]
    networks: Vec<String>,
    /// Only packets that match, in tcpdump's language, such as 'tcp port 443'
    #[arg(long, value_name = "FILTER", default_value = "", hide_default_value = true)]
    filter: String,
    /// At most so many bytes of each packet; 128 keep the headers, and cost the host far less
    #[arg(long, value_name = "BYTES")]
    snaplen: Option<u32>,
    /// Memory of the control domain for packets that have not been taken yet, for each device
    #[arg(long, value_name = "KIB", default_value_t = 65_536)]
    ring: u32,
    /// End when a VM reboots or its device goes away otherwise
    #[arg(long)]
    no_follow: bool,
}

impl Subjects {
    pub(crate) async fn by_pool(&self, whereabouts: &Whereabouts) -> anyhow::Result<Tap> {
        self.check()?;
        let running = whereabouts.find(&self.vms).await?;
        let mut carriers = Vec::new();
        for network in &self.networks {
            for carrier in whereabouts.carriers(network).await? {
                if let Some(vlan) = carrier.vlan {
                    note(format!(
                        "{network} is VLAN {vlan} of {}: others may pass there too, and --filter 'vlan {vlan}' leaves them \
                         out where their tags are seen.",
                        carrier.device
                    ));
                }
                carriers.push((network, carrier));
            }
        }
        let first = running.first().map(|running| &running.dom0);
        let first = first.or(carriers.first().map(|(_, carrier)| &carrier.dom0));
        let mut tap = self.tap(first.context(NOTHING)?);
        for Running { dom0, vm } in &running {
            tap = self.with_vm(tap.at(dom0), vm);
        }
        for (network, carrier) in &carriers {
            let description = format!("{network} at {}", carrier.dom0.host());
            tap = tap.at(&carrier.dom0).device(&carrier.device, description);
        }
        for (bridge, name) in whereabouts.networks().await? {
            tap = tap.network(bridge, name);
        }
        let whereabouts = whereabouts.clone();
        Ok(tap.locate(move |vm| whereabouts.clone().again(vm)))
    }

    pub(crate) async fn at_host(&self, dom0: &Dom0) -> anyhow::Result<Tap> {
        self.check()?;
        let mut tap = self.tap(dom0);
        for wanted in &self.vms {
            tap = self.with_vm(tap, &Vm::find(dom0, wanted).await?);
        }
        for device in &self.networks {
            tap = tap.device(device, format!("{device} at {}", dom0.host()));
        }
        Ok(tap)
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.vms.is_empty() || !self.networks.is_empty(), NOTHING);
        Ok(())
    }

    fn tap(&self, dom0: &Dom0) -> Tap {
        let tap = Tap::new(dom0)
            .filter(&self.filter)
            .ring(self.ring)
            .follow(!self.no_follow);
        match self.snaplen {
            Some(bytes) => tap.snapshot_length(bytes),
            None => tap,
        }
    }

    fn with_vm(&self, tap: Tap, vm: &Vm) -> Tap {
        match self.nic {
            Some(number) => tap.nic(vm, number),
            None => {
                for nic in vm.nics.iter().filter(|nic| nic.kind == NicKind::SrIov) {
                    let (name, number) = (vm.label(), nic.number);
                    note(format!(
                        "NIC {number} of {name} is an SR-IOV virtual function, which the host does not see: it is left out."
                    ));
                }
                tap.vm(vm)
            }
        }
    }
}
