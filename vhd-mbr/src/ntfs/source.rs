use xen_disk::ReadAt;

use super::Error;

/// Fills `buf` from the volume, with our error.
pub(super) fn read(disk: &impl ReadAt, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
    let len = buf.len() as u64;
    disk.read_exact_at(offset, buf)
        .map_err(|source| Error::Read { offset, len, source })
}
