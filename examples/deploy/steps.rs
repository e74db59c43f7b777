//! What is done to a machine, one after the other. Each step can be done again where it was begun and not finished.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use dom0::{Command, Exit};
use tokio::time::{Instant, sleep};
use xenapi::vbd::{VbdMode, VbdType};
use xenapi::vdi::VdiType;
use xenapi::vm::PowerState;
use xenapi::{Client, Map, Ref, VbdRecord, VdiRecord, VifRecord, Vm};
use xenapi_examples::{Sessions, guest_address};

use crate::file::{Block, Run};
use crate::marks::{DONE, ENVIRONMENT, MACHINE, NUMBER, SELF, entry, is_disk_of, mark_vdi, mark_vm};
use crate::targets::Targets;

/// A step that comes after a machine was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Configure,
    Disks,
    Nics,
    Iso,
    Start,
    Address,
    Run,
    Snapshot,
}

impl Step {
    const ALL: [Self; 8] = [
        Self::Configure,
        Self::Disks,
        Self::Nics,
        Self::Iso,
        Self::Start,
        Self::Address,
        Self::Run,
        Self::Snapshot,
    ];

    /// Its name, also in the mark.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Disks => "disks",
            Self::Nics => "nics",
            Self::Iso => "iso",
            Self::Start => "start",
            Self::Address => "address",
            Self::Run => "run",
            Self::Snapshot => "snapshot",
        }
    }

    /// The steps of a block's machines.
    pub(crate) fn of(block: &Block) -> Vec<Self> {
        let is_wanted = |step: &Self| match step {
            Self::Configure => {
                block.cpus.is_some() || block.memory.is_some() || block.boot.is_some() || !block.xenstore.is_empty()
            }
            Self::Disks => !block.disks.is_empty(),
            Self::Nics => !block.nics.is_empty(),
            Self::Iso => block.iso.is_some(),
            Self::Start => block.start,
            Self::Address => block.address.is_some(),
            Self::Run => block.run.is_some(),
            Self::Snapshot => block.snapshot.is_some(),
        };
        Self::ALL.into_iter().filter(is_wanted).collect()
    }

    /// Those that are left of them behind the one that was done last.
    pub(crate) fn after(block: &Block, done: &str) -> Vec<Self> {
        let rank = Self::ALL.iter().position(|step| step.name() == done);
        let is_left =
            |step: &Self| rank.is_none_or(|rank| Self::ALL.iter().position(|known| known == step) > Some(rank));
        Self::of(block).into_iter().filter(is_left).collect()
    }
}

/// What a machine is and where, while steps are done to it.
pub(crate) struct Work<'a> {
    pub(crate) client: &'a Client,
    pub(crate) guests: &'a Sessions,
    pub(crate) environment: &'a str,
    pub(crate) machine: &'a str,
    pub(crate) block: &'a Block,
    pub(crate) targets: &'a Targets,
    pub(crate) vm: Ref<Vm>,
}

impl Work<'_> {
    /// Does a step, and marks that it is done.
    pub(crate) async fn step(&self, step: Step) -> anyhow::Result<()> {
        match step {
            Step::Configure => self.configure().await,
            Step::Disks => self.disks().await,
            Step::Nics => self.nics().await,
            Step::Iso => match self.targets.iso {
                Some(iso) => self.client.vm(self.vm).insert_iso(iso).await.map_err(Into::into),
                None => Ok(()),
            },
            Step::Start => self.start().await,
            Step::Address => self.address().await.map(drop),
            Step::Run => match &self.block.run {
                Some(run) => self.run(run).await,
                None => Ok(()),
            },
            Step::Snapshot => self.snapshot().await,
        }?;
        Ok(mark_vm(self.client, self.vm, &[(DONE, step.name())]).await?)
    }

    async fn configure(&self) -> anyhow::Result<()> {
        let vm = self.client.vm(self.vm);
        if let Some(memory) = self.block.memory {
            vm.set_memory(memory.0).await?;
        }
        if let Some(cpus) = self.block.cpus.map(i64::from) {
            // Neither may be above the other in between.
            if vm.vcpus_max().await? < cpus {
                vm.set_vcpus_max(cpus).await?;
                vm.set_vcpus_at_startup(cpus).await?;
            } else {
                vm.set_vcpus_at_startup(cpus).await?;
                vm.set_vcpus_max(cpus).await?;
            }
        }
        if let Some(order) = &self.block.boot {
            let others = vm
                .hvm_boot_params()
                .await?
                .into_iter()
                .filter(|(key, _)| key != "order");
            let all: Map<String, String> = others.chain([("order".to_owned(), order.clone())]).collect();
            vm.set_hvm_boot_params(&all).await?;
        }
        if !self.block.xenstore.is_empty() {
            let ours = &self.block.xenstore;
            let others = vm
                .xenstore_data()
                .await?
                .into_iter()
                .filter(|(key, _)| !ours.contains_key(key));
            let all: Map<String, String> = others.chain(ours.clone()).collect();
            vm.set_xenstore_data(&all).await?;
        }
        Ok(())
    }

    /// Each disk is marked from its first moment, so that it is found again.
    async fn disks(&self) -> anyhow::Result<()> {
        let vdis = self.client.vdis().all_records().await?;
        for (number, (disk, &sr)) in self.block.disks.iter().zip(&self.targets.srs).enumerate() {
            let number = (number + 1).to_string();
            let marks = [
                (ENVIRONMENT, self.environment),
                (MACHINE, self.machine),
                (NUMBER, &number),
            ];
            let is_it = |map: &Map<String, String>| marks.iter().all(|(key, value)| entry(map, key) == Some(value));
            let known = vdis
                .iter()
                .find(|(_, vdi)| !vdi.is_a_snapshot && is_disk_of(vdi, self.environment) && is_it(&vdi.other_config));
            let vdi = match known {
                Some((&vdi, record)) if record.vbds.is_empty() => vdi,
                Some(_) => continue,
                None => {
                    let mut record = VdiRecord::default();
                    record.name_label = format!("{} disk {number}", self.machine);
                    record.sr = sr;
                    record.virtual_size = disk.size.0;
                    record.kind = VdiType::User;
                    record.other_config = marks
                        .iter()
                        .map(|(key, value)| (key.to_string(), value.to_string()))
                        .collect();
                    let vdi = self.client.vdis().create(&record).await?;
                    let uuid = self.client.vdi(vdi).uuid().await?;
                    mark_vdi(self.client, vdi, &[(SELF, &uuid)]).await?;
                    vdi
                }
            };
            let mut vbd = VbdRecord::default();
            vbd.vm = self.vm;
            vbd.vdi = vdi;
            vbd.userdevice = "autodetect".to_owned();
            vbd.kind = VbdType::Disk;
            vbd.mode = VbdMode::Rw;
            self.client.vbds().create(&vbd).await?;
        }
        Ok(())
    }

    /// The template's go; each new one is marked.
    async fn nics(&self) -> anyhow::Result<()> {
        let mut there = Vec::new();
        for vif in self.client.vm(self.vm).vifs().await? {
            let record = self.client.vif(vif).record().await?;
            match entry(&record.other_config, NUMBER) {
                Some(number) => there.push(number.to_owned()),
                None => self.client.vif(vif).destroy().await?,
            }
        }
        for (number, &network) in self.targets.networks.iter().enumerate() {
            let device = number.to_string();
            if there.contains(&device) {
                continue;
            }
            let mut vif = VifRecord::default();
            vif.vm = self.vm;
            vif.network = network;
            vif.device.clone_from(&device);
            vif.mtu = 1500;
            vif.other_config = [(NUMBER.to_owned(), device)].into_iter().collect();
            self.client.vifs().create(&vif).await?;
        }
        Ok(())
    }

    async fn start(&self) -> anyhow::Result<()> {
        let vm = self.client.vm(self.vm);
        match vm.power_state().await? {
            PowerState::Halted => vm.start(false, false).await?,
            PowerState::Suspended => vm.resume(false, false).await?,
            PowerState::Paused => vm.unpause().await?,
            _ => {}
        }
        Ok(())
    }

    async fn address(&self) -> anyhow::Result<IpAddr> {
        let seconds = self.block.address.unwrap_or_default();
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            let metrics = self.client.vm(self.vm).guest_metrics().await?;
            if !metrics.is_null()
                && let Ok(networks) = self.client.vm_guest_metrics(metrics).networks().await
                && let Some(address) = guest_address(&networks)
            {
                return Ok(address);
            }
            ensure!(Instant::now() < end, "its agent has told no address within {seconds} s");
            sleep(Duration::from_millis(500)).await;
        }
    }

    async fn run(&self, run: &Run) -> anyhow::Result<()> {
        let place = match self.address().await? {
            IpAddr::V4(address) => format!("{}@{address}", run.user),
            IpAddr::V6(address) => format!("{}@[{address}]", run.user),
        };
        let guest = self.guests.to(&place).await?;
        let output = guest.output(&Command::raw(run.command.as_str())).await?;
        match &output.exit {
            Exit::Code(0) => Ok(()),
            exit => bail!("{:?} ended with {exit}: {}", run.command, output.errors().trim()),
        }
    }

    /// One that was taken before is the one.
    async fn snapshot(&self) -> anyhow::Result<()> {
        let Some(name) = &self.block.snapshot else {
            return Ok(());
        };
        if self.find_snapshot(name).await?.is_none() {
            self.client.vm(self.vm).snapshot(name).await?;
        }
        Ok(())
    }

    async fn find_snapshot(&self, name: &str) -> anyhow::Result<Option<Ref<Vm>>> {
        find_snapshot(self.client, self.vm, name).await
    }
}

/// The snapshot of a VM by its name.
pub(crate) async fn find_snapshot(client: &Client, vm: Ref<Vm>, name: &str) -> anyhow::Result<Option<Ref<Vm>>> {
    for snapshot in client.vm(vm).snapshots().await? {
        let label = client
            .vm(snapshot)
            .name_label()
            .await
            .context("a snapshot cannot be read")?;
        if label == name {
            return Ok(Some(snapshot));
        }
    }
    Ok(None)
}
