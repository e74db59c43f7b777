//! The folder of the backups: a folder for each VM, by its UUID, and one for each of its backups in that.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use sha2::{Digest as _, Sha256};
use vhd_mbr::vhd::Vhd;
use xenapi_examples::{AnyDisk, note};

use crate::Which;
use crate::manifest::{Disk, Manifest, hex};

pub(crate) struct Store {
    folder: PathBuf,
}

impl Store {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(crate) fn of_vm(&self, uuid: &str) -> PathBuf {
        self.folder.join(uuid)
    }

    pub(crate) fn of_backup(&self, uuid: &str, id: &str) -> PathBuf {
        self.of_vm(uuid).join(id)
    }

    /// The backups of all VMs, each VM's from the oldest to the newest. A folder without a manifest is what an
    /// interrupted run has left.
    pub(crate) fn all(&self) -> anyhow::Result<BTreeMap<String, Vec<anyhow::Result<Manifest>>>> {
        let mut all = BTreeMap::new();
        for vm in folders(&self.folder)? {
            let backups = folders(&self.of_vm(&vm))?;
            let read = backups
                .into_iter()
                .filter_map(|id| Manifest::read(&self.of_backup(&vm, &id)).transpose());
            let read: Vec<_> = read.collect();
            if !read.is_empty() {
                all.insert(vm, read);
            }
        }
        Ok(all)
    }

    /// The backups of a VM that are whole, from the oldest to the newest.
    pub(crate) fn backups(&self, uuid: &str) -> anyhow::Result<Vec<Manifest>> {
        let ids = folders(&self.of_vm(uuid))?;
        let read = ids
            .into_iter()
            .filter_map(|id| Manifest::read(&self.of_backup(uuid, &id)).transpose());
        read.collect()
    }

    /// Takes away what interrupted runs have left of a VM's backups, and tells their names. Nobody else may be at it.
    pub(crate) fn tidy(&self, uuid: &str) -> anyhow::Result<Vec<String>> {
        let mut gone = Vec::new();
        for id in folders(&self.of_vm(uuid))? {
            let folder = self.of_backup(uuid, &id);
            if matches!(Manifest::read(&folder), Ok(None)) {
                fs::remove_dir_all(&folder)?;
                gone.push(id);
            }
        }
        Ok(gone)
    }

    /// Makes sure that nobody else backs the VM up, for as long as the file lives.
    pub(crate) fn lock(&self, uuid: &str) -> anyhow::Result<File> {
        let folder = self.of_vm(uuid);
        fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let file = File::create(folder.join("lock"))?;
        file.try_lock().context("another run backs it up at the moment")?;
        Ok(file)
    }

    pub(crate) fn find(&self, which: &Which) -> anyhow::Result<Manifest> {
        let mut found = Vec::new();
        for (uuid, backups) in self.all()? {
            for backup in backups {
                let backup = match backup {
                    Ok(backup) => backup,
                    Err(error) => {
                        note(format!("{error:#}"));
                        continue;
                    }
                };
                if backup.name == which.vm || uuid == which.vm {
                    found.push(backup);
                }
            }
        }
        let mut vms: Vec<_> = found.iter().map(|backup| &backup.vm).collect();
        vms.dedup();
        ensure!(
            vms.len() < 2,
            "{} VMs were called {:?}; say a UUID: {vms:?}",
            vms.len(),
            which.vm
        );
        let found = match &which.id {
            Some(id) => found.into_iter().find(|backup| backup.id == *id),
            None => found.pop(),
        };
        found.with_context(|| format!("there is no such backup of {:?} in {}", which.vm, self.folder.display()))
    }

    /// What a disk of a backup is made of, from the whole one to the last difference: where each file is, and what it has
    /// to be.
    pub(crate) fn parts(&self, backup: &Manifest, disk: &Disk) -> anyhow::Result<Vec<(PathBuf, Disk)>> {
        let all = self.backups(&backup.vm)?;
        let place = |id: &str, disk: &Disk| (self.of_backup(&backup.vm, id).join(&disk.file), disk.clone());
        let mut parts = vec![place(&backup.id, disk)];
        let mut base = disk.base.clone();
        while let Some(id) = base.take() {
            ensure!(
                parts.len() <= all.len(),
                "the backup {} is a difference to itself",
                backup.id
            );
            let known = all.iter().find(|known| known.id == id);
            let known = known
                .with_context(|| format!("the backup {id}, which {} is a difference to, is not there", backup.id))?;
            let of_base = known.disks.iter().find(|known| known.vdi == disk.vdi);
            let of_base = of_base.with_context(|| format!("the backup {id} does not have the disk {}", disk.name))?;
            parts.push(place(&id, of_base));
            base.clone_from(&of_base.base);
        }
        parts.reverse();
        Ok(parts)
    }

    /// A disk of a backup, to be read anywhere.
    pub(crate) fn open(&self, backup: &Manifest, disk: &Disk) -> anyhow::Result<AnyDisk> {
        let mut opened: Option<AnyDisk> = None;
        for (path, _) in self.parts(backup, disk)? {
            let wrong = || format!("{} cannot be opened", path.display());
            let vhd = Vhd::open(File::open(&path).with_context(wrong)?).with_context(wrong)?;
            opened = Some(match opened {
                Some(parent) => Box::new(vhd.with_parent(parent)),
                None => Box::new(vhd),
            });
        }
        opened.context("the disk has no files")
    }
}

/// The names of the folders in a folder, in order; none where that is not there.
fn folders(folder: &Path) -> anyhow::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("{} cannot be read", folder.display()))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.extend(entry.file_name().into_string().ok());
        }
    }
    names.sort();
    Ok(names)
}

/// Makes sure that a file is the one that was written.
pub(crate) fn check(path: &Path, disk: &Disk) -> anyhow::Result<()> {
    let mut file = File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    let mut length = 0;
    loop {
        match file.read(&mut piece)? {
            0 => break,
            count => {
                hasher.update(&piece[..count]);
                length += count as u64;
            }
        }
    }
    if length != disk.file_bytes || hex(&hasher.finalize()) != disk.sha256 {
        bail!("{} is damaged", path.display());
    }
    Ok(())
}
