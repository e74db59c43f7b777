//! Where everything starts.

use super::Error;
use super::checksum::Checksum;
use super::node::Pointer;
use crate::bytes::{array, is_at, u16_at, u32_at, u64_at};
use crate::filetree::Source;

/// The first one, and its copies as far as the volume is large enough.
const PLACES: [u64; 3] = [64 << 10, 64 << 20, 256 << 30];
const LEN: usize = 4096;
const MAGIC: &[u8] = b"_BHRfS_M";
/// Of a node and of a sector.
const LARGEST: u32 = 64 << 10;
const CHUNKS: usize = 811;
const MOST_CHUNKS: usize = 2048;

#[derive(Debug)]
pub(super) struct Superblock {
    pub(super) checksum: Checksum,
    /// What nodes of this volume are marked with.
    pub(super) id: [u8; 16],
    /// The number of the device that this volume is.
    pub(super) device: u64,
    pub(super) sector: u32,
    pub(super) node: u32,
    pub(super) root_tree: Pointer,
    pub(super) chunk_tree: Pointer,
    /// Where the name of the default subvolume is.
    pub(super) root_directory: u64,
    /// The chunks that are needed to read the tree of chunks, and where they are on the volume.
    pub(super) chunks: (Vec<u8>, u64),
    /// Whether there are changes that the next mount makes.
    pub(super) has_log: bool,
}

impl Superblock {
    /// The first superblock that is whole.
    pub(super) fn read(source: &Source<'_>) -> Result<Self, Error> {
        let mut first = Err(Error::damaged(PLACES[0], "it ends before its superblock"));
        for (index, &place) in PLACES.iter().enumerate() {
            if place + LEN as u64 > source.size() {
                break;
            }
            let found = source.read(place, LEN)?;
            match Self::parse(&found, place) {
                // That something is not supported is not told by a copy in another way.
                Err(Error::Damaged { offset, what }) if index == 0 => first = Err(Error::Damaged { offset, what }),
                Err(Error::Damaged { .. }) => {}
                known => return known,
            }
        }
        first
    }

    fn parse(raw: &[u8], place: u64) -> Result<Self, Error> {
        let damaged = |what| Error::damaged(place, what);
        if !is_at(raw, 64, MAGIC) || u64_at(raw, 48) != place {
            return Err(damaged("there is no superblock"));
        }
        let checksum = Checksum::of_type(u16_at(raw, 196));
        let checksum = checksum.ok_or(Error::unsupported("checksums of an unknown kind"))?;
        if !checksum.matches(&raw[32..], raw) {
            return Err(damaged("the checksum of the superblock does not match"));
        }
        let features = u64_at(raw, 188);
        check_features(features)?;
        if u64_at(raw, 136) != 1 {
            return Err(Error::unsupported("its other devices"));
        }
        let (sector, node) = (u32_at(raw, 144), u32_at(raw, 148));
        let is_size = |size: u32| size.is_power_of_two() && (4096..=LARGEST).contains(&size);
        if !is_size(sector) || !is_size(node) || node < sector {
            return Err(damaged("the sizes of sectors and nodes cannot be"));
        }
        let chunks_len = u32_at(raw, 160) as usize;
        if chunks_len > MOST_CHUNKS {
            return Err(damaged("the list of chunks leaves the superblock"));
        }
        const OWN_METADATA_ID: u64 = 1 << 10;
        Ok(Self {
            checksum,
            id: array(raw, if features & OWN_METADATA_ID == 0 { 32 } else { 571 }),
            device: u64_at(raw, 201),
            sector,
            node,
            root_tree: Pointer::root(u64_at(raw, 80), raw[198], u64_at(raw, 72)),
            chunk_tree: Pointer::root(u64_at(raw, 88), raw[199], u64_at(raw, 164)),
            root_directory: u64_at(raw, 128),
            chunks: (raw[CHUNKS..CHUNKS + chunks_len].to_vec(), place + CHUNKS as u64),
            has_log: u64_at(raw, 96) != 0,
        })
    }
}

/// What changes where or how things are; the rest of the known features is the same to a reader.
fn check_features(features: u64) -> Result<(), Error> {
    const SAME: u64 = 0x0fff | SIMPLE_QUOTA;
    const SIMPLE_QUOTA: u64 = 1 << 16;
    let feature = match features & !SAME {
        0 => return Ok(()),
        other if other & 1 << 12 != 0 => "zones",
        other if other & 1 << 13 != 0 => "version 2 of the extent tree",
        other if other & 1 << 14 != 0 => "the tree of stripes",
        _ => "a feature of a later version",
    };
    Err(Error::unsupported(feature))
}
