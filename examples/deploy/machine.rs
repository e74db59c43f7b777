//! One machine, in the pool.

use anyhow::Context as _;
use xenapi::vbd::VbdType;
use xenapi::vm::PowerState;
use xenapi::{Client, Map, Ref, Vdi, Vm, VmRecord};
use xenapi_examples::destroy_disk;

use crate::marks::{
    DONE, ENVIRONMENT, MACHINE, SELF, entry, is_disk_of, is_gone, machine_of, mark_vdi, mark_vm, unfinished_name,
    unless_gone, unmark,
};
use crate::targets::Source;

/// A machine that is there.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) name: String,
    pub(crate) vm: Ref<Vm>,
    pub(crate) record: VmRecord,
}

impl Machine {
    /// The step that was done last; none of one that was not finished being made.
    pub(crate) fn done(&self) -> Option<&str> {
        entry(&self.record.other_config, DONE)
    }

    /// All machines of an environment, finished or not.
    pub(crate) fn all(vms: &Map<Ref<Vm>, VmRecord>, environment: &str) -> Vec<Self> {
        let machine = |(&vm, record): (&Ref<Vm>, &VmRecord)| {
            let name = machine_of(record, environment)?;
            let record = record.clone();
            Some(Self { name, vm, record })
        };
        let mut machines: Vec<_> = vms.iter().filter_map(machine).collect();
        machines.sort_by(|a, b| a.name.cmp(&b.name));
        machines
    }

    /// Makes one out of its template. It has another name until it is whole and marked.
    pub(crate) async fn make(
        client: &Client,
        environment: &str,
        name: &str,
        source: &Source,
    ) -> anyhow::Result<Ref<Vm>> {
        let unfinished = unfinished_name(environment, name);
        let template = client.vm(source.vm);
        let vm = match source.sr {
            Some(sr) => template.copy(&unfinished, sr).await,
            None => template.clone_as(&unfinished).await,
        };
        let vm = vm.context("its template cannot be cloned")?;
        let machine = client.vm(vm);
        unmark(client, vm, &disks(client, vm).await?, &machine.vifs().await?).await?;
        let uuid = machine.uuid().await?;
        let marks = [(ENVIRONMENT, environment), (MACHINE, name), (SELF, &uuid)];
        mark_vm(client, vm, &marks).await?;
        if source.is_template {
            machine
                .provision()
                .await
                .context("its template's disks cannot be made")?;
            if machine.is_a_template().await? {
                machine.set_is_a_template(false).await?;
            }
        }
        for disk in disks(client, vm).await? {
            let uuid = client.vdi(disk).uuid().await?;
            let marks = [(ENVIRONMENT, environment), (MACHINE, name), (SELF, &uuid)];
            mark_vdi(client, disk, &marks).await?;
        }
        machine.set_name_label(name).await?;
        mark_vm(client, vm, &[(DONE, "make")]).await?;
        Ok(vm)
    }

    /// Destroys it with its snapshots and its own disks. One that was not finished has no others.
    pub(crate) async fn destroy(&self, client: &Client, environment: &str) -> anyhow::Result<()> {
        let vm = client.vm(self.vm);
        let record = match vm.record().await {
            Err(error) if is_gone(&error) => return Ok(()),
            record => record?,
        };
        if record.power_state != PowerState::Halted {
            unless_gone(vm.hard_shutdown().await)?;
        }
        let mut doomed = Vec::new();
        for of in record.snapshots.iter().copied().chain([self.vm]) {
            for disk in disks(client, of).await? {
                let vdi = client.vdi(disk).record().await?;
                let is_own = is_disk_of(&vdi, environment);
                let is_of_snapshot = of != self.vm && vdi.is_a_snapshot;
                if is_own || is_of_snapshot || self.done().is_none() {
                    doomed.push(disk);
                }
            }
        }
        for snapshot in record.snapshots {
            unless_gone(client.vm(snapshot).destroy().await)?;
        }
        unless_gone(vm.destroy().await)?;
        for disk in doomed {
            unless_gone(destroy_disk(client, disk).await)?;
        }
        Ok(())
    }
}

/// The disks of a VM: no ISO.
pub(crate) async fn disks(client: &Client, vm: Ref<Vm>) -> xenapi::Result<Vec<Ref<Vdi>>> {
    let mut disks = Vec::new();
    for vbd in client.vm(vm).vbds().await? {
        let vbd = client.vbd(vbd).record().await?;
        if vbd.kind == VbdType::Disk && !vbd.empty {
            disks.push(vbd.vdi);
        }
    }
    Ok(disks)
}
