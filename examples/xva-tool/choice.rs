//! Which disk of an archive is meant.

use std::fs::File;

use anyhow::{Context, bail};
use clap::Args;
use xva::ova::{Ova, VmDisk};
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
        if let Some(wanted) = &self.disk {
            return folder(ova, wanted);
        }
        match disks(ova)[..] {
            [disk] => Ok(disk.id.clone()),
            [] => bail!("the archive has no disks"),
            ref several => bail!("choose a disk with --disk: {}", names(several)),
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

/// The folder of a disk by its position in the VM or by that folder.
pub(crate) fn folder(ova: &Ova, wanted: &str) -> anyhow::Result<String> {
    let disks = disks(ova);
    let is_wanted = |disk: &&VmDisk| disk.userdevice == wanted || disk.id == wanted;
    let fits: Vec<_> = disks.iter().copied().filter(is_wanted).collect();
    match fits[..] {
        [disk] => Ok(disk.id.clone()),
        [] if ova.vdi(wanted).is_some() => Ok(wanted.to_owned()),
        [] => bail!("the archive has no disk {wanted}, only {}", names(&disks)),
        _ => bail!("several VMs have a disk {wanted}; name its folder: {}", names(&disks)),
    }
}

fn disks(ova: &Ova) -> Vec<&VmDisk> {
    ova.vms().iter().flat_map(|vm| &vm.disks).collect()
}

fn names(disks: &[&VmDisk]) -> String {
    let name = |disk: &&VmDisk| format!("{} ({})", disk.userdevice, disk.id);
    disks.iter().map(name).collect::<Vec<_>>().join(", ")
}
