//! The backups: a folder for each VM, by its UUID, and one for each of its backups in that.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use futures_util::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use vhd_mbr::vhd::{Footer, Vhd};
use vhd_mbr::xen_disk::ReadAt as _;
use xenapi_examples::{AnyDisk, note};

use crate::Which;
use crate::manifest::{self, Disk, Manifest, hex};
use crate::place::{Lock, Place, Upload};

/// How many manifests are read at once.
const AT_ONCE: usize = 16;

pub(crate) struct Store {
    place: Place,
}

/// A file of a disk: where it is, and what it has to be.
pub(crate) struct Part {
    pub(crate) key: String,
    disk: Disk,
}

impl Store {
    pub(crate) fn new(place: Place) -> Self {
        Self { place }
    }

    /// The backups of all VMs, each VM's from the oldest to the newest. A folder without a manifest is what an
    /// interrupted run has left.
    pub(crate) async fn all(&self) -> anyhow::Result<BTreeMap<String, Vec<anyhow::Result<Manifest>>>> {
        let mut all = BTreeMap::new();
        for vm in self.place.folders("").await? {
            let read = self.read(&vm).await?;
            if !read.is_empty() {
                all.insert(vm, read);
            }
        }
        Ok(all)
    }

    /// The backups of a VM that can be told what they are, from the oldest to the newest. Damage of one is told, and keeps
    /// nobody from the others.
    pub(crate) async fn backups(&self, vm: &str) -> anyhow::Result<Vec<Manifest>> {
        let mut known = Vec::new();
        for read in self.read(vm).await? {
            match read {
                Ok(manifest) => known.push(manifest),
                Err(error) => note(format!("{error:#}")),
            }
        }
        Ok(known)
    }

    /// Makes sure that all that a backup is made of is there, and as long as it was; answers with how many files its
    /// longest chain has.
    pub(crate) async fn ensure_complete(&self, known: &[Manifest], backup: &Manifest) -> anyhow::Result<usize> {
        let mut longest = 0;
        for disk in &backup.disks {
            let parts = chain(known, backup, disk)?;
            longest = longest.max(parts.len());
            for part in &parts {
                let file = self.place.open(&part.key).await?;
                let length = tokio::task::spawn_blocking(move || file.size()).await??;
                ensure!(
                    length == part.disk.file_bytes,
                    "{} is {length} bytes long, and was {}",
                    self.place.name(&part.key),
                    part.disk.file_bytes
                );
            }
        }
        Ok(longest)
    }

    async fn read(&self, vm: &str) -> anyhow::Result<Vec<anyhow::Result<Manifest>>> {
        let ids = self.place.folders(vm).await?;
        let read = stream::iter(ids).map(|id| async move { self.manifest(vm, &id).await });
        let read: Vec<_> = read.buffered(AT_ONCE).collect().await;
        Ok(read.into_iter().filter_map(Result::transpose).collect())
    }

    /// None where there is no backup.
    async fn manifest(&self, vm: &str, id: &str) -> anyhow::Result<Option<Manifest>> {
        let key = key(vm, id, manifest::NAME);
        let Some(text) = self.place.read(&key).await? else {
            return Ok(None);
        };
        let manifest = Manifest::parse(&text, vm, id);
        manifest
            .map(Some)
            .with_context(|| format!("{} is damaged", self.place.name(&key)))
    }

    /// Makes it a backup.
    pub(crate) async fn write(&self, manifest: &Manifest) -> anyhow::Result<()> {
        let key = key(&manifest.vm, &manifest.id, manifest::NAME);
        self.place.write(&key, manifest.text()?).await
    }

    /// Begins a disk's file, which gets about so many bytes at most.
    pub(crate) async fn create(&self, vm: &str, id: &str, file: &str, at_most: u64) -> anyhow::Result<Upload> {
        self.place.create(&key(vm, id, file), at_most).await
    }

    /// The footer of a disk's file, by which a difference names it.
    pub(crate) async fn footer(&self, vm: &str, id: &str, file: &str) -> anyhow::Result<Footer> {
        Ok(self.vhd(&key(vm, id, file)).await?.footer().clone())
    }

    async fn vhd(&self, key: &str) -> anyhow::Result<Vhd<AnyDisk>> {
        let file = self.place.open(key).await?;
        let vhd = tokio::task::spawn_blocking(move || Vhd::open(file)).await?;
        vhd.with_context(|| format!("cannot open {}", self.place.name(key)))
    }

    /// Takes a backup, or what is to become one, away. Where that breaks off, it is none any more.
    pub(crate) async fn remove(&self, vm: &str, id: &str) -> anyhow::Result<()> {
        self.place.remove(&format!("{vm}/{id}"), manifest::NAME).await
    }

    /// Takes away what interrupted runs have left of a VM's backups, and tells their names. Nobody else may be at it.
    pub(crate) async fn tidy(&self, vm: &str) -> anyhow::Result<Vec<String>> {
        let mut gone = Vec::new();
        for id in self.place.folders(vm).await? {
            if self.place.read(&key(vm, &id, manifest::NAME)).await?.is_none() {
                self.remove(vm, &id).await?;
                gone.push(id);
            }
        }
        Ok(gone)
    }

    /// Makes sure that nobody else backs the VM up.
    pub(crate) async fn lock(&self, vm: &str) -> anyhow::Result<Lock> {
        self.place.lock(vm).await
    }

    /// Takes a lock away that a killed run has left.
    pub(crate) async fn unlock(&self, vm: &str) -> anyhow::Result<()> {
        self.place.unlock(vm).await
    }

    /// Waits until what was given up in the middle is tidied up.
    pub(crate) async fn settle(&self) {
        self.place.settle().await;
    }

    pub(crate) async fn find(&self, which: &Which) -> anyhow::Result<Manifest> {
        let mut found = Vec::new();
        for (uuid, backups) in self.all().await? {
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
        found.with_context(|| format!("there is no such backup of {:?} in {}", which.vm, self.place.name("")))
    }

    /// What a disk of a backup is made of, from the whole one to the last difference.
    pub(crate) async fn parts(&self, backup: &Manifest, disk: &Disk) -> anyhow::Result<Vec<Part>> {
        // Damage of one that it is no difference to is not of interest.
        let known: Vec<_> = self.read(&backup.vm).await?.into_iter().flatten().collect();
        chain(&known, backup, disk)
    }

    /// A disk of a backup, to be read anywhere by code that waits.
    pub(crate) async fn open(&self, backup: &Manifest, disk: &Disk) -> anyhow::Result<AnyDisk> {
        let mut opened: Option<AnyDisk> = None;
        for part in self.parts(backup, disk).await? {
            let vhd = self.vhd(&part.key).await?;
            opened = Some(match opened {
                Some(parent) => Box::new(vhd.with_parent(parent)),
                None => Box::new(vhd),
            });
        }
        opened.context("the disk has no files")
    }

    /// Makes sure that a file is the one that was written.
    pub(crate) async fn check(&self, part: &Part) -> anyhow::Result<()> {
        let (mut hasher, mut length) = (Sha256::new(), 0);
        let take = |piece: &[u8]| {
            hasher.update(piece);
            length += piece.len() as u64;
        };
        self.place.each_piece(&part.key, take).await?;
        if length != part.disk.file_bytes || hex(&hasher.finalize()) != part.disk.sha256 {
            bail!("{} is damaged", self.place.name(&part.key));
        }
        Ok(())
    }
}

fn key(vm: &str, id: &str, file: &str) -> String {
    format!("{vm}/{id}/{file}")
}

/// What a disk of a backup is made of, from the whole one to the last difference, looked for among the VM's backups.
pub(crate) fn chain(known: &[Manifest], backup: &Manifest, disk: &Disk) -> anyhow::Result<Vec<Part>> {
    let part = |id: &str, disk: &Disk| Part {
        key: key(&backup.vm, id, &disk.file),
        disk: disk.clone(),
    };
    let mut parts = vec![part(&backup.id, disk)];
    let mut base = disk.base.clone();
    while let Some(id) = base.take() {
        ensure!(
            parts.len() <= known.len(),
            "the backup {} is a difference to itself",
            backup.id
        );
        let of_base = known.iter().find(|known| known.id == id);
        let of_base = of_base
            .with_context(|| format!("the backup {id}, which {} is a difference to, is not there", backup.id))?;
        let of_base = of_base.disks.iter().find(|known| known.vdi == disk.vdi);
        let of_base = of_base.with_context(|| format!("the backup {id} does not have the disk {}", disk.name))?;
        parts.push(part(&id, of_base));
        base.clone_from(&of_base.base);
    }
    parts.reverse();
    Ok(parts)
}
