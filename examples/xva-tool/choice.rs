//! Which disk of an archive is meant.

use std::fs::File;

use anyhow::{Context, bail, ensure};
use clap::Args;
use xva::ova::Ova;
use xva::{Archive, ArchiveDisk};

/// The choice of a disk.
#[derive(Args)]
pub(crate) struct Choice {
    /// The disk: its position in the VM (0, 1, …) or its folder in the archive (Ref:12); needless where there is only one
    #[arg(long, value_name = "DISK")]
    disk: Option<String>,
}

impl Choice {
    /// The folder of the chosen disk.
    pub(crate) fn folder(&self, ova: &Ova) -> anyhow::Result<String> {
        let disks: Vec<_> = ova.vms().iter().flat_map(|vm| &vm.disks).collect();
        let known = || {
            let names: Vec<_> = disks
                .iter()
                .map(|disk| format!("{} ({})", disk.userdevice, disk.id))
                .collect();
            names.join(", ")
        };
        let Some(wanted) = &self.disk else {
            ensure!(disks.len() == 1, "choose a disk with --disk: {}", known());
            return Ok(disks[0].id.clone());
        };
        let fits: Vec<_> = disks
            .iter()
            .filter(|disk| disk.userdevice == *wanted || disk.id == *wanted)
            .collect();
        match fits[..] {
            [disk] => Ok(disk.id.clone()),
            [] if ova.vdi(wanted).is_some() => Ok(wanted.clone()),
            [] => bail!("the archive has no disk {wanted}, only {}", known()),
            _ => bail!("several VMs have a disk {wanted}; name its folder: {}", known()),
        }
    }

    /// The chosen disk, to be read anywhere.
    pub(crate) fn open(&self, archive: &Archive<File>) -> anyhow::Result<ArchiveDisk<File>> {
        let folder = self.folder(archive.ova())?;
        archive
            .disk(&folder)
            .with_context(|| format!("cannot read disk {folder}"))
    }
}
