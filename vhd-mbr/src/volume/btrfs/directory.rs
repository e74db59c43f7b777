//! Names in directories: once by their hash, to find them, and once by a number, to list them.

use xen_disk::ReadAt;

use super::Error;
use super::checksum::name_hash;
use super::inode::{Inode, ROOT};
use super::node::{Key, kind};
use super::tree::{Item, Items, Space};
use super::{Btrfs, Subvolume};
use crate::bytes::{u16_at, u64_at};
use crate::filetree::{Named, Names};

const HEADER: usize = 30;
/// Names that are read at once.
const PIECE: usize = 64;

/// Where a name leads to: an inode of the same subvolume, or another subvolume.
pub(in super::super) struct Link {
    directory: Inode,
    to: Key,
    /// Where the name is on the volume.
    place: u64,
    /// The name again, where it is a subvolume's.
    name: Option<Vec<u8>>,
}

fn names(item: &Item, directory: &Inode) -> Result<Names<Link>, Error> {
    let (mut rest, place) = (item.bytes(), item.place());
    let mut names = Vec::new();
    while !rest.is_empty() {
        let (data_len, name_len) = (usize::from(u16_at(rest, 25)), usize::from(u16_at(rest, 27)));
        let name = rest.get(HEADER..HEADER + name_len);
        let behind = rest.get(HEADER + name_len + data_len..);
        let (Some(name), Some(behind)) = (name, behind) else {
            return Err(Error::damaged(place, "a name leaves its place"));
        };
        let to = Key::read(rest, 0);
        let link = Link {
            directory: directory.clone(),
            to,
            place,
            name: (to.kind == kind::SUBVOLUME).then(|| name.to_vec()),
        };
        let name = name.to_vec();
        names.push(Named { name, link });
        rest = behind;
    }
    Ok(names)
}

/// How far a directory has been read.
pub(in super::super) struct Reading {
    directory: Inode,
    items: Items,
}

impl<D: ReadAt> Space<D> {
    /// What an item of a directory in the tree of roots has for this name.
    pub(super) fn root_named(&self, name: &[u8]) -> Result<Option<u64>, Error> {
        let key = Key::new(self.superblock.root_directory, kind::NAME, name_hash(name));
        let Some(item) = self.item(self.superblock.root_tree, key)? else {
            return Ok(None);
        };
        let bytes = item.bytes();
        let is_named = bytes.get(HEADER..HEADER + usize::from(u16_at(bytes, 27))) == Some(name);
        let to = Key::read(bytes, 0);
        Ok((is_named && to.kind == kind::SUBVOLUME).then_some(to.object))
    }

    /// Whether the subvolume is shown here. Where it is not, this is a snapshot of what it is shown in.
    fn is_shown(&self, number: u64, directory: &Inode, name: &[u8]) -> Result<bool, Error> {
        let key = Key::new(directory.subvolume.number, kind::SUBVOLUME_NAME, number);
        let item = self.item(self.superblock.root_tree, key)?;
        Ok(item.is_some_and(|item| {
            let bytes = item.bytes();
            let name_len = usize::from(u16_at(bytes, 16));
            u64_at(bytes, 0) == directory.number && bytes.get(18..18 + name_len) == Some(name)
        }))
    }
}

impl<D: ReadAt> Btrfs<D> {
    pub(super) fn find(&self, directory: &Inode, name: &[u8]) -> Result<Option<Link>, Error> {
        let key = Key::new(directory.number, kind::NAME, name_hash(name));
        let Some(item) = self.space.item(directory.subvolume.root, key)? else {
            return Ok(None);
        };
        let found = names(&item, directory)?.into_iter().find(|named| named.name == name);
        Ok(found.map(|named| named.link))
    }

    pub(super) fn reading(&self, directory: &Inode) -> Result<Reading, Error> {
        let (root, number) = (directory.subvolume.root, directory.number);
        let items = self.space.items(root, number, kind::NAME_BY_INDEX, 0)?;
        let directory = directory.clone();
        Ok(Reading { directory, items })
    }

    /// The next names; none at the end.
    pub(super) fn next(&self, reading: &mut Reading) -> Result<Option<Names<Link>>, Error> {
        let mut found = Vec::new();
        while found.len() < PIECE
            && let Some(item) = reading.items.next(&self.space)?
        {
            found.extend(names(&item, &reading.directory)?);
        }
        Ok((!found.is_empty()).then_some(found))
    }

    pub(super) fn follow(&self, link: &Link) -> Result<Inode, Error> {
        let (subvolume, number) = match (&link.name, link.to.kind) {
            (None, kind::INODE) => (link.directory.subvolume, link.to.object),
            (Some(name), _) if self.space.is_shown(link.to.object, &link.directory, name)? => {
                (Subvolume::find(&self.space, link.to.object)?, ROOT)
            }
            (Some(_), _) => return Ok(link.directory.empty()),
            (None, _) => return Err(Error::damaged(link.place, "a name leads to what is no file")),
        };
        let inode = Inode::read(&self.space, subvolume, number)?;
        inode.ok_or(Error::damaged(link.place, "a name leads to a file that is not there"))
    }
}
