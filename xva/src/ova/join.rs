//! Follows the references from machines over drives to disk images and storage repositories.

use std::collections::HashMap;

use super::{Object, Value, Vdi, Vm, VmDisk};

/// Gathers the objects of interest in any order, then joins them.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    vms: Vec<Vm>,
    vbds: Vec<Vbd>,
    /// Each image with the id of its storage repository.
    vdis: Vec<(Vdi, String)>,
    srs: HashMap<String, Sr>,
}

#[derive(Debug)]
struct Vbd {
    vm: String,
    vdi: String,
    is_cd: bool,
    disk: VmDisk,
}

#[derive(Debug)]
struct Sr {
    name_label: String,
    is_iso: bool,
}

impl Joiner {
    pub(super) fn add(&mut self, object: Object) {
        let Object { class, id, record } = object;
        let text = |name| record.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let flag = |name| record.get(name).and_then(Value::as_bool).unwrap_or_default();
        match class.as_str() {
            "VM" => self.vms.push(Vm {
                id,
                uuid: text("uuid"),
                name_label: text("name_label"),
                name_description: text("name_description"),
                power_state: text("power_state"),
                is_a_template: flag("is_a_template"),
                is_a_snapshot: flag("is_a_snapshot"),
                disks: Vec::new(),
            }),
            "VBD" => self.vbds.push(Vbd {
                vm: text("VM"),
                vdi: text("VDI"),
                is_cd: text("type") == "CD",
                disk: VmDisk {
                    id: text("VDI"),
                    userdevice: text("userdevice"),
                    device: text("device"),
                    bootable: flag("bootable"),
                    read_only: text("mode") == "RO",
                    name_label: String::new(),
                    virtual_size: None,
                    sr_name: None,
                    vdi_type: String::new(),
                },
            }),
            "VDI" => {
                let size = record.get("virtual_size").and_then(Value::as_i64);
                let vdi = Vdi {
                    id,
                    uuid: text("uuid"),
                    name_label: text("name_label"),
                    name_description: text("name_description"),
                    vdi_type: text("type"),
                    virtual_size: size.and_then(|size| size.try_into().ok()),
                    sr_name: None,
                    is_exported: false,
                };
                self.vdis.push((vdi, text("SR")));
            }
            "SR" => {
                let sr = Sr {
                    name_label: text("name_label"),
                    is_iso: text("content_type") == "iso",
                };
                self.srs.insert(id, sr);
            }
            _ => {}
        }
    }

    pub(super) fn finish(mut self) -> (Vec<Vm>, Vec<Vdi>) {
        self.vbds.retain(|vbd| !vbd.is_cd && !is_null(&vbd.vdi));
        let mut vdis = self.vdis();
        vdis.sort_by(|a, b| a.id.cmp(&b.id));
        vdis.dedup_by(|a, b| a.id == b.id);
        let vdi_at: HashMap<&str, usize> = vdis.iter().enumerate().map(|(i, vdi)| (vdi.id.as_str(), i)).collect();
        let vm_at: HashMap<String, usize> = self.vms.iter().enumerate().map(|(i, vm)| (vm.id.clone(), i)).collect();
        for vbd in self.vbds {
            let Some(vm) = vm_at.get(&vbd.vm).and_then(|&i| self.vms.get_mut(i)) else {
                continue;
            };
            let mut disk = vbd.disk;
            if let Some(vdi) = vdi_at.get(disk.id.as_str()).and_then(|&i| vdis.get(i)) {
                disk.name_label.clone_from(&vdi.name_label);
                disk.virtual_size = vdi.virtual_size;
                disk.sr_name.clone_from(&vdi.sr_name);
                disk.vdi_type.clone_from(&vdi.vdi_type);
            }
            vm.disks.push(disk);
        }
        for vm in &mut self.vms {
            vm.disks
                .sort_by_cached_key(|disk| (position(&disk.userdevice), disk.userdevice.clone()));
        }
        (self.vms, vdis)
    }

    fn vdis(&mut self) -> Vec<Vdi> {
        let in_drive: std::collections::HashSet<&str> = self.vbds.iter().map(|vbd| vbd.vdi.as_str()).collect();
        let srs = &self.srs;
        let join = |(mut vdi, sr): (Vdi, String)| {
            let sr = srs.get(&sr);
            let is_iso = sr.is_some_and(|sr| sr.is_iso);
            vdi.is_exported = vdi.vdi_type == "suspend" || (in_drive.contains(vdi.id.as_str()) && !is_iso);
            vdi.sr_name = sr.map(|sr| sr.name_label.clone());
            vdi
        };
        std::mem::take(&mut self.vdis).into_iter().map(join).collect()
    }
}

fn is_null(reference: &str) -> bool {
    reference.is_empty() || reference == "OpaqueRef:NULL"
}

/// Where a drive stands: `3`, or the same as `xvdd`, `hdd` or `sdd`.
fn position(userdevice: &str) -> u64 {
    if let Ok(number) = userdevice.parse() {
        return number;
    }
    let letter = ["xvd", "hd", "sd"]
        .iter()
        .find_map(|prefix| userdevice.strip_prefix(prefix)?.bytes().next());
    letter
        .filter(u8::is_ascii_lowercase)
        .map_or(u64::MAX, |letter| u64::from(letter - b'a'))
}
