//! One file out of an archive that only goes forward.

use std::io::{Read, Write};

use anyhow::Context;
use vhd_mbr::PartitionTable;
use vhd_mbr::xen_disk::ReadAt;
use xenapi_examples::Volume;
use xva::ova::Ova;
use xva::{Reader, StreamedDisk};

/// Which file.
pub(crate) struct Wanted {
    pub(crate) path: String,
    pub(crate) disk: Option<String>,
    pub(crate) partition: Option<u32>,
}

/// How much of a disk's start is looked at for its partition table: what the first block of an archive has.
const START: u64 = 1 << 20;

/// Copies the file, and tells how many bytes of the archive that took.
pub(crate) fn take(source: impl Read, wanted: &Wanted, mut output: impl Write) -> anyhow::Result<u64> {
    let mut reader = Reader::new(source);
    let ova = reader.ova()?.context("the archive has no metadata")?.clone();
    let folder = folder(&ova, wanted.disk.as_deref())?;
    let disk = StreamedDisk::open(reader, Some(&folder), tempfile::tempfile()?)?;
    let volume = volume(&disk, wanted)?;
    volume.copy(&wanted.path, &mut output)?;
    output.flush()?;
    Ok(disk.bytes_read())
}

/// The folder of a disk, by its position; of the one that the VM boots from, without.
fn folder(ova: &Ova, position: Option<&str>) -> anyhow::Result<String> {
    let mut disks = ova.vms().iter().flat_map(|vm| &vm.disks);
    let disk = match position {
        Some(position) => disks.find(|disk| disk.userdevice == position),
        None => {
            let mut all: Vec<_> = disks.collect();
            all.sort_by_key(|disk| !disk.bootable);
            all.first().copied()
        }
    };
    Ok(disk.context("the VM has no such disk")?.id.clone())
}

/// The volume that was asked for, or the first that has the file.
fn volume<D: ReadAt + Clone>(disk: D, wanted: &Wanted) -> anyhow::Result<Volume<D>> {
    let mut start = vec![0; START.min(disk.size()?) as usize];
    disk.read_exact_at(0, &mut start)?;
    // Looking at all of the disk would have the archive come in to its end, where a GPT has its copy.
    let table = PartitionTable::options().disk_size(disk.size()?).read(&start);
    let Ok(table) = table else {
        return Volume::open(disk, wanted.partition);
    };
    let entries = table.partitions().iter().map(|entry| entry.number);
    let mut last = anyhow::anyhow!("the start of the disk tells of no such partition");
    for number in entries.filter(|&number| wanted.partition.is_none_or(|wanted| wanted == number)) {
        let found = Volume::of(disk.clone(), &table, number).and_then(|volume| {
            volume.layout(&wanted.path)?;
            Ok(volume)
        });
        match found {
            Ok(volume) => return Ok(volume),
            Err(error) => last = error.context(format!("partition {number}")),
        }
    }
    Err(last)
}
