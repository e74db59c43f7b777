//! Reads an archive on to the first partition table, and no further.

use anyhow::{Context, bail};
use tokio::io::AsyncRead;
use vhd_mbr::PartitionTable;
use vhd_mbr::partition::Error as NoTable;
use xenapi_examples::note;
use xva::AsyncReader;
use xva::ova::Ova;

/// What the archive knows of a disk.
#[derive(Clone)]
pub(crate) struct Drive {
    pub(crate) position: String,
    pub(crate) name: String,
    pub(crate) size: Option<u64>,
    /// Whether the VM boots from it.
    pub(crate) boots: bool,
}

/// A disk whose first block was read.
pub(crate) struct Looked {
    pub(crate) drive: Drive,
    pub(crate) table: Result<PartitionTable, NoTable>,
}

/// What the first blocks of an archive's disks tell.
pub(crate) struct Answer {
    pub(crate) vm: String,
    /// The disk that was asked for; otherwise the first with a table, or the one that the VM boots from if none has.
    pub(crate) disk: Looked,
    /// The disks without a table that were passed on the way.
    pub(crate) passed: Vec<Looked>,
    /// The disks further on in the archive.
    pub(crate) ahead: Vec<Drive>,
    pub(crate) bytes_read: u64,
}

/// Reads on to the disk at a position, or to the first that has a partition table. Disks come in the archive's order
/// and there is no way back, so the one that the VM boots from is the answer only where it does not come later.
pub(crate) async fn peek<R: AsyncRead + Unpin + Send>(source: R, wanted: Option<&str>) -> anyhow::Result<Answer> {
    let mut archive = AsyncReader::new(source);
    let ova = archive.ova().await?.cloned().context("the archive has no ova.xml")?;
    let mut looked: Vec<Looked> = Vec::new();
    let mut ids = Vec::new();
    while let Some(disk) = archive.next_disk().await? {
        let drive = drive(&ova, disk.id());
        ids.push(disk.id().to_owned());
        if wanted.is_some_and(|wanted| wanted != drive.position) {
            continue;
        }
        let mut options = PartitionTable::options();
        if let Some(bytes) = drive.size {
            options = options.disk_size(bytes);
        }
        let table = options.read(&disk.first_block().await?);
        let is_answer = wanted.is_some() || table.is_ok();
        if let (Err(reason), false) = (&table, is_answer) {
            note(format!(
                "disk {} {:?}: {reason}; reading on",
                drive.position, drive.name
            ));
        }
        looked.push(Looked { drive, table });
        if is_answer {
            break;
        }
    }
    let bytes_read = archive.bytes_read();
    let Some(answer) = looked
        .iter()
        .position(|looked| looked.table.is_ok())
        .or_else(|| looked.iter().position(|looked| looked.drive.boots))
        .or_else(|| looked.len().checked_sub(1))
    else {
        match wanted {
            Some(position) => bail!("the archive holds no disk at position {position}"),
            None => bail!("the VM has no disk, or the archive holds its metadata only"),
        }
    };
    let disk = looked.remove(answer);
    let ahead = if wanted.is_none() {
        ahead(&ova, &ids)
    } else {
        Vec::new()
    };
    Ok(Answer {
        vm: ova.vms().first().map(|vm| vm.name_label.clone()).unwrap_or_default(),
        disk,
        passed: looked,
        ahead,
        bytes_read,
    })
}

fn drive(ova: &Ova, id: &str) -> Drive {
    let size = ova.vdi(id).and_then(|vdi| vdi.virtual_size);
    for vm in ova.vms() {
        let boot = vm.disks.iter().find(|disk| disk.bootable).or(vm.disks.first());
        if let Some(disk) = vm.disks.iter().find(|disk| disk.id == id) {
            return Drive {
                position: disk.userdevice.clone(),
                name: disk.name_label.clone(),
                size,
                boots: boot.is_some_and(|boot| boot.id == id),
            };
        }
    }
    let name = ova.vdi(id).map(|vdi| vdi.name_label.clone());
    Drive {
        position: String::new(),
        name: name.unwrap_or_default(),
        size,
        boots: false,
    }
}

fn ahead(ova: &Ova, seen: &[String]) -> Vec<Drive> {
    let disks = ova.vms().iter().flat_map(|vm| &vm.disks);
    disks
        .filter(|disk| !seen.contains(&disk.id))
        .map(|disk| drive(ova, &disk.id))
        .collect()
}
