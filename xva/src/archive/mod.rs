//! Random access to the disks of an archive.

mod disk;
mod entry;
mod index;
mod map;
mod patch;
mod run;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

pub use self::disk::{ArchiveDisk, BlockPlace, Stretch};
use self::entry::{Found, look};
pub use self::index::{Index, IndexError};
use self::map::{Ground, Map};
pub use self::patch::{Change, Patch, PatchError};
use crate::block::Name;
use crate::compression::{Compression, MAGIC_LEN};
use crate::error::{Error, Result};
use crate::options::Options;
use crate::ova::{self, Ova};
use xen_disk::ReadAt;

/// An archive whose disks are read anywhere, without reading what lies in between.
///
/// Opening reads the metadata and nothing else. Where blocks lie is found when they are asked for: blocks that follow
/// each other take up the same space, so their places are computed, and the headers that are found there prove them
/// right. That takes a number of small reads that grows with the logarithm of the disk's length, and less once a part is
/// known. What has been found can be [kept](Archive::index).
///
/// The archive must not be compressed as a whole: nobody can tell where something is in such a one without decoding all
/// that comes before.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use xva::ReadAt;
///
/// let archive = xva::Archive::open(std::fs::File::open("machine.xva")?)?;
/// for vm in archive.ova().vms() {
///     for disk in &vm.disks {
///         let mut sector = [0; 512];
///         archive.disk(&disk.id)?.read_exact_at(0, &mut sector)?;
///         println!("{} of {}: {:02x?}", disk.userdevice, vm.name_label, &sector[510..]);
///     }
/// }
/// # Ok(()) }
/// ```
pub struct Archive<S> {
    shared: Arc<Shared<S>>,
}

struct Shared<S> {
    source: S,
    size: u64,
    ova: Ova,
    options: Options,
    maps: Mutex<Vec<Map>>,
    /// Where the first entry behind the metadata starts.
    start: u64,
}

impl<S> Clone for Archive<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S: ReadAt> Archive<S> {
    /// Reads the metadata of an archive.
    ///
    /// # Errors
    /// Where the source fails, where the archive is compressed or does not begin with metadata, and where that cannot be
    /// understood.
    pub fn open(source: S) -> Result<Self> {
        Self::open_with(source, Options::default())
    }

    /// The same with limits and checks of the caller's choice. What [`Options`] say about checksums counts for the blocks
    /// that are read later.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_with(source: S, options: Options) -> Result<Self> {
        let failed = |source| Error::ReadAt { position: 0, source };
        let size = source.size().map_err(failed)?;
        let mut start = [0; MAGIC_LEN];
        let there = size.min(MAGIC_LEN as u64) as usize;
        source.read_exact_at(0, &mut start[..there]).map_err(failed)?;
        if let Some(compression) = Compression::sniff(&start[..there]) {
            return Err(Error::Compressed { compression });
        }
        let entry = match look(&source, size, 0)? {
            Found::Entry(entry) if Name::parse(&entry.name) == Name::Metadata => entry,
            Found::Other(error) => return Err(error),
            Found::Entry(_) | Found::End => return Err(Error::NoMetadata),
        };
        if entry.size > options.metadata_limit {
            return Err(Error::TooLarge {
                position: 0,
                entry: entry.name,
                size: entry.size,
                limit: options.metadata_limit,
            });
        }
        let mut xml = vec![0; entry.size as usize];
        let position = entry.content;
        source
            .read_exact_at(position, &mut xml)
            .map_err(|source| Error::ReadAt { position, source })?;
        let ova = ova::utf8(&xml)
            .and_then(Ova::parse)
            .map_err(|source| Error::Ova { position: 0, source })?;
        let shared = Shared {
            source,
            size,
            ova,
            options,
            maps: Mutex::default(),
            start: entry.next,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The metadata.
    pub fn ova(&self) -> &Ova {
        &self.shared.ova
    }

    /// The length of the archive in bytes.
    pub fn size(&self) -> u64 {
        self.shared.size
    }

    /// A disk by its folder, such as `Ref:12`, as [`VmDisk::id`](crate::ova::VmDisk::id) has it.
    ///
    /// Disks follow each other, so the ends of those before it are looked for.
    ///
    /// # Errors
    /// [`Error::NoSuchDisk`], and whatever makes the archive unreadable.
    pub fn disk(&self, id: &str) -> Result<ArchiveDisk<S>> {
        let place = self.shared.place_of(id)?;
        ArchiveDisk::new(Arc::clone(&self.shared), place, id)
    }

    /// The folders of all disks, in the order of the archive. Their ends are looked for.
    ///
    /// # Errors
    /// Whatever makes the archive unreadable.
    pub fn disks(&self) -> Result<Vec<String>> {
        self.shared.all(|map| map.id.clone())
    }

    /// Where all blocks of all disks lie, as far as it takes to find any of them with a few reads; to keep it for the
    /// next time.
    ///
    /// # Errors
    /// Whatever makes the archive unreadable.
    pub fn index(&self) -> Result<Index> {
        let disks = self.shared.all(Map::clone)?;
        Ok(Index::new(self.shared.size, disks))
    }

    /// Takes up what was known of this archive before.
    ///
    /// Every block is still compared with the name in front of it when it is read, so a wrong index makes reading fail,
    /// but gives no wrong bytes.
    ///
    /// # Errors
    /// [`Error::ForeignIndex`] where the index is of an archive of another length.
    pub fn with_index(self, index: &Index) -> Result<Self> {
        if index.archive_size() != self.shared.size {
            return Err(Error::ForeignIndex {
                indexed: index.archive_size(),
                size: self.shared.size,
            });
        }
        let maps = index.maps(|id| self.shared.virtual_size(id));
        *self.shared.lock() = maps;
        Ok(self)
    }
}

impl<S> Shared<S> {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Map>> {
        self.maps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn virtual_size(&self, id: &str) -> Option<u64> {
        self.ova.vdi(id).and_then(|vdi| vdi.virtual_size)
    }
}

impl<S: ReadAt> Shared<S> {
    fn ground(&self) -> Ground<'_, S> {
        Ground {
            source: &self.source,
            size: self.size,
        }
    }

    /// Which disk of the archive the folder is of.
    fn place_of(&self, id: &str) -> Result<usize> {
        let mut maps = self.lock();
        loop {
            if let Some(place) = maps.iter().position(|map| map.id == id) {
                return Ok(place);
            }
            if !self.next_disk(&mut maps)? {
                return Err(Error::NoSuchDisk {
                    disk: id.to_owned(),
                    there: maps.iter().map(|map| map.id.clone()).collect(),
                });
            }
        }
    }

    /// Every disk, known to its end.
    fn all<T>(&self, of: impl Fn(&Map) -> T) -> Result<Vec<T>> {
        let mut maps = self.lock();
        while self.next_disk(&mut maps)? {}
        Ok(maps.iter().map(of).collect())
    }

    /// Looks for the disk behind those that are known; `false` where there is none.
    fn next_disk(&self, maps: &mut Vec<Map>) -> Result<bool> {
        let position = match maps.last_mut() {
            Some(last) => {
                last.complete(&self.ground())?;
                last.frontier
            }
            None => self.start,
        };
        if position >= self.size {
            return Ok(false);
        }
        match look(&self.source, self.size, position)? {
            Found::Entry(entry) => match Name::parse(&entry.name) {
                Name::Block { disk, .. } if maps.iter().any(|map| map.id == disk) => Err(Error::DiskReturned {
                    position,
                    disk: disk.to_owned(),
                }),
                Name::Block { disk, .. } => {
                    maps.push(Map::new(disk, self.virtual_size(disk), position));
                    Ok(true)
                }
                // The table at the end of old archives, or something that others have put there.
                _ => Ok(false),
            },
            Found::End => Ok(false),
            Found::Other(error) => Err(error),
        }
    }
}

impl<S> fmt::Debug for Archive<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive")
            .field("size", &self.shared.size)
            .finish_non_exhaustive()
    }
}
