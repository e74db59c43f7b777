//! Images whose tables all come before the clusters, as xapi sends them.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::{MAGIC, SOLE, ZEROS};
use crate::disk_image::DiskImage;

const CLUSTER_BITS: u32 = 16;
/// How much of the disk one cluster holds, in bytes.
const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// How many clusters one table of the second level places.
const PLACES: u64 = CLUSTER / 8;
/// How many clusters one block of counts counts, two bytes each.
const COUNTS: u64 = CLUSTER / 2;
/// The length of a header of version 3 without extensions, in bytes.
const HEADER: usize = 104;

/// The pieces of an image, made when they are asked for: header, counts, first level, second level, and the clusters in
/// the disk's order.
#[derive(Debug)]
pub(crate) struct Image {
    disk: Arc<DiskImage>,
    size: u64,
    head: Option<Vec<u8>>,
    clusters: std::vec::IntoIter<u64>,
}

/// What an image says of a cluster of the disk.
#[derive(Clone, Copy)]
enum Cluster {
    /// Nothing: it is zero, or as in the image below.
    Absent,
    Zeros,
    Data,
}

impl Image {
    /// The whole disk.
    pub(crate) fn whole(disk: Arc<DiskImage>, size: u64) -> io::Result<Self> {
        let clusters = (0..size.div_ceil(CLUSTER))
            .map(|number| match disk.is_hole(number * CLUSTER, CLUSTER) {
                true => Cluster::Absent,
                false => Cluster::Data,
            })
            .collect();
        Self::new(disk, size, clusters)
    }

    /// The clusters that differ from those of `base`, which the image does not name.
    pub(crate) fn difference(disk: Arc<DiskImage>, base: Arc<DiskImage>, size: u64) -> io::Result<Self> {
        let cluster = |number| {
            let (at, length) = (number * CLUSTER, CLUSTER.min(size - number * CLUSTER));
            Ok(match disk.has_same(&base, at, length)? {
                true => Cluster::Absent,
                false if disk.is_hole(at, length) => Cluster::Zeros,
                false => Cluster::Data,
            })
        };
        let clusters = (0..size.div_ceil(CLUSTER)).map(cluster).collect::<io::Result<_>>()?;
        Self::new(disk, size, clusters)
    }

    fn new(disk: Arc<DiskImage>, size: u64, clusters: Vec<Cluster>) -> io::Result<Self> {
        let groups: Vec<_> = clusters.chunks(PLACES as usize).collect();
        let in_use = |group: &&[Cluster]| group.iter().any(|cluster| !matches!(cluster, Cluster::Absent));
        let tables = groups.iter().filter(|group| in_use(group)).count() as u64;
        let first = (groups.len() as u64 * 8).div_ceil(CLUSTER).max(1);
        let data: Vec<u64> = (0..)
            .zip(&clusters)
            .filter(|(_, cluster)| matches!(cluster, Cluster::Data))
            .map(|(number, _)| number)
            .collect();
        let others = 1 + first + tables + data.len() as u64;
        let (count_table, count_blocks) = counts(others);
        let total = others + count_table + count_blocks;
        let first_at = 1 + count_table + count_blocks;

        let mut head = header(size, groups.len(), first_at * CLUSTER, count_table)?;
        let blocks = (0..count_blocks).map(|block| (1 + count_table + block) * CLUSTER);
        head.extend(blocks.flat_map(u64::to_be_bytes));
        pad(&mut head);
        head.resize(head.len() + total as usize * 2, 0);
        let start = head.len() - total as usize * 2;
        head[start..].chunks_exact_mut(2).for_each(|count| count[1] = 1);
        pad(&mut head);

        let mut table_at = first_at + first;
        let mut data_at = table_at + tables;
        for group in &groups {
            let place = if in_use(group) { (table_at * CLUSTER) | SOLE } else { 0 };
            table_at += u64::from(in_use(group));
            head.extend(place.to_be_bytes());
        }
        head.resize((first_at + first) as usize * CLUSTER as usize, 0);
        for group in groups.iter().filter(|group| in_use(group)) {
            for cluster in *group {
                let place = match cluster {
                    Cluster::Absent => 0,
                    Cluster::Zeros => ZEROS,
                    Cluster::Data => {
                        data_at += 1;
                        ((data_at - 1) * CLUSTER) | SOLE
                    }
                };
                head.extend(place.to_be_bytes());
            }
            pad(&mut head);
        }
        Ok(Self {
            disk,
            size,
            head: Some(head),
            clusters: data.into_iter(),
        })
    }

    fn cluster(&self, number: u64) -> io::Result<Bytes> {
        let mut cluster = vec![0; CLUSTER as usize];
        let inside = CLUSTER.min(self.size - number * CLUSTER) as usize;
        self.disk.read(number * CLUSTER, &mut cluster[..inside])?;
        Ok(cluster.into())
    }
}

impl Iterator for Image {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(head) = self.head.take() {
            return Some(Ok(head.into()));
        }
        let number = self.clusters.next()?;
        Some(self.cluster(number))
    }
}

/// How many clusters the table of counts and its blocks take, which count themselves beside `others`.
fn counts(others: u64) -> (u64, u64) {
    let (mut table, mut blocks) = (1, 1);
    loop {
        let needed = (others + table + blocks).div_ceil(COUNTS);
        let room = (needed * 8).div_ceil(CLUSTER);
        if (room, needed) == (table, blocks) {
            return (table, blocks);
        }
        (table, blocks) = (room, needed);
    }
}

fn header(size: u64, groups: usize, first_at: u64, count_table: u64) -> io::Result<Vec<u8>> {
    let number = |value: u64| u32::try_from(value).map(u32::to_be_bytes).map_err(io::Error::other);
    let mut header = Vec::with_capacity(CLUSTER as usize);
    header.extend(MAGIC);
    header.extend(3_u32.to_be_bytes());
    // No backing file: its offset and the length of its name.
    header.extend([0; 12]);
    header.extend(CLUSTER_BITS.to_be_bytes());
    header.extend(size.to_be_bytes());
    // No encryption.
    header.extend([0; 4]);
    header.extend(number(groups as u64)?);
    header.extend(first_at.to_be_bytes());
    header.extend(CLUSTER.to_be_bytes());
    header.extend(number(count_table)?);
    // No snapshots: their number and place; no features.
    header.extend([0; 36]);
    // Counts of 1 << 4 bits.
    header.extend(4_u32.to_be_bytes());
    header.extend((HEADER as u32).to_be_bytes());
    pad(&mut header);
    Ok(header)
}

/// Fills up the last cluster with zeros.
fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(CLUSTER as usize), 0);
}
