//! What the volume says of itself.

use super::Error;
use super::chunks::Chunks;
use super::key::{CHUNK, KEY, Key};
use super::node::Root;
use crate::bytes::{is_at, u16_at, u32_at, u64_at};
use crate::filetree::Source;

/// Where the superblock and its copies are.
const PLACES: [u64; 3] = [64 << 10, 64 << 20, 256 << 30];
const LEN: usize = 4096;
const MAGIC: &[u8] = b"_BHRfS_M";
/// Where the first chunks are listed, by which the others are found.
const CHUNKS: usize = 0x32b;
const MOST_CHUNKS: usize = 2048;
/// Features that change nothing in how files are read, or that are read: all up to `RAID1C34`, and simple quotas.
const KNOWN: u64 = 0xfff | 1 << 16;

#[derive(Debug)]
pub(super) struct Superblock {
    pub(super) node_len: usize,
    pub(super) sector: u64,
    pub(super) root: Root,
    pub(super) chunk_root: Root,
    /// The object in the tree of roots that names the default subvolume.
    pub(super) root_dir: u64,
    device: u64,
    system_chunks: Vec<u8>,
}

impl Superblock {
    /// The first that is whole, of the superblock and its copies.
    pub(super) fn read(source: &Source<'_>) -> Result<Self, Error> {
        let mut first = None;
        for place in PLACES {
            if place + LEN as u64 > source.size() {
                break;
            }
            match Self::parse(&source.read(place, LEN)?, place) {
                Ok(superblock) => return Ok(superblock),
                Err(error @ Error::Unsupported { .. }) => return Err(error),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or(Error::damaged(PLACES[0], "it ends before its superblock")))
    }

    fn parse(raw: &[u8], place: u64) -> Result<Self, Error> {
        let damaged = |at: usize, what| Error::damaged(place + at as u64, what);
        if !is_at(raw, 0x40, MAGIC) {
            return Err(damaged(0x40, "the superblock has no mark"));
        }
        if u16_at(raw, 0xc4) != 0 {
            return Err(Error::Unsupported {
                feature: "checksums of another kind than CRC32C",
            });
        }
        if crc32c::crc32c(&raw[32..]) != u32_at(raw, 0) {
            return Err(damaged(0, "the checksum of the superblock is wrong"));
        }
        if u64_at(raw, 0xbc) & !KNOWN != 0 {
            return Err(Error::Unsupported {
                feature: "a feature that is newer than this reader, or a zoned disk",
            });
        }
        if u64_at(raw, 0x88) != 1 {
            return Err(Error::Unsupported {
                feature: "several disks at once",
            });
        }
        let (sector, node_len) = (u32_at(raw, 0x90), u32_at(raw, 0x94));
        let sound = |len: u32| len.is_power_of_two() && (4096..=65536).contains(&len);
        if !sound(sector) || !sound(node_len) || node_len < sector {
            return Err(damaged(0x90, "sectors or nodes are of no usual size"));
        }
        let chunks_len = u32_at(raw, 0xa0) as usize;
        if chunks_len > MOST_CHUNKS {
            return Err(damaged(0xa0, "the list of the first chunks is too long"));
        }
        Ok(Self {
            node_len: node_len as usize,
            sector: sector.into(),
            root: Root {
                logical: u64_at(raw, 0x50),
                level: raw[0xc6],
            },
            chunk_root: Root {
                logical: u64_at(raw, 0x58),
                level: raw[0xc7],
            },
            root_dir: u64_at(raw, 0x80),
            device: u64_at(raw, 0xc9),
            system_chunks: raw[CHUNKS..CHUNKS + chunks_len].to_vec(),
        })
    }

    /// The chunks that hold the tree of chunks.
    pub(super) fn first_chunks(&self) -> Result<Chunks, Error> {
        let mut chunks = Chunks::new(self.device, self.sector);
        let mut rest = &self.system_chunks[..];
        while !rest.is_empty() {
            let at = (CHUNKS + self.system_chunks.len() - rest.len()) as u64;
            let key = Key::parse(rest);
            let Some(item) = rest.get(KEY..).filter(|_| key.kind == CHUNK) else {
                return Err(Error::damaged(
                    PLACES[0] + at,
                    "the list of the first chunks is cut off",
                ));
            };
            let len = chunks.add(key.offset, item, PLACES[0] + at)?;
            rest = &item[len..];
        }
        Ok(chunks)
    }
}
