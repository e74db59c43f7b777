//! Dynamic and differencing images, laid out as xapi's own.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::{BLOCK, SECTOR, UNUSED, checksum};
use crate::disk_image::DiskImage;

/// Where the table of blocks starts: behind the footer's copy, the header and one empty sector.
const TABLE: u64 = 4 * SECTOR;

/// The pieces of an image, made when they are asked for: footer, header, table, whole blocks in the disk's order, and
/// the footer again.
#[derive(Debug)]
pub(crate) struct Image {
    disk: Arc<DiskImage>,
    head: Option<Vec<u8>>,
    blocks: std::vec::IntoIter<u64>,
    footer: Option<Vec<u8>>,
}

/// What a differencing image says about the image below.
struct Parent<'a> {
    id: u128,
    path: &'a str,
}

impl Image {
    /// The whole disk; `id` is the image's own.
    pub(crate) fn whole(disk: Arc<DiskImage>, size: u64, id: u128) -> io::Result<Self> {
        let used = (0..size.div_ceil(BLOCK)).filter(|number| !disk.is_hole(number * BLOCK, BLOCK));
        let used = used.collect();
        Self::new(disk, size, id, used, None)
    }

    /// The blocks that differ from those of `base`. The ids are the image's own and that of the base, which lies at
    /// `path`.
    pub(crate) fn difference(
        disk: Arc<DiskImage>,
        base: Arc<DiskImage>,
        size: u64,
        [id, parent]: [u128; 2],
        path: &str,
    ) -> io::Result<Self> {
        let mut changed = Vec::new();
        for number in 0..size.div_ceil(BLOCK) {
            if !disk.has_same(&base, number * BLOCK, BLOCK)? {
                changed.push(number);
            }
        }
        Self::new(disk, size, id, changed, Some(Parent { id: parent, path }))
    }

    fn new(
        disk: Arc<DiskImage>,
        size: u64,
        id: u128,
        blocks: Vec<u64>,
        parent: Option<Parent<'_>>,
    ) -> io::Result<Self> {
        let entries = u32::try_from(size.div_ceil(BLOCK)).map_err(io::Error::other)?;
        let mut table = vec![UNUSED; entries as usize];
        let table_length = (u64::from(entries) * 4).next_multiple_of(SECTOR);
        for (at, &number) in blocks.iter().enumerate() {
            let offset = TABLE + table_length + at as u64 * (SECTOR + BLOCK);
            table[number as usize] = u32::try_from(offset / SECTOR).map_err(io::Error::other)?;
        }
        let footer = footer(size, id, parent.is_some());
        let mut head = footer.clone();
        head.extend(header(entries, parent.as_ref()));
        head.resize(TABLE as usize, 0);
        head.extend(table.iter().flat_map(|entry| entry.to_be_bytes()));
        head.resize((TABLE + table_length) as usize, 0xff);
        Ok(Self {
            disk,
            head: Some(head),
            blocks: blocks.into_iter(),
            footer: Some(footer),
        })
    }

    fn block(&self, number: u64) -> io::Result<Bytes> {
        let mut block = vec![0xff; (SECTOR + BLOCK) as usize];
        self.disk.read(number * BLOCK, &mut block[SECTOR as usize..])?;
        Ok(block.into())
    }
}

impl Iterator for Image {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(head) = self.head.take() {
            return Some(Ok(head.into()));
        }
        match self.blocks.next() {
            Some(number) => Some(self.block(number)),
            None => self.footer.take().map(|footer| Ok(footer.into())),
        }
    }
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

fn footer(size: u64, id: u128, differs: bool) -> Vec<u8> {
    let mut footer = vec![0; SECTOR as usize];
    put(&mut footer, 0, b"conectix");
    put(&mut footer, 8, &2_u32.to_be_bytes());
    put(&mut footer, 12, &0x0001_0000_u32.to_be_bytes());
    put(&mut footer, 16, &SECTOR.to_be_bytes());
    put(&mut footer, 28, b"caml");
    put(&mut footer, 32, &1_u32.to_be_bytes());
    put(&mut footer, 40, &size.to_be_bytes());
    put(&mut footer, 48, &size.to_be_bytes());
    put(&mut footer, 56, &geometry(size));
    put(&mut footer, 60, &if differs { 4_u32 } else { 3 }.to_be_bytes());
    put(&mut footer, 68, &id.to_be_bytes());
    let sum = checksum(&footer);
    put(&mut footer, 64, &sum.to_be_bytes());
    footer
}

fn header(entries: u32, parent: Option<&Parent<'_>>) -> Vec<u8> {
    let mut header = vec![0; 2 * SECTOR as usize];
    put(&mut header, 0, b"cxsparse");
    put(&mut header, 8, &u64::MAX.to_be_bytes());
    put(&mut header, 16, &TABLE.to_be_bytes());
    put(&mut header, 24, &0x0001_0000_u32.to_be_bytes());
    put(&mut header, 28, &entries.to_be_bytes());
    put(&mut header, 32, &(BLOCK as u32).to_be_bytes());
    if let Some(parent) = parent {
        put(&mut header, 40, &parent.id.to_be_bytes());
        for (place, unit) in header[64..576].chunks_exact_mut(2).zip(parent.path.encode_utf16()) {
            place.copy_from_slice(&unit.to_be_bytes());
        }
        // The place that this names is left empty: xapi never writes the link there.
        let length = u32::try_from("file://".len() + parent.path.len()).unwrap_or(u32::MAX);
        put(&mut header, 576, b"MacX");
        put(&mut header, 580, &(SECTOR as u32).to_be_bytes());
        put(&mut header, 584, &length.to_be_bytes());
        put(&mut header, 592, &(3 * SECTOR).to_be_bytes());
    }
    let sum = checksum(&header);
    put(&mut header, 36, &sum.to_be_bytes());
    header
}

/// Cylinders, heads and sectors, as the format's specification has them computed.
fn geometry(size: u64) -> [u8; 4] {
    let sectors = (size / SECTOR).min(65_535 * 16 * 255);
    let (heads, per_track) = if sectors > 65_535 * 16 * 63 {
        (16, 255)
    } else {
        let tracks = sectors / 17;
        let heads = tracks.div_ceil(1024).max(4);
        if tracks < heads * 1024 && heads <= 16 {
            (heads, 17)
        } else if sectors / 31 < 16 * 1024 {
            (16, 31)
        } else {
            (16, 63)
        }
    };
    let cylinders = u16::try_from(sectors / per_track / heads)
        .unwrap_or(u16::MAX)
        .to_be_bytes();
    [cylinders[0], cylinders[1], heads as u8, per_track as u8]
}
