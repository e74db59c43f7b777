//! What runs on a host and where its packets pass, as plain data.

use dom0::xen::{Domain, unescape};

use crate::Mac;

/// A VM that runs on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vm {
    /// Its domain, another at every start.
    pub domain: u32,
    /// Its UUID; a toolstack without a database may have given none.
    pub uuid: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its NICs, by their numbers.
    pub nics: Vec<Nic>,
}

/// A NIC of a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Nic {
    /// Its number in the VM. Numbers may be missing in between.
    pub number: u32,
    /// What it is.
    pub kind: NicKind,
    /// Its address.
    pub mac: Option<Mac>,
    /// The bridge that it is plugged into, such as `xenbr0`.
    pub bridge: Option<String>,
    /// Its ends in the control domain that are up: none while the VM starts, one, or two while it may still use an emulated
    /// NIC.
    pub devices: Vec<Device>,
}

/// How a NIC reaches the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NicKind {
    /// Through the control domain, which sees its packets.
    Bridged,
    /// A virtual function of a physical card (SR-IOV): its packets go past the control domain.
    SrIov,
}

/// A network device of the control domain.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Device {
    /// Its name: `vif7.0`, `tap7.0`, or `vif7.0-emu`.
    pub name: String,
    /// Whether it is the end of an emulated NIC, which a VM without drivers for Xen uses.
    pub is_emulated: bool,
    /// Whether the VM has connected to it.
    pub has_carrier: bool,
    /// How many packets went through it, both ways.
    pub packets: u64,
}

impl Vm {
    /// The name, or what there is in its place.
    pub fn label(&self) -> String {
        let name = self.name.clone().or_else(|| self.uuid.clone());
        name.unwrap_or_else(|| format!("domain {}", self.domain))
    }

    /// A NIC by its number.
    pub fn nic(&self, number: u32) -> Option<&Nic> {
        self.nics.iter().find(|nic| nic.number == number)
    }

    pub(super) fn new(domain: Domain) -> Self {
        Self {
            domain: domain.id,
            uuid: domain.uuid,
            name: domain.name,
            nics: Vec::new(),
        }
    }
}

impl Nic {
    /// The device that carries the NIC's packets now: the one that the VM has connected to; of two, the one that has seen
    /// packets; and rather the paravirtual one than the emulated one.
    ///
    /// While a VM boots this is the emulated one, until its drivers for Xen take over.
    pub fn device(&self) -> Option<&Device> {
        let rank = |device: &&Device| (device.has_carrier, device.packets > 0, !device.is_emulated);
        self.devices.iter().max_by_key(rank)
    }
}

/// Reads what the listing prints: `nic DOMAIN KIND NUMBER` with its address and bridge in a line each, then
/// `device NAME CARRIER RECEIVED SENT BRIDGE` for each of its devices. Gives back the first line that is not understood.
pub(super) fn fill(vms: &mut [Vm], printed: &[u8]) -> Result<(), String> {
    let mut lines = printed.split(|&byte| byte == b'\n');
    let mut last: Option<(u32, Nic)> = None;
    while let Some(line) = lines.next() {
        let text = String::from_utf8_lossy(line);
        let wrong = || text.chars().take(200).collect::<String>();
        let mut words = text.split(' ');
        match words.next() {
            Some("nic") => {
                add(vms, last.take());
                let mut number = || words.next().and_then(|word| word.parse().ok());
                let domain = number().ok_or_else(wrong)?;
                let number = number().ok_or_else(wrong)?;
                let kind = match words.next() {
                    Some("vif") => NicKind::Bridged,
                    Some("sriov") => NicKind::SrIov,
                    _ => return Err(wrong()),
                };
                let mut value = || {
                    let value = lines.next().map(unescape).ok_or_else(wrong)?;
                    let value = String::from_utf8_lossy(&value).into_owned();
                    Ok::<_, String>(Some(value).filter(|value| !value.is_empty()))
                };
                let nic = Nic {
                    number,
                    kind,
                    mac: value()?.and_then(|mac| mac.parse().ok()),
                    bridge: value()?,
                    devices: Vec::new(),
                };
                last = Some((domain, nic));
            }
            Some("device") => {
                let (_, nic) = last.as_mut().ok_or_else(wrong)?;
                let name = words.next().ok_or_else(wrong)?.to_owned();
                let carrier = words.next().ok_or_else(wrong)?;
                let mut count = || words.next().map(|word| word.parse().unwrap_or(0_u64));
                let (received, sent) = (count().ok_or_else(wrong)?, count().ok_or_else(wrong)?);
                if let Some(bridge) = words.next().filter(|bridge| !bridge.is_empty()) {
                    nic.bridge.get_or_insert_with(|| bridge.to_owned());
                }
                nic.devices.push(Device {
                    is_emulated: !name.starts_with("vif") || name.ends_with("-emu"),
                    name,
                    has_carrier: carrier == "1",
                    packets: received.saturating_add(sent),
                });
            }
            Some("") => {}
            _ => return Err(wrong()),
        }
    }
    add(vms, last);
    Ok(())
}

fn add(vms: &mut [Vm], nic: Option<(u32, Nic)>) {
    let Some((domain, nic)) = nic else { return };
    if let Some(vm) = vms.iter_mut().find(|vm| vm.domain == domain) {
        vm.nics.push(nic);
        vm.nics.sort_by_key(|nic| nic.number);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vm(domain: u32) -> Vm {
        Vm {
            domain,
            uuid: None,
            name: None,
            nics: Vec::new(),
        }
    }

    #[test]
    fn a_host_with_two_vms() {
        let printed = b"nic 7 1 vif\n02:00:00:00:00:17\nxenbr1\ndevice vif7.1 1 5 6 xenbr9\n\
            nic 7 0 vif\n02:00:00:00:00:07\n\ndevice vif7.0 0 0 0 \ndevice tap7.0 1 13 20 xapi0\n\
            nic 9 2 sriov\n02:00:00:00:00:29\n\n";
        let mut vms = [vm(7), vm(9)];
        fill(&mut vms, printed).unwrap();
        let numbers: Vec<_> = vms[0].nics.iter().map(|nic| nic.number).collect();
        assert_eq!(numbers, [0, 1]);
        let nic = vms[0].nic(0).unwrap();
        assert_eq!(
            nic.bridge.as_deref(),
            Some("xapi0"),
            "the device tells where xenstore does not"
        );
        assert_eq!(nic.device().unwrap().name, "tap7.0", "the VM has no drivers for Xen");
        assert_eq!(nic.mac.unwrap().to_string(), "02:00:00:00:00:07");
        assert_eq!(vms[0].nic(1).unwrap().bridge.as_deref(), Some("xenbr1"));
        let function = vms[1].nic(2).unwrap();
        assert_eq!((function.kind, function.device()), (NicKind::SrIov, None));
    }

    #[test]
    fn the_device_with_traffic_is_chosen() {
        let device = |name: &str, has_carrier, packets| Device {
            name: name.into(),
            is_emulated: name.ends_with("-emu"),
            has_carrier,
            packets,
        };
        let chosen = |devices: [Device; 2]| {
            let nic = Nic {
                number: 0,
                kind: NicKind::Bridged,
                mac: None,
                bridge: None,
                devices: devices.into(),
            };
            nic.device().unwrap().name.clone()
        };
        assert_eq!(
            chosen([device("vif3.0", false, 0), device("vif3.0-emu", true, 0)]),
            "vif3.0-emu"
        );
        assert_eq!(
            chosen([device("vif3.0", true, 4), device("vif3.0-emu", true, 9)]),
            "vif3.0"
        );
        assert_eq!(
            chosen([device("vif3.0", true, 0), device("vif3.0-emu", true, 9)]),
            "vif3.0-emu"
        );
        assert_eq!(
            chosen([device("vif3.0", false, 0), device("vif3.0-emu", false, 0)]),
            "vif3.0"
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for printed in [
            "nic 7\n",
            "nic 7 0 pci\n\n\n",
            "nic 7 0 vif",
            "device vif7.0 1 0 0 x\n",
            "hello\n",
        ] {
            assert!(fill(&mut [vm(7)], printed.as_bytes()).is_err(), "{printed:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(printed: Vec<u8>, text in "(nic [0-9] [0-9] (vif|sriov)|device vif|\n| 1){0,20}") {
            let _ = (fill(&mut [vm(1)], &printed), fill(&mut [vm(1)], text.as_bytes()));
        }
    }
}
