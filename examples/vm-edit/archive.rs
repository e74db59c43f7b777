//! The disk of an archive, changed in place with the checksums of its blocks.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use vhd_mbr::xen_disk::{ReadAt, WriteAt};
use xva::{Archive, ArchiveDisk};

/// A disk of an archive.
pub(crate) struct InArchive {
    file: Arc<File>,
    id: String,
    disk: ArchiveDisk<Arc<File>>,
}

impl InArchive {
    /// Opens the disk at a position (0, 1, …) of the archive's VM, or the one that it boots from.
    pub(crate) fn open(path: &Path, position: Option<&str>) -> anyhow::Result<Self> {
        let file = File::options().read(true).write(true).open(path);
        let file = Arc::new(file.with_context(|| format!("cannot write {}", path.display()))?);
        let archive = Archive::open(file.clone())?;
        let mut disks: Vec<_> = archive.ova().vms().iter().flat_map(|vm| &vm.disks).collect();
        disks.sort_by_key(|disk| !disk.bootable);
        let found = disks
            .iter()
            .find(|disk| position.is_none_or(|position| disk.userdevice == position));
        let id = found.context("the archive has no such disk")?.id.clone();
        let disk = archive.disk(&id)?;
        Ok(Self { file, id, disk })
    }
}

impl ReadAt for InArchive {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.disk.read_exact_at(offset, buf)
    }

    fn size(&self) -> io::Result<u64> {
        ReadAt::size(&self.disk)
    }

    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        self.disk.next_data(from)
    }
}

impl WriteAt for InArchive {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let patch = self.disk.patch(offset, bytes).map_err(io::Error::other)?;
        patch.apply(&*self.file).map_err(io::Error::other)?;
        let archive = Archive::open(self.file.clone()).map_err(io::Error::other)?;
        self.disk = archive.disk(&self.id).map_err(io::Error::other)?;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }
}
