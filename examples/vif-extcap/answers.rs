//! What Wireshark is answered.

use pcap_tap::extcap::{Interface, Number, Request, Selector, Sentences};

use xenapi_examples::note;

use crate::capture::capture;
use crate::hosts::Hosts;

/// The interface for a NIC that is chosen from a list.
pub(crate) const ANY: &str = "vif";
pub(crate) const NIC: &str = "nic";
pub(crate) const SNAPLEN: &str = "snaplen";
/// As tcpdump's.
const WHOLE: u64 = 262_144;

pub(crate) async fn answer(request: Request) -> anyhow::Result<()> {
    let mut said = Sentences::default();
    match request {
        Request::Interfaces => {
            let help = "https://crates.io/crates/pcap-tap";
            said.program(
                env!("CARGO_PKG_VERSION"),
                help,
                "Packets of VMs on XenServer and XCP-ng",
            );
            said.interface(&Interface::new(ANY, "A VM on XenServer or XCP-ng"));
            // Wireshark takes an error for a program that is none of its kind, and tells nobody why.
            let hosts = Hosts::read().unwrap_or_else(|error| {
                note(format!("{error:#}"));
                Hosts::default()
            });
            for interface in hosts.interfaces() {
                said.interface(&Interface::new(interface.value(), interface.label()));
            }
        }
        Request::LinkTypes { .. } => said.ethernet(),
        Request::Options { interface, reload } => {
            let mut hosts = Hosts::read()?;
            if reload.is_some() {
                hosts.refresh().await;
                hosts.write()?;
            }
            let nics = values(&hosts);
            match (reload, interface == ANY) {
                (Some(_), _) => said.values(0, &nics),
                (None, true) => said.selector(0, &Selector::reloadable(NIC, "NIC", nics)),
                (None, false) => {}
            }
            let bytes = Number {
                name: SNAPLEN,
                display: "Bytes of each packet (128 keep the headers)",
                default: WHOLE,
            };
            said.number(1, &bytes);
        }
        Request::Capture(request) => return capture(&request).await,
    }
    print!("{said}");
    Ok(())
}

fn values(hosts: &Hosts) -> Vec<(String, String)> {
    let interfaces = hosts.interfaces();
    let values = interfaces
        .iter()
        .map(|interface| (interface.value(), interface.label()));
    values.collect()
}
