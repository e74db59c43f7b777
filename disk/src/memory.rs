//! Disks in memory.

use std::io;

use crate::{ReadAt, WriteAt};

impl ReadAt for [u8] {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).ok();
        let wanted = start.and_then(|start| self.get(start..)?.get(..buf.len()));
        buf.copy_from_slice(wanted.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

impl WriteAt for [u8] {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).ok();
        let place = start.and_then(|start| self.get_mut(start..)?.get_mut(..bytes.len()));
        place.ok_or(io::ErrorKind::WriteZero)?.copy_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

macro_rules! as_slice {
    ([$($generic:tt)*] $type:ty) => {
        impl<$($generic)*> ReadAt for $type {
            fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
                self.as_slice().read_exact_at(offset, buf)
            }

            fn size(&self) -> io::Result<u64> {
                self.as_slice().size()
            }
        }

        impl<$($generic)*> WriteAt for $type {
            fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
                self.as_mut_slice().write_all_at(offset, bytes)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
    };
}
as_slice!([] Vec<u8>);
as_slice!([const N: usize] [u8; N]);
