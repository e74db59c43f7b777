//! What people do to VMs that takes more than one message.

use futures_core::future::BoxFuture;

use crate::classes::vbd::VbdType;
use crate::{Call, Client, ErrorCode, Map, Ref, Result, Vbd, VbdRecord, Vdi, VdiRecord, Vm, VmRecord};

impl VmRecord {
    /// Whether this is a virtual machine in the everyday sense: no template, no snapshot, and not a host's own control
    /// domain. `VM.get_all_records` answers with all four.
    pub fn is_real_vm(&self) -> bool {
        !self.is_a_template && !self.is_a_snapshot && !self.is_control_domain && !self.is_default_template
    }

    /// The VM's disks by position, from the records of all VBDs and VDIs: CD drives, empty drives and disks that the
    /// maps do not hold are left out.
    ///
    /// ```no_run
    /// # async fn sizes(pool: xenapi::Client) -> xenapi::Result<()> {
    /// let (vms, vbds, vdis) =
    ///     (pool.vms().all_records().await?, pool.vbds().all_records().await?, pool.vdis().all_records().await?);
    /// for vm in vms.values().filter(|vm| vm.is_real_vm()) {
    ///     let bytes: i64 = vm.disks(&vbds, &vdis).iter().map(|disk| disk.vdi.virtual_size).sum();
    ///     println!("{}: {bytes} bytes", vm.name_label);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn disks<'a>(&self, vbds: &'a Map<Ref<Vbd>, VbdRecord>, vdis: &'a Map<Ref<Vdi>, VdiRecord>) -> Vec<Disk<'a>> {
        let attached = self
            .vbds
            .iter()
            .filter_map(|vbd| vbds.get(vbd))
            .filter(|vbd| vbd.kind == VbdType::Disk);
        let mut disks: Vec<_> = attached
            .filter_map(|vbd| {
                Some(Disk {
                    vbd,
                    vdi: vdis.get(&vbd.vdi)?,
                })
            })
            .collect();
        disks.sort_by_key(|disk| {
            (
                disk.vbd.userdevice.parse::<u64>().unwrap_or(u64::MAX),
                &disk.vbd.userdevice,
            )
        });
        disks
    }
}

/// A disk as a VM has it: where it is attached, and what it is.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Disk<'a> {
    /// The attachment: position, device name, whether the VM boots from it.
    pub vbd: &'a VbdRecord,
    /// The disk itself: name, size in bytes, storage repository.
    pub vdi: &'a VdiRecord,
}

impl Vm {
    /// Puts an ISO into the VM's CD drive, taking out what is in it; without a drive, one is made at the first free
    /// position. An ISO that is in the drive already is left there.
    ///
    /// Takes the messages `VM.get_VBDs`, `VBD.get_record` per device, `VBD.eject` and `VBD.insert` or `VBD.create`.
    /// On a running VM a new drive becomes visible at the next boot.
    ///
    /// # Errors
    /// As those messages; `VBD_TRAY_LOCKED` where the guest holds the medium.
    pub fn insert_iso(&self, iso: Ref<Vdi>) -> BoxFuture<'static, Result<()>> {
        Box::pin(self.clone().load(iso))
    }

    /// Empties the VM's CD drives; a VM without one, or with empty ones, is left as it is.
    ///
    /// # Errors
    /// As `VM.get_VBDs`, `VBD.get_record` and `VBD.eject`.
    pub fn eject_iso(&self) -> BoxFuture<'static, Result<()>> {
        Box::pin(self.clone().unload())
    }

    async fn load(self, iso: Ref<Vdi>) -> Result<()> {
        let devices = self.devices().await?;
        match devices.iter().find(|(_, vbd)| vbd.kind == VbdType::Cd) {
            Some((_, drive)) if !drive.empty && drive.vdi == iso => Ok(()),
            Some(&(reference, ref drive)) => {
                let drive_handle = self.client().vbd(reference);
                if !drive.empty {
                    drive_handle.eject_if_loaded().await?;
                }
                drive_handle.insert(iso).now().await
            }
            None => self.add_drive(iso, &devices).await,
        }
    }

    async fn unload(self) -> Result<()> {
        for (reference, vbd) in self.devices().await? {
            if vbd.kind == VbdType::Cd && !vbd.empty {
                self.client().vbd(reference).eject_if_loaded().await?;
            }
        }
        Ok(())
    }

    async fn devices(&self) -> Result<Vec<(Ref<Vbd>, VbdRecord)>> {
        let references: Vec<Ref<Vbd>> = self.vbds().await?;
        let mut devices = Vec::with_capacity(references.len());
        for reference in references {
            match self.client().vbd(reference).record().await {
                Ok(record) => devices.push((reference, record)),
                Err(error) if error.code() == Some(&ErrorCode::HandleInvalid) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(devices)
    }

    async fn add_drive(&self, iso: Ref<Vdi>, devices: &[(Ref<Vbd>, VbdRecord)]) -> Result<()> {
        let free: Call<Vec<String>> = self.allowed_vbd_devices();
        let taken = |position: &str| devices.iter().any(|(_, vbd)| vbd.userdevice == position);
        let position = free.await?.into_iter().find(|position| !taken(position));
        let mut drive = VbdRecord::default();
        drive.vm = self.reference();
        drive.vdi = iso;
        drive.userdevice = position.unwrap_or_else(|| "autodetect".to_owned());
        drive.kind = VbdType::Cd;
        drive.mode = crate::classes::vbd::VbdMode::Ro;
        drive.empty = false;
        drive.bootable = false;
        self.client().vbds().create(&drive).now().await.map(drop)
    }
}

impl Client {
    /// The ISO images that the pool's ISO libraries hold, by name. A name that several libraries hold is there several
    /// times.
    ///
    /// # Errors
    /// As `SR.get_all_records` and `VDI.get_all_records`.
    pub async fn isos(&self) -> Result<Vec<(Ref<Vdi>, VdiRecord)>> {
        let libraries = self.srs().all_records().await?;
        let vdis = self.vdis().all_records().await?;
        let is_iso = |vdi: &VdiRecord| libraries.get(&vdi.sr).is_some_and(|sr| sr.content_type == "iso");
        let mut isos: Vec<_> = vdis.into_iter().filter(|(_, vdi)| is_iso(vdi)).collect();
        isos.sort_by(|(_, a), (_, b)| a.name_label.cmp(&b.name_label));
        Ok(isos)
    }
}
