use dom0::{Command, Dom0};

use super::vm::fill;
use super::{Error, Vm};

/// Addresses come from where VMs cannot write. `ovs-system` is every OVS bridge at once, so OVS itself is asked. A device that
/// is not up has no carrier to read, and cannot be captured: on a busy host it stays so for many seconds.
const NICS: &str = r#"for domain; do
base=/local/domain/0/backend/vif/$domain
for number in $(xenstore-list "$base" 2>/dev/null); do
echo "nic $domain $number vif"
xenstore-read "$base/$number/mac" 2>/dev/null || echo
xenstore-read "$base/$number/bridge" 2>/dev/null || echo
for device in "vif$domain.$number" "tap$domain.$number" "vif$domain.$number-emu"; do
cd "/sys/class/net/$device" 2>/dev/null || continue
bridge=$(readlink master)
case "$bridge" in */ovs-system) bridge=$(ovs-vsctl --timeout=2 port-to-br "$device" 2>/dev/null);; esac
carrier=$(cat carrier 2>/dev/null) || continue
echo "device $device $carrier $(cat statistics/rx_packets 2>/dev/null) $(cat statistics/tx_packets 2>/dev/null) ${bridge##*/}"
done
done
base=/local/domain/$domain/xenserver/device/net-sriov-vf
for number in $(xenstore-list "$base" 2>/dev/null); do
echo "nic $domain $number sriov"
xenstore-read "$base/$number/mac" 2>/dev/null || echo
echo
done
done"#;

/// How many names an error lists.
const MOST_NAMES: usize = 20;

impl Vm {
    /// The VMs that run on a host, with their NICs.
    pub async fn all(dom0: &Dom0) -> Result<Vec<Self>, Error> {
        let mut vms = running(dom0).await?;
        nics(dom0, &mut vms).await?;
        Ok(vms)
    }

    /// The VM with a name or a UUID, with its NICs.
    ///
    /// # Errors
    /// Where none or several of them run; what else does is told.
    pub async fn find(dom0: &Dom0, wanted: &str) -> Result<Self, Error> {
        let mut vms = running(dom0).await?;
        let is_uuid = |vm: &Self| vm.uuid.as_deref().is_some_and(|uuid| uuid.eq_ignore_ascii_case(wanted));
        let by_uuid = vms.iter().position(is_uuid);
        let named: Vec<_> = (0..vms.len())
            .filter(|&at| vms[at].name.as_deref() == Some(wanted))
            .collect();
        let at = match (by_uuid, &named[..]) {
            (Some(at), _) | (None, &[at]) => at,
            (None, []) => {
                return Err(Error::NoSuchVm {
                    host: dom0.host(),
                    wanted: wanted.into(),
                    running: vms.iter().map(Self::label).take(MOST_NAMES).collect(),
                });
            }
            (None, several) => {
                return Err(Error::SeveralVms {
                    host: dom0.host(),
                    wanted: wanted.into(),
                    uuids: several.iter().filter_map(|&at| vms[at].uuid.clone()).collect(),
                });
            }
        };
        let mut vm = vms.swap_remove(at);
        nics(dom0, std::slice::from_mut(&mut vm)).await?;
        Ok(vm)
    }

    /// The same VM as it runs now, perhaps as another domain; none while it does not run here.
    pub async fn again(&self, dom0: &Dom0) -> Result<Option<Self>, Error> {
        let same = |vm: &Self| match &self.uuid {
            Some(uuid) => vm.uuid.as_ref() == Some(uuid),
            None if self.name.is_some() => vm.uuid.is_none() && vm.name == self.name,
            None => vm.domain == self.domain,
        };
        let mut found: Vec<_> = running(dom0).await?.into_iter().filter(same).collect();
        // While one migrates on its own host, there are two for a while: the newer one goes on.
        found.sort_by_key(|vm| vm.domain);
        let Some(mut vm) = found.pop() else { return Ok(None) };
        nics(dom0, std::slice::from_mut(&mut vm)).await?;
        Ok(Some(vm))
    }
}

async fn running(dom0: &Dom0) -> Result<Vec<Vm>, Error> {
    let domains = dom0.domains().await?;
    Ok(domains
        .into_iter()
        .filter(|domain| domain.id != 0)
        .map(Vm::new)
        .collect())
}

async fn nics(dom0: &Dom0, vms: &mut [Vm]) -> Result<(), Error> {
    if vms.is_empty() {
        return Ok(());
    }
    let list = Command::raw(NICS).args(vms.iter().map(|vm| vm.domain.to_string()));
    let printed = dom0.run(&list).await?;
    fill(vms, &printed).map_err(|line| Error::Listing {
        host: dom0.host(),
        line,
    })
}
