//! Volumes at their places on a disk.

use std::ops::Range;

use anyhow::{Context, bail};
use vhd_mbr::PartitionTable;
use vhd_mbr::volume::{ContentKind, Contents, Volume};
use vhd_mbr::xen_disk::{ReadAt, Window};

/// A file system whose files can be read, and its place on a disk.
#[derive(Debug)]
pub struct PlacedVolume<D: ReadAt> {
    /// Where it is on the disk, in bytes.
    pub place: Range<u64>,
    /// The number of the partition that it is in; none where it is all of the disk.
    pub partition: Option<u32>,
    /// Its files.
    pub volume: Volume<Window<D>>,
}

/// How much of a disk's start is looked at first for its partition table: a disk that comes in forward only is not
/// pulled to its end for the copy that a GPT has there.
const START: u64 = 1 << 20;

impl<D: ReadAt + Clone> PlacedVolume<D> {
    /// The volume in a partition. Without a number: all of the disk where that is a volume, the first partition that has
    /// `path`, or the only one whose files can be read.
    ///
    /// # Errors
    /// Where there is no such partition, none has the path, or it remains unclear which one is meant.
    pub fn open(disk: D, partition: Option<u32>, path: Option<&str>) -> anyhow::Result<Self> {
        let size = disk.size()?;
        if partition.is_none() && Contents::detect(&disk)?.kind.is_readable() {
            return Self::at(disk, 0..size, None);
        }
        let mut start = vec![0; START.min(size) as usize];
        disk.read_exact_at(0, &mut start)?;
        let early = PartitionTable::options().disk_size(size).read(&start);
        match early
            .map_err(Into::into)
            .and_then(|table| Self::of(&disk, &table, partition, path))
        {
            Ok(found) => Ok(found),
            // Logical partitions, and the tables that damage at the start has left.
            Err(early) => PartitionTable::read_disk(&disk)
                .map_err(Into::into)
                .and_then(|table| Self::of(&disk, &table, partition, path))
                .map_err(|late: anyhow::Error| {
                    if partition.is_none() && path.is_none() {
                        early
                    } else {
                        late
                    }
                }),
        }
    }

    fn of(disk: &D, table: &PartitionTable, partition: Option<u32>, path: Option<&str>) -> anyhow::Result<Self> {
        if let Some(number) = partition {
            let entry = table.partition(number).with_context(|| {
                let numbers: Vec<_> = table
                    .partitions()
                    .iter()
                    .map(|entry| entry.number.to_string())
                    .collect();
                format!("the disk has no partition {number}; it has {}", numbers.join(", "))
            })?;
            let place = entry.start..entry.end().min(disk.size()?);
            return Self::at(disk.clone(), place, partition).with_context(|| format!("partition {number}"));
        }
        let mut found = Vec::new();
        let mut others = Vec::new();
        for entry in table.partitions() {
            let place = entry.start..entry.end().min(disk.size()?);
            let opened = Self::at(disk.clone(), place, Some(entry.number));
            let opened = opened.and_then(|placed| {
                if let Some(path) = path {
                    placed.volume.stat(path)?;
                }
                Ok(placed)
            });
            match opened {
                Ok(placed) if path.is_some() => return Ok(placed),
                Ok(placed) => found.push(placed),
                Err(error) => others.push(format!("\n  partition {}: {error:#}", entry.number)),
            }
        }
        match (path, found.len()) {
            (_, 1) => Ok(found.remove(0)),
            (Some(path), _) => bail!("no partition has {path}:{}", others.concat()),
            (None, 0) => bail!("the disk has no partition whose files can be read:{}", others.concat()),
            _ => {
                let lines = found.iter().filter_map(|placed| {
                    let kind = placed.volume.contents();
                    Some(format!("\n  {}: {kind}", placed.partition?))
                });
                bail!("choose one with --partition:{}", lines.collect::<String>())
            }
        }
    }

    fn at(disk: D, place: Range<u64>, partition: Option<u32>) -> anyhow::Result<Self> {
        let window = Window::new(disk, place.start, place.end.saturating_sub(place.start));
        Ok(Self {
            volume: Volume::open(window)?,
            place,
            partition,
        })
    }

    /// Whether files on it can be changed in place.
    pub fn tells_places(&self) -> bool {
        !matches!(self.volume.kind(), ContentKind::Btrfs | ContentKind::Iso9660)
    }
}
