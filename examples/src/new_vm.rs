//! VMs made around disks that are there.

use xenapi::vbd::{VbdMode, VbdType};
use xenapi::{Map, Network, Ref, VbdRecord, Vdi, VifRecord, Vm};

use crate::{Pool, note};

/// A VM that is to be made.
#[derive(Clone, Debug)]
pub struct NewVm<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it is a clone of, without disks of its own.
    pub template: Ref<Vm>,
    /// How many processors.
    pub cpus: i64,
    /// How many bytes of memory.
    pub memory: i64,
    /// `bios` or `uefi`.
    pub firmware: &'a str,
    /// Its disks with their positions in it, the one that it boots from first.
    pub disks: &'a [(String, Ref<Vdi>)],
    /// Its NICs.
    pub nics: &'a [NewNic],
}

/// A NIC of a VM that is to be made.
#[derive(Clone, Debug)]
pub struct NewNic {
    /// Its number in the VM.
    pub device: String,
    /// Where it is plugged in.
    pub network: Ref<Network>,
    /// Its address; without one the pool makes one.
    pub mac: Option<String>,
}

impl NewVm<'_> {
    /// Makes it. What went wrong leaves nothing but the disks. It takes a moment and is not given up halfway: on ctrl-c
    /// nobody would know of the VM.
    ///
    /// # Errors
    /// Where the server refuses.
    pub async fn make(&self, pool: &Pool) -> anyhow::Result<Ref<Vm>> {
        let vm = pool.vm(self.template).clone_as(self.name).await?;
        match self.dress(pool, vm).await {
            Ok(()) => Ok(vm),
            Err(error) => {
                if let Err(left) = pool.vm(vm).destroy().await {
                    note(format!("the VM {} is left on the pool: {left}", self.name));
                }
                Err(error.into())
            }
        }
    }

    async fn dress(&self, pool: &Pool, vm: Ref<Vm>) -> xenapi::Result<()> {
        let handle = pool.vm(vm);
        if handle.is_a_template().await? {
            // The disks that the template would make are those that are there already.
            handle.remove_from_other_config("disks").await?;
            handle.provision().await?;
            if handle.is_a_template().await? {
                handle.set_is_a_template(false).await?;
            }
        }
        handle.set_memory(self.memory).await?;
        // Neither may be above the other in between.
        if handle.vcpus_max().await? < self.cpus {
            handle.set_vcpus_max(self.cpus).await?;
            handle.set_vcpus_at_startup(self.cpus).await?;
        } else {
            handle.set_vcpus_at_startup(self.cpus).await?;
            handle.set_vcpus_max(self.cpus).await?;
        }
        let boot = [("order", "cd"), ("firmware", self.firmware)];
        let boot: Map<String, String> = boot
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect();
        handle.set_hvm_boot_params(&boot).await?;
        for (number, (position, vdi)) in self.disks.iter().enumerate() {
            let mut vbd = VbdRecord::default();
            vbd.vm = vm;
            vbd.vdi = *vdi;
            vbd.userdevice.clone_from(position);
            vbd.bootable = number == 0;
            vbd.kind = VbdType::Disk;
            vbd.mode = VbdMode::Rw;
            pool.vbds().create(&vbd).await?;
        }
        for nic in self.nics {
            let mut vif = VifRecord::default();
            vif.vm = vm;
            vif.network = nic.network;
            vif.device.clone_from(&nic.device);
            vif.mac = nic.mac.clone().unwrap_or_default();
            vif.mtu = 1500;
            pool.vifs().create(&vif).await?;
        }
        Ok(())
    }
}
