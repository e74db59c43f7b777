//! Reads of parts whose place and length come from the file.

use xen_disk::ReadAt;

use super::Error;

/// Whether `len` bytes from `offset` on lie in a file of `size` bytes.
pub(super) fn within(size: u64, offset: u64, len: u64) -> bool {
    offset.checked_add(len).is_some_and(|end| end <= size)
}

/// The file's size.
pub(super) fn size_of(source: &(impl ReadAt + ?Sized)) -> Result<u64, Error> {
    source.size().map_err(Error::Size)
}

/// Fills `buf` from `offset` on.
pub(super) fn read_into(source: &(impl ReadAt + ?Sized), offset: u64, buf: &mut [u8]) -> Result<(), Error> {
    source.read_exact_at(offset, buf).map_err(|source| Error::Read {
        offset,
        len: buf.len() as u64,
        source,
    })
}

/// The `len` bytes from `offset` on, which the caller knows to be in the file.
pub(super) fn read_vec(source: &(impl ReadAt + ?Sized), offset: u64, len: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; len as usize];
    read_into(source, offset, &mut bytes)?;
    Ok(bytes)
}
