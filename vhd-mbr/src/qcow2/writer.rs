use std::io;
use std::path::Path;

use imago::file::File;
use imago::qcow2::Qcow2;
use imago::{
    DenyImplicitOpenGate, FormatAccess, FormatCreateBuilder, FormatDriverBuilder, Storage, StorageCreateOptions,
};
use xen_disk::ReadAt;

use super::Error;
use crate::vhd::is_zero;

/// The size of the image's clusters, which are what is left out where it is zero.
const CLUSTER: usize = 64 << 10;
/// How much is read at once.
const BATCH: usize = 1 << 20;

/// Writes a disk as a new qcow2 image. Clusters that are all zero are left out.
///
/// # Errors
/// Where there is a file of that name, the disk cannot be read or the image not be written.
pub fn write(disk: &(impl ReadAt + ?Sized), path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref();
    let read_error = |offset| move |source| Error::Read { offset, source };
    let size = disk.size().map_err(read_error(0))?;
    let image = create(path, size.next_multiple_of(512)).map_err(|source| Error::Create {
        path: path.to_owned(),
        source,
    })?;
    let write_error = |offset| {
        move |source| Error::Write {
            path: path.to_owned(),
            offset,
            source,
        }
    };
    let mut buffer = vec![0; BATCH];
    let mut at = 0;
    while let Some(data) = disk.next_data(at).map_err(read_error(at))? {
        at = at.max(data.start) / CLUSTER as u64 * CLUSTER as u64;
        let end = data.end.next_multiple_of(CLUSTER as u64).min(size);
        while at < end {
            let part = &mut buffer[..(BATCH as u64).min(end - at) as usize];
            disk.read_exact_at(at, part).map_err(read_error(at))?;
            for (start, len) in runs(part) {
                let offset = at + start as u64;
                image
                    .write(&part[start..start + len], offset)
                    .map_err(write_error(offset))?;
            }
            at += part.len() as u64;
        }
    }
    image.flush().and_then(|()| image.sync()).map_err(write_error(size))
}

fn create(path: &Path, size: u64) -> io::Result<FormatAccess<File>> {
    let file = File::create_open(StorageCreateOptions::new().filename(path))?;
    let image = Qcow2::<File>::create_builder(file)
        .size(size)
        .create_open(DenyImplicitOpenGate::default(), |image| {
            Ok(Qcow2::builder(image).backing(None).write(true))
        })?;
    Ok(FormatAccess::new(image))
}

/// Where the runs of clusters that are not all zero start, and how long they are.
fn runs(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (i, cluster) in bytes
        .chunks(CLUSTER)
        .enumerate()
        .filter(|(_, cluster)| !is_zero(cluster))
    {
        let start = i * CLUSTER;
        match runs.last_mut() {
            Some((first, len)) if *first + *len == start => *len += cluster.len(),
            _ => runs.push((start, cluster.len())),
        }
    }
    runs
}
