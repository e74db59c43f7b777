use std::collections::BTreeMap;
use std::fmt;

use xen_disk::ReadAt;

use super::label::Label;
use super::logical::{LogicalVolume, Map};
use super::metadata::{Areas, Metadata};
use super::{Error, LogicalVolumeInfo};
use crate::filetree::Source;

/// A volume group with the physical volumes that are here.
pub struct VolumeGroup<D> {
    metadata: Metadata,
    /// Those of the group's physical volumes that are here, by id, each with its place among all that were given.
    disks: BTreeMap<String, (usize, D)>,
}

impl<D: ReadAt> VolumeGroup<D> {
    /// The volume groups that these physical volumes belong to. What is on a group's other ones cannot be read.
    ///
    /// # Errors
    /// If one of them is none, or the description of its group cannot be read anywhere.
    pub fn find(disks: impl IntoIterator<Item = D>) -> Result<Vec<Self>, Error> {
        let mut labelled = BTreeMap::new();
        let mut newest: BTreeMap<String, Metadata> = BTreeMap::new();
        let mut failed = None;
        for (index, disk) in disks.into_iter().enumerate() {
            let source = Source::new(&disk)?;
            let label = Label::read(&source)?;
            for description in label.descriptions(&source) {
                match description.and_then(|text| Metadata::parse(&text)) {
                    Ok(found) => {
                        let known = newest.get(&found.id).map(|known| known.number);
                        if known.is_none_or(|known| known < found.number) {
                            newest.insert(found.id.clone(), found);
                        }
                    }
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            labelled.insert(label.id, (index, disk));
        }
        let groups = newest.into_values().map(|metadata| {
            let ids = metadata.physical.values().map(|physical| &physical.id);
            let disks = ids.filter_map(|id| labelled.remove_entry(id)).collect();
            Self { metadata, disks }
        });
        let groups: Vec<_> = groups.collect();
        match failed {
            Some(error) if groups.is_empty() => Err(error),
            _ => Ok(groups),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// The ids of its physical volumes that are not here.
    pub fn missing(&self) -> Vec<&str> {
        let ids = self.metadata.physical.values().map(|physical| &*physical.id);
        ids.filter(|id| !self.disks.contains_key(*id)).collect()
    }

    /// The logical volumes that a user sees, by name.
    pub fn logical_volumes(&self) -> Vec<LogicalVolumeInfo> {
        let visible = self.metadata.logical.iter().filter(|(_, volume)| volume.is_visible);
        visible
            .map(|(name, volume)| LogicalVolumeInfo {
                name: name.clone(),
                size: volume.len.saturating_mul(self.metadata.extent_size),
                kind: self.kind(name),
            })
            .collect()
    }

    fn kind(&self, name: &str) -> String {
        if self.metadata.snapshots.contains(name) {
            return "snapshot".to_owned();
        }
        let first = self
            .metadata
            .logical
            .get(name)
            .and_then(|volume| volume.segments.first());
        match first {
            Some(segment) => match &segment.areas {
                Areas::Stripes(stripes, _) if stripes.len() == 1 => "linear".to_owned(),
                _ => segment.kind.clone(),
            },
            None => "empty".to_owned(),
        }
    }

    /// The logical volume `name`.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Unsupported`] where it is of a kind that is not read here; [`Error::Missing`] where
    /// a part of it is not here.
    pub fn open(&self, name: &str) -> Result<LogicalVolume<&D>, Error> {
        let map = self.map(name)?;
        let disks = self
            .disks
            .iter()
            .map(|(id, (index, disk))| (id.clone(), (*index, disk)));
        Ok(LogicalVolume::new(name, disks.collect(), map))
    }

    /// The same, with the physical volumes in it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn into_open(self, name: &str) -> Result<LogicalVolume<D>, Error> {
        let map = self.map(name)?;
        Ok(LogicalVolume::new(name, self.disks, map))
    }

    fn map(&self, name: &str) -> Result<Map, Error> {
        if self.metadata.logical.contains_key(name) {
            return Map::of(&self.metadata, &self.disks, name);
        }
        let names: Vec<_> = self.logical_volumes().into_iter().map(|volume| volume.name).collect();
        Err(Error::NotFound {
            group: self.metadata.name.clone(),
            name: name.to_owned(),
            others: if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            },
        })
    }
}

impl<D> fmt::Debug for VolumeGroup<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VolumeGroup")
            .field("name", &self.metadata.name)
            .finish_non_exhaustive()
    }
}
