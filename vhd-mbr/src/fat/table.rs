//! The allocation table: which cluster follows which.

use std::cell::RefCell;

use super::Error;
use super::boot::{Boot, FIRST_CLUSTER, Width};
use crate::bytes::{u16_at, u32_at};
use crate::filetree::{Mapping, Piece, Source};

/// No directory is larger: 65536 entries.
const MAX_DIRECTORY: u64 = 2 << 20;
/// Bytes of the table that are read at once.
const WINDOW: u64 = 4 << 10;

pub(super) struct Table<'a> {
    source: Source<'a>,
    boot: Boot,
    /// What was read last, and from which byte on.
    window: RefCell<(u64, Vec<u8>)>,
}

impl<'a> Table<'a> {
    pub(super) fn new(source: Source<'a>, boot: Boot) -> Self {
        Self {
            source,
            boot,
            window: RefCell::new((0, Vec::new())),
        }
    }

    /// Where the clusters of a chain are: as many as `size` bytes take, or all up to its end.
    pub(super) fn chain(&self, first: u32, size: Option<u64>) -> Result<Mapping, Error> {
        let mut mapping = Mapping::default();
        let wanted = size.unwrap_or(MAX_DIRECTORY).div_ceil(self.boot.cluster_size);
        let mut next = Some(first).filter(|_| wanted > 0);
        let (mut at, mut named_at) = (0, self.boot.table);
        for _ in 0..wanted {
            let Some(cluster) = next else {
                return match size {
                    Some(_) => Err(Error::damaged(
                        named_at,
                        "the clusters of a file end before the file does",
                    )),
                    None => Ok(mapping),
                };
            };
            let offset = self.boot.cluster(cluster);
            let offset = offset.ok_or(Error::damaged(
                named_at,
                "a file goes on in a cluster that does not exist",
            ))?;
            let file = at..at + self.boot.cluster_size;
            at = file.end;
            let written = true;
            let piece = Piece { file, offset, written };
            mapping
                .push(piece)
                .map_err(|why| Error::damaged(named_at, why.as_str()))?;
            named_at = self.position(cluster);
            next = self.next(cluster)?;
        }
        match next {
            Some(_) if size.is_none() => Err(Error::damaged(named_at, "a directory has more than 65536 entries")),
            _ => Ok(mapping),
        }
    }

    /// The cluster behind this one, which exists; none at a chain's end.
    fn next(&self, cluster: u32) -> Result<Option<u32>, Error> {
        let (next, last) = (self.entry(cluster)?, self.last_number());
        Ok((next < last).then_some(next))
    }

    /// The first of the numbers that end a chain.
    fn last_number(&self) -> u32 {
        match self.boot.width {
            Width::Bits12 => 0xff8,
            Width::Bits16 => 0xfff8,
            Width::Bits32 => 0x0fff_fff8,
        }
    }

    /// Whether the table notes that the volume was unmounted and had no errors. FAT12 has no room for it.
    pub(super) fn is_clean(&self) -> Result<bool, Error> {
        let flags = match self.boot.width {
            Width::Bits12 => return Ok(true),
            Width::Bits16 => 0xc000,
            Width::Bits32 => 0x0c00_0000,
        };
        Ok(self.entry(FIRST_CLUSTER - 1)? & flags == flags)
    }

    fn position(&self, cluster: u32) -> u64 {
        let cluster = u64::from(cluster);
        self.boot.table
            + match self.boot.width {
                Width::Bits12 => cluster + cluster / 2,
                Width::Bits16 => cluster * 2,
                Width::Bits32 => cluster * 4,
            }
    }

    fn entry(&self, cluster: u32) -> Result<u32, Error> {
        let at = self.position(cluster);
        let mut window = self.window.borrow_mut();
        let has = |(start, bytes): &(u64, Vec<u8>)| at >= *start && at + 4 <= start + bytes.len() as u64;
        if !has(&window) {
            let len = WINDOW.min(self.source.size().saturating_sub(at));
            *window = (at, self.source.read(at, len as usize)?);
        }
        let (start, bytes) = &*window;
        let inside = (at - start) as usize;
        Ok(match self.boot.width {
            Width::Bits12 if cluster.is_multiple_of(2) => u32::from(u16_at(bytes, inside)) & 0xfff,
            Width::Bits12 => u32::from(u16_at(bytes, inside)) >> 4,
            Width::Bits16 => u16_at(bytes, inside).into(),
            Width::Bits32 => u32_at(bytes, inside) & 0x0fff_ffff,
        })
    }
}
