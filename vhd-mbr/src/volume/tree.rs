//! What all file systems do alike: their trees differ, going through them does not.

use std::vec::IntoIter;

use super::{Entry, Error, Name};
use crate::filetree::{Kind, LastLink, List, Named, PathError, Stat, find, find_file};
use crate::layout::Layout;

pub(super) fn stat<T: List>(tree: &T, path: &[u8]) -> Result<Stat, Error>
where
    Error: From<T::Error>,
{
    let node = find(tree, path, LastLink::Keep)?;
    let mut stat = tree.stat(&node)?;
    if stat.kind == Kind::Symlink {
        stat.target = Some(tree.shown_target(&node)?);
    }
    Ok(stat)
}

pub(super) fn layout<T: List>(tree: &T, path: &[u8]) -> Result<Layout, Error>
where
    Error: From<T::Error>,
{
    Ok(tree.layout(&find_file(tree, path)?)?)
}

/// The same without what speaks against changing the file, which takes a look at more of the volume.
pub(super) fn extents<T: List>(tree: &T, path: &[u8]) -> Result<Layout, Error>
where
    Error: From<T::Error>,
{
    Ok(tree.extents(&find_file(tree, path)?)?)
}

pub(super) fn list<'v, T>(tree: T, path: &[u8]) -> Result<Box<dyn Iterator<Item = Result<Entry, Error>> + 'v>, Error>
where
    T: List + 'v,
    Error: From<T::Error>,
{
    let directory = find(&tree, path, LastLink::Follow)?;
    if tree.kind(&directory) != Kind::Directory {
        return Err(PathError::is_no_directory(path).into());
    }
    let reading = tree.read_dir(&directory)?;
    Ok(Box::new(Listing {
        tree,
        reading: Some(reading),
        names: Vec::new().into_iter(),
    }))
}

struct Listing<T: List> {
    tree: T,
    /// None at the end, and where it cannot go on.
    reading: Option<T::Reading>,
    names: IntoIter<Named<T::Link>>,
}

impl<T: List> Listing<T>
where
    Error: From<T::Error>,
{
    fn entry(&self, Named { name, link }: Named<T::Link>) -> Result<Entry, Error> {
        let stat = self.tree.stat(&self.tree.node(link)?)?;
        Ok(Entry {
            name: Name::from(name),
            kind: stat.kind,
            size: stat.size,
            modified: stat.modified,
        })
    }
}

impl<T: List> Iterator for Listing<T>
where
    Error: From<T::Error>,
{
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(named) = self.names.next() {
                return Some(self.entry(named));
            }
            match self.tree.next_names(self.reading.as_mut()?) {
                Ok(Some(names)) => self.names = names.into_iter(),
                Ok(None) => self.reading = None,
                Err(error) => {
                    self.reading = None;
                    return Some(Err(error.into()));
                }
            }
        }
    }
}
