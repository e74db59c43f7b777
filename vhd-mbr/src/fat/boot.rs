//! The boot sector: where the allocation table, the root and the clusters are.

use super::Error;
use crate::bytes::{is_at, u16_at, u32_at};
use crate::filetree::Source;

/// Volumes with fewer clusters than this have entries of 12 bits.
const FAT16_CLUSTERS: u64 = 4085;
/// A volume with as many has entries of 32 bits.
const FAT32_CLUSTERS: u64 = 65525;
/// The first clusters' numbers are not used.
pub(super) const FIRST_CLUSTER: u32 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Bits12,
    Bits16,
    Bits32,
}

/// Where the root directory is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Root {
    /// At a place of its own.
    Fixed { offset: u64, len: u64 },
    /// In clusters, like any directory.
    Cluster(u32),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Boot {
    pub(super) width: Width,
    pub(super) root: Root,
    pub(super) cluster_size: u64,
    /// Where the allocation table in use is.
    pub(super) table: u64,
    /// How long each of them is.
    pub(super) table_len: u64,
    /// How many clusters there are; the last one's number is one more.
    pub(super) clusters: u32,
    /// Where the first cluster is.
    data: u64,
    /// Linux and Windows CE note here that the volume is mounted.
    pub(super) is_marked_dirty: bool,
}

impl Boot {
    pub(super) fn read(source: &Source<'_>) -> Result<Self, Error> {
        let raw = source.read(0, 512)?;
        let not_fat = |why| Err(Error::NotFat { why });
        if is_at(&raw, 3, b"NTFS    ") {
            return not_fat("it is NTFS");
        }
        if is_at(&raw, 3, b"EXFAT   ") {
            return not_fat("it is exFAT");
        }
        let sector = u64::from(u16_at(&raw, 11));
        if !sector.is_power_of_two() || !(512..=4096).contains(&sector) {
            return not_fat("the sector size in its first sector is no power of two from 512 to 4096");
        }
        let per_cluster = u64::from(raw[13]);
        if !per_cluster.is_power_of_two() {
            return not_fat("the cluster size in its first sector is no power of two");
        }
        let (reserved, tables) = (u64::from(u16_at(&raw, 14)), u64::from(raw[16]));
        if reserved == 0 || tables == 0 {
            return not_fat("its first sector leaves no room for an allocation table");
        }
        let is_fat32 = u16_at(&raw, 22) == 0;
        let table_sectors = u64::from(if is_fat32 {
            u32_at(&raw, 36)
        } else {
            u16_at(&raw, 22).into()
        });
        let sectors = match u16_at(&raw, 19) {
            0 => u64::from(u32_at(&raw, 32)),
            sectors => sectors.into(),
        };
        let root_len = u64::from(u16_at(&raw, 17)) * 32;
        let root = reserved + tables * table_sectors;
        let data = root + root_len.div_ceil(sector);
        if table_sectors == 0 || sectors <= data {
            return not_fat("its first sector leaves no room for files");
        }
        if sectors * sector > source.size() {
            return Err(Error::damaged(32, "it has more sectors than there is room for"));
        }
        let clusters = (sectors - data) / per_cluster;
        // By the rules the number of clusters decides; where mkfs.fat was told otherwise, Linux goes by the fields.
        let (width, bits) = match clusters {
            _ if is_fat32 => (Width::Bits32, 32),
            0..FAT16_CLUSTERS => (Width::Bits12, 12),
            FAT16_CLUSTERS..FAT32_CLUSTERS => (Width::Bits16, 16),
            _ => return not_fat("it has too many clusters for the fields in its first sector"),
        };
        if (clusters + u64::from(FIRST_CLUSTER)) * bits > table_sectors * sector * 8 || clusters >= 0x0fff_fff5 {
            return Err(Error::damaged(
                if is_fat32 { 36 } else { 22 },
                "the allocation table is too small for the volume",
            ));
        }
        // FAT32 can have one table in use only.
        let flags = if is_fat32 { u16_at(&raw, 40) } else { 0 };
        let in_use = if flags & 0x80 != 0 { u64::from(flags & 0xf) } else { 0 };
        if in_use >= tables {
            return Err(Error::damaged(40, "the allocation table in use does not exist"));
        }
        Ok(Self {
            width,
            root: if is_fat32 {
                Root::Cluster(u32_at(&raw, 44))
            } else {
                Root::Fixed {
                    offset: root * sector,
                    len: root_len,
                }
            },
            cluster_size: per_cluster * sector,
            table: (reserved + in_use * table_sectors) * sector,
            table_len: table_sectors * sector,
            clusters: clusters as u32,
            data: data * sector,
            is_marked_dirty: raw[if is_fat32 { 65 } else { 37 }] & 1 != 0,
        })
    }

    /// Where a cluster is, if there is one of this number.
    pub(super) fn cluster(&self, number: u32) -> Option<u64> {
        let index = number
            .checked_sub(FIRST_CLUSTER)
            .filter(|&index| index < self.clusters)?;
        Some(self.data + u64::from(index) * self.cluster_size)
    }
}
