//! The volumes of a disk: in partitions, in logical volumes of LVM2, or the whole disk.

use anyhow::{Context, bail};
use clap::Args;
use vhd_mbr::PartitionTable;
use vhd_mbr::patch::OnDisk;
use vhd_mbr::volume::lvm::VolumeGroup;
use vhd_mbr::volume::{ContentKind, Contents, Error, Volume};
use vhd_mbr::xen_disk::{ReadAt, Window};

/// Which volume of a disk.
#[derive(Args, Clone, Debug, Default)]
pub struct WhichVolume {
    /// The number of the partition; needless where only one can be read
    #[arg(long, value_name = "NUMBER")]
    pub partition: Option<u32>,
    /// The logical volume, such as root or guest/root; needless where only one can be read
    #[arg(long, value_name = "NAME")]
    pub volume: Option<String>,
}

/// A volume whose files can be read, and its place on the disk.
#[derive(Debug)]
pub struct FoundVolume<'d> {
    /// What to call it: `partition 2`, `guest/root` or `the whole disk`.
    pub name: String,
    /// The volume.
    pub volume: Volume<Box<dyn ReadAt + 'd>>,
    on_disk: Result<OnDisk, String>,
}

impl<'d> FoundVolume<'d> {
    /// The only volume of the disk that is wanted and can be read.
    ///
    /// # Errors
    /// Where there is none, with the reason, or where there are several, with their names.
    pub fn open(disk: &'d dyn ReadAt, which: &WhichVolume) -> anyhow::Result<Self> {
        if which.partition.is_none() && Contents::detect(disk)?.kind != ContentKind::PartitionTable {
            let whole = [(String::from("the whole disk"), 0, disk.size()?)];
            return only(which, Self::at(disk, &whole, 0, which)?);
        }
        let mut found: Vec<Self> = Vec::new();
        let mut refused = None;
        let table = PartitionTable::read_disk(&disk)?;
        for number in which.partitions(&table)? {
            match Self::of(disk, &table, number, which) {
                // A group on two partitions is found on both.
                Ok(more) => {
                    for volume in more {
                        if found.iter().all(|known| known.name != volume.name) {
                            found.push(volume);
                        }
                    }
                }
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        match refused {
            Some(error) if found.is_empty() => Err(error),
            _ => only(which, found),
        }
    }

    /// The volumes in a partition of a table that was read before: one, or the logical ones.
    ///
    /// # Errors
    /// Where there is none that can be read.
    pub fn of(
        disk: &'d dyn ReadAt,
        table: &PartitionTable,
        number: u32,
        which: &WhichVolume,
    ) -> anyhow::Result<Vec<Self>> {
        let size = disk.size()?;
        let place = |entry: &vhd_mbr::partition::Partition| {
            let start = entry.start.min(size);
            (
                format!("partition {}", entry.number),
                start,
                entry.end().min(size) - start,
            )
        };
        let places: Vec<_> = table.partitions().iter().map(place).collect();
        let index = table.partitions().iter().position(|entry| entry.number == number);
        Self::at(disk, &places, index.context("the disk has no such partition")?, which)
    }

    /// The volumes at one of several places, each with its start and length.
    fn at(
        disk: &'d dyn ReadAt,
        places: &[(String, u64, u64)],
        index: usize,
        which: &WhichVolume,
    ) -> anyhow::Result<Vec<Self>> {
        let (name, start, len) = &places[index];
        let window = Window::new(disk, *start, *len);
        match Volume::open(Box::new(window) as Box<dyn ReadAt + 'd>) {
            Ok(volume) if which.volume.is_none() => Ok(vec![Self {
                name: name.clone(),
                volume,
                on_disk: Ok(OnDisk::from(*start..start + len)),
            }]),
            Ok(_) => bail!("{name} has no logical volumes"),
            Err(Error::NotReadable { contents }) if contents.kind == ContentKind::Lvm => {
                logical(disk, places, index, which).with_context(|| name.clone())
            }
            Err(error) => Err(error).with_context(|| name.clone()),
        }
    }

    /// Which bytes of the disk it is made of, to be changed there.
    ///
    /// # Errors
    /// Where they must not be changed.
    pub fn on_disk(&self) -> anyhow::Result<&OnDisk> {
        self.on_disk.as_ref().map_err(|why| anyhow::anyhow!("{why}"))
    }
}

impl WhichVolume {
    /// The numbers of the partitions that are wanted.
    ///
    /// # Errors
    /// Where the table has no such partition.
    pub fn partitions(&self, table: &PartitionTable) -> anyhow::Result<Vec<u32>> {
        let mut numbers: Vec<_> = table.partitions().iter().map(|entry| entry.number).collect();
        if let Some(wanted) = self.partition {
            numbers.retain(|number| *number == wanted);
        }
        anyhow::ensure!(!numbers.is_empty(), "the disk has no such partition");
        Ok(numbers)
    }

    fn takes(&self, group: &str, name: &str) -> bool {
        let wanted = self.volume.as_deref();
        wanted.is_none_or(|wanted| wanted == name || wanted.strip_prefix(group) == Some(&format!("/{name}")))
    }
}

/// The volumes in the logical volumes of the groups that the physical volume at `index` belongs to.
fn logical<'d>(
    disk: &'d dyn ReadAt,
    places: &[(String, u64, u64)],
    index: usize,
    which: &WhichVolume,
) -> anyhow::Result<Vec<FoundVolume<'d>>> {
    let window = |index: usize| Window::new(disk, places[index].1, places[index].2);
    let mut physical = vec![index];
    // Only where the group has others is it looked for them.
    if VolumeGroup::find([window(index)])?
        .iter()
        .any(|group| !group.missing().is_empty())
    {
        for other in (0..places.len()).filter(|other| *other != index) {
            if Contents::detect(&window(other))?.kind == ContentKind::Lvm {
                physical.push(other);
            }
        }
    }
    let find = || VolumeGroup::find(physical.iter().map(|index| window(*index)));
    let mut found = Vec::new();
    let mut refused = None;
    for (number, group) in find()?.iter().enumerate() {
        for info in group.logical_volumes() {
            if !which.takes(group.name(), &info.name) {
                continue;
            }
            let Some(group) = find()?.into_iter().nth(number) else {
                continue;
            };
            let name = format!("{}/{}", group.name(), info.name);
            match open_logical(group, &info.name, places, &physical) {
                Ok((volume, on_disk)) => found.push(FoundVolume { name, volume, on_disk }),
                Err(error) => refused = refused.or(Some(error.context(name))),
            }
        }
    }
    match refused {
        Some(error) if found.is_empty() => Err(error),
        _ => Ok(found),
    }
}

type Opened<'d> = (Volume<Box<dyn ReadAt + 'd>>, Result<OnDisk, String>);

fn open_logical<'d>(
    group: VolumeGroup<Window<&'d dyn ReadAt>>,
    name: &str,
    places: &[(String, u64, u64)],
    physical: &[usize],
) -> anyhow::Result<Opened<'d>> {
    let logical = group.into_open(name)?;
    let on_disk = logical.on_disk(0..logical.len()).map_err(|error| error.to_string());
    let on_disk = on_disk.map(|ranges| {
        let of_disk = ranges.into_iter().map(|range| {
            let (_, start, _) = places[physical[range.disk]];
            start + range.bytes.start..start + range.bytes.end
        });
        of_disk.collect()
    });
    Ok((Volume::open(Box::new(logical) as Box<dyn ReadAt + 'd>)?, on_disk))
}

fn only<'d>(which: &WhichVolume, mut found: Vec<FoundVolume<'d>>) -> anyhow::Result<FoundVolume<'d>> {
    match (found.pop(), &found[..]) {
        (Some(only), []) => Ok(only),
        (None, _) => match &which.volume {
            Some(name) => bail!("the disk has no logical volume {name}"),
            None => bail!("the disk has no volume whose files can be read"),
        },
        (Some(last), others) => {
            let names = others.iter().chain([&last]);
            let names: Vec<_> = names
                .map(|found| format!("{} ({})", found.name, found.volume.kind()))
                .collect();
            bail!("choose one with --partition or --volume: {}", names.join(", "))
        }
    }
}
