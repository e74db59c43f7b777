//! Reads nodes and data by the volume's own addresses, and checks them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use xen_disk::ReadAt;

use super::Error;
use super::chunks::Chunks;
use super::cursor::Cursor;
use super::key::{CHUNK, EXTENT_CSUM, Key};
use super::node::{Node, Root};
use super::superblock::Superblock;
use crate::bytes::u32_at;
use crate::filetree::{ReadError, Source};

/// So many nodes are kept, of 64 KiB at most: each question starts at the root of a tree.
const KEPT: usize = 64;
/// The object that checksums of data are filed under.
const SUMS: u64 = 10u64.wrapping_neg();

pub(super) struct Pool<D> {
    disk: D,
    node_len: usize,
    sector: u64,
    chunks: Chunks,
    nodes: Mutex<HashMap<u64, Arc<Node>>>,
}

impl<D: ReadAt> Pool<D> {
    pub(super) fn open(disk: D, superblock: &Superblock) -> Result<Self, Error> {
        let mut pool = Self {
            disk,
            node_len: superblock.node_len,
            sector: superblock.sector,
            chunks: superblock.first_chunks()?,
            nodes: Mutex::default(),
        };
        let mut chunks = superblock.first_chunks()?;
        let mut cursor = Cursor::seek(&pool, superblock.chunk_root, Key::new(0, 0, 0))?;
        while let Some(item) = cursor.next()? {
            if item.key.kind == CHUNK {
                chunks.add(item.key.offset, &item.data, item.place)?;
            }
        }
        drop(cursor);
        pool.chunks = chunks;
        Ok(pool)
    }

    pub(super) fn source(&self) -> Result<Source<'_>, ReadError> {
        Source::new(&self.disk)
    }

    /// A node, by the first of its copies that is whole.
    pub(super) fn node(&self, root: Root) -> Result<Arc<Node>, Error> {
        let kept = || self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever takes a node for one of another level has to be told.
        if let Some(node) = kept().get(&root.logical).filter(|node| node.level() == root.level) {
            return Ok(Arc::clone(node));
        }
        let mut first = None;
        for place in self.chunks.copies(root.logical, self.node_len as u64)? {
            let read = self.source()?.read(place, self.node_len).map_err(Error::from);
            match read.and_then(|bytes| Node::parse(bytes, place, root)) {
                Ok(node) => {
                    let node = Arc::new(node);
                    let mut kept = kept();
                    if kept.len() == KEPT {
                        kept.clear();
                    }
                    kept.insert(root.logical, Arc::clone(&node));
                    return Ok(node);
                }
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or(Error::NoChunk { logical: root.logical }))
    }

    /// Where the first copy of some data is on the disk.
    pub(super) fn place(&self, logical: u64, len: u64) -> Result<u64, Error> {
        let copies = self.chunks.copies(logical, len)?;
        copies.first().copied().ok_or(Error::NoChunk { logical })
    }

    pub(super) fn sector(&self) -> u64 {
        self.sector
    }

    /// Data, by the first copy that fits its checksums in `sums`. What has none is taken as it is.
    pub(super) fn data(&self, sums: Option<Root>, logical: u64, len: usize) -> Result<Vec<u8>, Error> {
        let before = (logical % self.sector) as usize;
        let nowhere = || Error::NoChunk { logical };
        let whole = (before + len).next_multiple_of(self.sector as usize);
        let start = logical - before as u64;
        let end = start.checked_add(whole as u64).ok_or_else(nowhere)?;
        let sums = match sums {
            Some(tree) => self.sums(tree, start, end)?,
            None => Vec::new(),
        };
        let mut first = None;
        for place in self.chunks.copies(start, whole as u64)? {
            let read = self.source()?.read(place, whole).map_err(Error::from);
            match read.and_then(|bytes| self.checked(bytes, place, &sums)) {
                Ok(mut bytes) => {
                    bytes.drain(..before);
                    bytes.truncate(len);
                    return Ok(bytes);
                }
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or_else(nowhere))
    }

    fn checked(&self, bytes: Vec<u8>, place: u64, sums: &[Option<u32>]) -> Result<Vec<u8>, Error> {
        let sectors = (place..)
            .step_by(self.sector as usize)
            .zip(bytes.chunks(self.sector as usize));
        for ((place, sector), sum) in sectors.zip(sums) {
            if sum.is_some_and(|sum| crc32c::crc32c(sector) != sum) {
                return Err(Error::damaged(place, "the checksum of a file's data is wrong"));
            }
        }
        Ok(bytes)
    }

    /// The checksum of each sector, where there is one.
    fn sums(&self, tree: Root, start: u64, end: u64) -> Result<Vec<Option<u32>>, Error> {
        let mut sums = vec![None; ((end - start) / self.sector) as usize];
        let mut cursor = Cursor::seek_before(self, tree, Key::new(SUMS, EXTENT_CSUM, start))?;
        while let Some(item) = cursor.next()? {
            if item.key >= Key::new(SUMS, EXTENT_CSUM, end) {
                break;
            }
            if !item.key.is_of(SUMS, EXTENT_CSUM) {
                continue;
            }
            for (number, sum) in (0u64..).zip(item.data.chunks_exact(4)) {
                let at = number
                    .checked_mul(self.sector)
                    .and_then(|at| item.key.offset.checked_add(at));
                let index = at.and_then(|at| at.checked_sub(start)).map(|at| at / self.sector);
                if let Some(known) = index.and_then(|index| sums.get_mut(usize::try_from(index).ok()?)) {
                    *known = Some(u32_at(sum, 0));
                }
            }
        }
        Ok(sums)
    }
}
