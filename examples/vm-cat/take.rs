//! One file out of an archive that only goes forward.

use std::io::{Read, Write};

use anyhow::Context;
use vhd_mbr::PartitionTable;
use vhd_mbr::xen_disk::ReadAt;
use xenapi_examples::{FoundVolume, WhichVolume};
use xva::ova::Ova;
use xva::{Reader, StreamedDisk};

/// Which file.
pub(crate) struct Wanted {
    pub(crate) path: String,
    pub(crate) disk: Option<String>,
    pub(crate) which: WhichVolume,
}

/// How much of a disk's start is looked at for its partition table: what the first block of an archive has.
const START: u64 = 1 << 20;

/// Copies the file, and tells how many bytes of the archive that took.
pub(crate) fn take(source: impl Read, wanted: &Wanted, mut output: impl Write) -> anyhow::Result<u64> {
    let mut reader = Reader::new(source);
    let ova = reader.ova()?.context("the archive has no metadata")?.clone();
    let folder = folder(&ova, wanted.disk.as_deref())?;
    let disk = StreamedDisk::open(reader, Some(&folder), tempfile::tempfile()?)?;
    let found = volume(&disk, wanted)?;
    found.volume.content(&wanted.path)?.copy_to(&mut output)?;
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
fn volume<'d>(disk: &'d dyn ReadAt, wanted: &Wanted) -> anyhow::Result<FoundVolume<'d>> {
    let mut start = vec![0; START.min(disk.size()?) as usize];
    disk.read_exact_at(0, &mut start)?;
    // Looking at all of the disk would have the archive come in to its end, where a GPT has its copy.
    let table = PartitionTable::options().disk_size(disk.size()?).read(&start);
    let Ok(table) = table else {
        return FoundVolume::open(disk, &wanted.which);
    };
    let mut last = anyhow::anyhow!("the disk has no volume whose files can be read");
    for number in wanted.which.partitions(&table)? {
        match FoundVolume::of(disk, &table, number, &wanted.which) {
            Ok(volumes) => {
                for found in volumes {
                    match found.volume.stat(&wanted.path) {
                        Ok(_) => return Ok(found),
                        Err(error) => last = anyhow::Error::from(error).context(found.name),
                    }
                }
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
