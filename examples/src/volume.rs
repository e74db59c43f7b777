//! The volumes of a disk: in partitions, in logical volumes of LVM2, or the whole disk.

use anyhow::{Context, bail, ensure};
use clap::Args;
use vhd_mbr::PartitionTable;
use vhd_mbr::patch::OnDisk;
use vhd_mbr::volume::lvm::VolumeGroup;
use vhd_mbr::volume::{ContentKind, Contents, Error, Volume};
use vhd_mbr::xen_disk::{ReadAt, Window};

/// Which volume of a disk.
#[derive(Args, Clone, Debug, Default)]
pub struct WhichVolume {
    /// The number of the partition; otherwise the first that has the file
    #[arg(long, value_name = "NUMBER", global = true)]
    pub partition: Option<u32>,
    /// The logical volume, such as root or guest/root; otherwise the first that has the file
    #[arg(long, value_name = "NAME", global = true)]
    pub volume: Option<String>,
}

/// How much of a disk's start is looked at first for its partition table: a disk that comes in forward only is not
/// pulled to its end for the copy that a GPT has there.
const START: u64 = 1 << 20;

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
    /// The volume of the disk that is wanted: the first that has `path`, or without one the only one that can be read.
    ///
    /// # Errors
    /// Where there is none, with the reasons, or where there are several, with their names.
    pub fn open(disk: &'d dyn ReadAt, which: &WhichVolume, path: Option<&str>) -> anyhow::Result<Self> {
        let size = disk.size()?;
        if which.partition.is_none() && Contents::detect(disk)?.kind != ContentKind::PartitionTable {
            let whole = [("the whole disk".to_owned(), 0, size)];
            return Search::new(path).through(Self::at(disk, &whole, 0, which)).found(which);
        }
        let mut start = vec![0; START.min(size) as usize];
        disk.read_exact_at(0, &mut start)?;
        let early = PartitionTable::options().disk_size(size).read(&start);
        if let Ok(table) = early
            && let Ok(found) = Self::in_table(disk, &table, which, path)
        {
            return Ok(found);
        }
        // For logical partitions, and what damage at the start has left.
        Self::in_table(disk, &PartitionTable::read_disk(&disk)?, which, path)
    }

    fn in_table(
        disk: &'d dyn ReadAt,
        table: &PartitionTable,
        which: &WhichVolume,
        path: Option<&str>,
    ) -> anyhow::Result<Self> {
        let mut search = Search::new(path);
        for number in which.partitions(table)? {
            search = search.through(Self::of(disk, table, number, which));
            if search.is_over() {
                break;
            }
        }
        search.found(which)
    }

    /// The volumes in a partition: one, or the logical ones.
    fn of(disk: &'d dyn ReadAt, table: &PartitionTable, number: u32, which: &WhichVolume) -> anyhow::Result<Vec<Self>> {
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
    fn partitions(&self, table: &PartitionTable) -> anyhow::Result<Vec<u32>> {
        let numbers: Vec<_> = table.partitions().iter().map(|entry| entry.number).collect();
        let Some(wanted) = self.partition else {
            return Ok(numbers);
        };
        let there: Vec<_> = numbers.iter().map(u32::to_string).collect();
        ensure!(
            numbers.contains(&wanted),
            "the disk has no partition {wanted}; it has {}",
            there.join(", ")
        );
        Ok(vec![wanted])
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

/// What a search has found so far.
struct Search<'d, 'p> {
    path: Option<&'p str>,
    found: Vec<FoundVolume<'d>>,
    refused: Vec<String>,
}

impl<'d, 'p> Search<'d, 'p> {
    fn new(path: Option<&'p str>) -> Self {
        Self {
            path,
            found: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Takes what is wanted of some volumes.
    fn through(mut self, volumes: anyhow::Result<Vec<FoundVolume<'d>>>) -> Self {
        match volumes {
            Ok(volumes) => {
                for volume in volumes {
                    let stat = self.path.map(|path| volume.volume.stat(path));
                    if let Some(Err(error)) = stat {
                        self.refused.push(format!("\n  {}: {error}", volume.name));
                    } else if self.found.iter().all(|known| known.name != volume.name) {
                        // A group on two partitions is found on both.
                        self.found.push(volume);
                    }
                }
            }
            Err(error) => self.refused.push(format!("\n  {error:#}")),
        }
        self
    }

    /// Whether nothing more needs to be looked at.
    fn is_over(&self) -> bool {
        self.path.is_some() && !self.found.is_empty()
    }

    fn found(mut self, which: &WhichVolume) -> anyhow::Result<FoundVolume<'d>> {
        if self.found.len() == 1 || self.is_over() {
            return Ok(self.found.swap_remove(0));
        }
        if self.found.is_empty() {
            let reasons = self.refused.concat();
            match (self.path, &which.volume) {
                (Some(path), _) => bail!("no volume of the disk has {path}:{reasons}"),
                (None, Some(name)) => bail!("the disk has no logical volume {name}:{reasons}"),
                (None, None) => bail!("the disk has no volume whose files can be read:{reasons}"),
            }
        }
        let names = self
            .found
            .iter()
            .map(|found| format!("\n  {} ({})", found.name, found.volume.kind()));
        bail!("choose one with --partition or --volume:{}", names.collect::<String>())
    }
}
