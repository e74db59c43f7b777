use std::collections::HashSet;
use std::fmt;

use xen_disk::ReadAt;

use super::Error;
use super::name::Name;
use super::read_dir::{DirEntry, ReadDir};
use super::reference::FileReference;
use super::volume::{Ntfs, system};

/// Every file and directory of a volume, each directory before what it contains.
pub struct Walk<'v, D> {
    volume: &'v Ntfs<D>,
    /// The directory that is being listed, with `/` behind it.
    path: String,
    listing: Option<ReadDir<'v, D>>,
    /// The directories found in the one that is being listed.
    found: Vec<(FileReference, Name)>,
    /// Those that are still to be listed, from the root down.
    levels: Vec<Level>,
    seen: HashSet<u64>,
}

struct Level {
    /// The length of the path of the directory they are in.
    path: usize,
    waiting: Vec<(FileReference, Name)>,
}

/// What a walk has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WalkEntry {
    /// Its path from the root, with `/`.
    pub path: String,
    /// Its entry in the directory.
    pub entry: DirEntry,
}

/// Windows names no longer paths: 32,767 units of UTF-16, each up to three bytes here.
const LONGEST_PATH: usize = 3 * 32_767;

impl<'v, D: ReadAt> Walk<'v, D> {
    pub(super) fn new(volume: &'v Ntfs<D>) -> Result<Self, Error> {
        Ok(Self {
            volume,
            path: "/".to_owned(),
            listing: Some(volume.root()?.read_dir()?),
            found: Vec::new(),
            levels: Vec::new(),
            seen: HashSet::from([system::ROOT]),
        })
    }

    fn arrive(&mut self, entry: DirEntry) -> Result<WalkEntry, Error> {
        let path = format!("{}{}", self.path, entry.name);
        let record = entry.reference.record;
        if entry.is_directory() {
            if !self.seen.insert(record) {
                return Err(Error::DirectoryLoop { path, record });
            }
            self.found.push((entry.reference, entry.name.clone()));
        }
        Ok(WalkEntry { path, entry })
    }

    /// Goes into the next directory; none is left where this is none.
    fn enter(&mut self) -> Option<Result<(), Error>> {
        if !self.found.is_empty() {
            let mut waiting = std::mem::take(&mut self.found);
            waiting.reverse();
            self.levels.push(Level {
                path: self.path.len(),
                waiting,
            });
        }
        loop {
            let level = self.levels.last_mut()?;
            let Some((reference, name)) = level.waiting.pop() else {
                self.levels.pop();
                continue;
            };
            self.path.truncate(level.path);
            self.path += &name.to_string();
            self.path.push('/');
            if self.path.len() > LONGEST_PATH {
                return Some(Err(Error::PathTooLong {
                    record: reference.record,
                }));
            }
            let listing = self.volume.file(reference).and_then(|directory| directory.read_dir());
            return Some(listing.map(|listing| self.listing = Some(listing)));
        }
    }
}

impl<D: ReadAt> Iterator for Walk<'_, D> {
    type Item = Result<WalkEntry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.listing.as_mut().and_then(Iterator::next) {
                Some(Ok(entry)) => return Some(self.arrive(entry)),
                Some(Err(error)) => return Some(Err(error)),
                None => self.listing = None,
            }
            if let Err(error) = self.enter()? {
                return Some(Err(error));
            }
        }
    }
}

impl<D> fmt::Debug for Walk<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk").field("path", &self.path).finish_non_exhaustive()
    }
}
