//! Changes of bytes that the file already holds.

use std::io;

use xen_disk::{ReadAt, WriteAt};

use super::check::misplaced;
use super::disk::Place;
use super::read::within;
use super::{Error, Vhd};

/// Writes in place. Sectors that are not in the file are refused with [`Error::NotPresent`], before anything is written.
impl<S: WriteAt, P: ReadAt> WriteAt for Vhd<S, P> {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if !within(self.disk_size(), offset, bytes.len() as u64) {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(self.write_in_place(offset, bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.source.flush()
    }
}

impl<S: WriteAt, P: ReadAt> Vhd<S, P> {
    pub(super) fn write_in_place(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        if self.has_children {
            return Err(Error::HasChildren);
        }
        self.ensure_in_order()?;
        let end = offset + bytes.len() as u64;
        let mut parts = Vec::new();
        let mut at = offset;
        while at < end {
            let run = self.run(at, end - at)?;
            let Place::Here(place) = run.place else {
                return Err(Error::NotPresent { offset: at });
            };
            parts.push((place, run.len as usize));
            at += run.len;
        }
        let mut rest = bytes;
        for (place, len) in parts {
            let (part, left) = rest.split_at(len);
            self.put(place, part)?;
            rest = left;
        }
        Ok(())
    }

    /// Makes sure, once, that no block shares bytes with anything else.
    pub(super) fn ensure_in_order(&mut self) -> Result<(), Error> {
        if !self.is_in_order
            && let Some(blocks) = &self.blocks
            && let Some((block, offset)) = misplaced(blocks, &self.footer)
        {
            return Err(Error::Misplaced { block, offset });
        }
        self.is_in_order = true;
        Ok(())
    }

    pub(super) fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.source_data.forget();
        let written = self.source.write_all_at(offset, bytes);
        written.map_err(|source| Error::Write { offset, source })
    }
}
