//! A disk that counts what is read of it.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use vhd_mbr::xen_disk::ReadAt;

pub(crate) struct Counted<D> {
    disk: D,
    reads: AtomicU64,
    bytes: AtomicU64,
}

impl<D> Counted<D> {
    pub(crate) fn new(disk: D) -> Self {
        Self {
            disk,
            reads: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl<D: ReadAt> ReadAt for Counted<D> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(buf.len() as u64, Ordering::Relaxed);
        self.disk.read_exact_at(offset, buf)
    }

    fn size(&self) -> io::Result<u64> {
        self.disk.size()
    }

    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        self.disk.next_data(from)
    }
}
