//! Whose each disk is, what it takes, and what nobody needs.

use std::collections::HashSet;

use xenapi::vdi::VdiType;
use xenapi::{Map, Ref, Sr, SrRecord, Vbd, VbdRecord, Vdi, VdiRecord, Vm, VmRecord};

/// The records of a pool that tell about disks.
pub(crate) struct Survey {
    pub(crate) srs: Map<Ref<Sr>, SrRecord>,
    pub(crate) vdis: Map<Ref<Vdi>, VdiRecord>,
    pub(crate) vbds: Map<Ref<Vbd>, VbdRecord>,
    pub(crate) vms: Map<Ref<Vm>, VmRecord>,
    /// The hosts of storage that one host alone has.
    pub(crate) hosts: Map<Ref<Sr>, String>,
    by_uuid: Map<String, Ref<Vdi>>,
    suspended: HashSet<Ref<Vdi>>,
}

/// What a disk is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A VM, template or snapshot of a VM has it.
    Used,
    /// It is a snapshot of a disk that is there.
    Snapshot,
    /// It is below other images, which would be nothing without it.
    Parent,
    /// The server keeps something in it, or a suspended VM's memory.
    Service,
    /// No VM has it.
    Unused,
    /// It is the snapshot of a disk that is gone, and no VM has it.
    Leftover,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Snapshot => "snapshot",
            Self::Parent => "parent",
            Self::Service => "service",
            Self::Unused => "unused",
            Self::Leftover => "leftover",
        }
    }

    pub(crate) fn could_go(self) -> bool {
        matches!(self, Self::Unused | Self::Leftover)
    }
}

/// A VM that has a disk, and as what.
pub(crate) struct User<'a> {
    pub(crate) vm: &'a VmRecord,
    pub(crate) vbd: &'a VbdRecord,
}

impl Survey {
    pub(crate) fn new(
        srs: Map<Ref<Sr>, SrRecord>,
        vdis: Map<Ref<Vdi>, VdiRecord>,
        vbds: Map<Ref<Vbd>, VbdRecord>,
        vms: Map<Ref<Vm>, VmRecord>,
        hosts: Map<Ref<Sr>, String>,
    ) -> Self {
        Self {
            by_uuid: vdis.iter().map(|(vdi, record)| (record.uuid.clone(), *vdi)).collect(),
            suspended: vms.values().map(|vm| vm.suspend_vdi).collect(),
            hosts,
            srs,
            vdis,
            vbds,
            vms,
        }
    }

    /// The storage that holds disks of VMs, by name.
    pub(crate) fn storage(&self) -> Vec<(Ref<Sr>, &SrRecord)> {
        let mut storage: Vec<_> = self.srs.iter().map(|(sr, record)| (*sr, record)).collect();
        storage.retain(|(_, sr)| sr.content_type != "iso" && !sr.is_tools_sr && sr.kind != "udev");
        storage.sort_by(|(_, a), (_, b)| a.name_label.cmp(&b.name_label));
        storage
    }

    /// The disks of an SR, the ones of VMs first.
    pub(crate) fn disks_of(&self, sr: Ref<Sr>) -> Vec<(Ref<Vdi>, &VdiRecord)> {
        let mut disks: Vec<_> = self
            .vdis
            .iter()
            .filter(|(_, disk)| disk.sr == sr)
            .map(|(vdi, disk)| (*vdi, disk))
            .collect();
        disks.sort_by_key(|(_, disk)| (self.role(disk) as u8, disk.name_label.clone(), disk.uuid.clone()));
        disks
    }

    pub(crate) fn users(&self, disk: &VdiRecord) -> Vec<User<'_>> {
        let vbds = disk.vbds.iter().filter_map(|vbd| self.vbds.get(vbd));
        vbds.filter_map(|vbd| {
            Some(User {
                vm: self.vms.get(&vbd.vm)?,
                vbd,
            })
        })
        .collect()
    }

    pub(crate) fn role(&self, disk: &VdiRecord) -> Role {
        let is_of_vm = matches!(disk.kind, VdiType::User | VdiType::System | VdiType::Ephemeral);
        let is_memory = self
            .by_uuid
            .get(&disk.uuid)
            .is_some_and(|vdi| self.suspended.contains(vdi));
        if !disk.managed {
            Role::Parent
        } else if !self.users(disk).is_empty() {
            Role::Used
        } else if disk.kind == VdiType::Suspend && !is_memory {
            Role::Unused
        } else if !is_of_vm || is_memory {
            Role::Service
        } else if !disk.is_a_snapshot {
            Role::Unused
        } else if self.vdis.contains_key(&disk.snapshot_of) {
            Role::Snapshot
        } else {
            Role::Leftover
        }
    }

    /// The image of a disk and those below it, the disk's first.
    pub(crate) fn chain(&self, vdi: Ref<Vdi>) -> Vec<Ref<Vdi>> {
        let mut chain = Vec::new();
        let mut next = Some(vdi);
        while let Some(image) = next.filter(|image| !chain.contains(image)) {
            chain.push(image);
            let parent = self.vdis.get(&image).and_then(|disk| disk.sm_config.get("vhd-parent"));
            next = parent.and_then(|uuid| self.by_uuid.get(uuid)).copied();
        }
        chain
    }

    /// What becomes free when all that could go from an SR has gone, parents that nothing else needs included: bytes.
    pub(crate) fn could_be_freed(&self, sr: Ref<Sr>) -> u64 {
        let disks = self.disks_of(sr);
        let images = |goes: bool| -> HashSet<Ref<Vdi>> {
            let tops = disks.iter().filter(|(_, disk)| {
                let role = self.role(disk);
                role != Role::Parent && role.could_go() == goes
            });
            tops.flat_map(|(vdi, _)| self.chain(*vdi)).collect()
        };
        let (stays, goes) = (images(false), images(true));
        goes.difference(&stays).map(|image| self.taken(*image)).sum()
    }

    /// What one image takes, in bytes; 0 where the storage does not tell.
    pub(crate) fn taken(&self, vdi: Ref<Vdi>) -> u64 {
        let taken = self.vdis.get(&vdi).map_or(0, |disk| disk.physical_utilisation);
        u64::try_from(taken).unwrap_or(0)
    }
}
