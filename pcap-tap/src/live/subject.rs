use dom0::{Command, Dom0};

use super::recorder::Source;
use super::{Error, Locate, Vm};

/// What is captured: it stays the same while its device changes.
#[derive(Debug, Clone)]
pub(super) enum Subject {
    /// A NIC of a VM, which was seen last as this.
    Nic { vm: Vm, number: u32 },
    /// A device of the control domain itself.
    Device { name: String, description: String },
}

impl Subject {
    /// What people call it.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Nic { vm, number } => format!("{}, NIC {number}", vm.label()),
            Self::Device { name, .. } => name.clone(),
        }
    }

    /// The device where its packets passed when it was looked at last.
    pub(super) fn device_now(&self) -> Option<String> {
        match self {
            Self::Nic { vm, number } => Some(vm.nic(*number)?.device()?.name.clone()),
            Self::Device { name, .. } => Some(name.clone()),
        }
    }

    /// Where it has its packets now, which may be at another host; none while that is nowhere.
    pub(super) async fn find(&mut self, dom0: &mut Dom0, locate: Option<&Locate>) -> Result<Option<String>, Error> {
        let vm = match self {
            Self::Nic { vm, .. } => vm,
            Self::Device { name, .. } => return Ok(exists(dom0, name).await?.then(|| name.clone())),
        };
        let found = match (vm.again(dom0).await, locate) {
            (Ok(Some(found)), _) => Some(found),
            (Ok(None), Some(locate)) => locate.elsewhere(vm, dom0).await?,
            (Err(Error::Dom0(error)), Some(locate)) if error.is_lost() => locate.elsewhere(vm, dom0).await?,
            (outcome, _) => outcome?,
        };
        let Some(found) = found else { return Ok(None) };
        *vm = found;
        Ok(self.device_now())
    }

    /// Whether its packets pass at another device than this one.
    pub(super) async fn has_left(&self, device: &str, dom0: &Dom0) -> Result<bool, Error> {
        let Self::Nic { vm, number } = self else {
            return Ok(false);
        };
        let vm = vm.again(dom0).await?;
        let now = vm.as_ref().and_then(|vm| vm.nic(*number)?.device());
        Ok(now.is_none_or(|now| now.name != device))
    }

    /// Whether the domain is still the VM.
    pub(super) async fn is_its_domain(&self, dom0: &Dom0) -> Result<bool, Error> {
        let Self::Nic { vm, .. } = self else { return Ok(true) };
        let Some(uuid) = &vm.uuid else { return Ok(true) };
        let domains = dom0.domains().await?;
        let domain = domains.iter().find(|domain| domain.id == vm.domain);
        Ok(domain.is_some_and(|domain| domain.uuid.as_ref() == Some(uuid)))
    }

    /// The interface for the file, of a device that it has now.
    pub(super) fn source(&self, device: &str) -> Source {
        let mut source = Source {
            device: device.into(),
            ..Source::default()
        };
        match self {
            Self::Nic { vm, number } => {
                let nic = vm.nic(*number);
                source.description = format!("{} / NIC {number}", vm.label());
                if let Some(bridge) = nic.and_then(|nic| nic.bridge.as_deref()) {
                    source.description = format!("{} / {bridge}", source.description);
                }
                source.mac = nic.and_then(|nic| nic.mac);
            }
            Self::Device { description, .. } => source.description = description.clone(),
        }
        source
    }
}

async fn exists(dom0: &Dom0, device: &str) -> Result<bool, Error> {
    let there = Command::raw(r#"test -e "/sys/class/net/$1""#).arg(device);
    Ok(dom0.output(&there).await?.exit.success())
}
