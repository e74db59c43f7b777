//! btrfs on a single device, read by code of our own after the on-disk format of `linux/btrfs_tree.h`.

mod checksum;
mod chunks;
mod compression;
mod content;
mod directory;
mod error;
mod extent;
mod inode;
mod node;
mod superblock;
mod tree;

use std::fmt;
use std::sync::OnceLock;

use xen_disk::ReadAt;

pub(super) use self::content::Content;
use self::directory::{Link, Reading};
pub use self::error::Error;
use self::inode::{Inode, Subvolume};
use self::node::{Pointer, kind};
use self::tree::Space;
use crate::bytes::u64_at;
use crate::filetree::{Kind, List, Names, Stat, Tree};
use crate::layout::{Layout, Obstacle};

/// Numbers of trees.
const TOP: u64 = 5;
const CHECKSUMS: u64 = 7;

/// Symbolic links are not longer in Linux.
const LONGEST_TARGET: u64 = 4096;

/// A volume, at the subvolume that a mount without options shows.
pub(super) struct Btrfs<D: ReadAt> {
    space: Space<D>,
    subvolume: Subvolume,
    checksums: OnceLock<Subvolume>,
}

impl<D: ReadAt> Btrfs<D> {
    pub(super) fn open(disk: D) -> Result<Self, Error> {
        let space = Space::open(disk)?;
        let number = space.root_named(b"default")?.unwrap_or(TOP);
        let subvolume = Subvolume::find(&space, number)?;
        Ok(Self {
            space,
            subvolume,
            checksums: OnceLock::new(),
        })
    }

    pub(super) fn content(&self, file: Inode) -> Content<'_, D> {
        Content::new(self, file)
    }

    fn checksums(&self) -> Result<Subvolume, Error> {
        if let Some(tree) = self.checksums.get() {
            return Ok(*tree);
        }
        let tree = Subvolume::find(&self.space, CHECKSUMS)?;
        Ok(*self.checksums.get_or_init(|| tree))
    }
}

impl Subvolume {
    fn find<D: ReadAt>(space: &Space<D>, number: u64) -> Result<Self, Error> {
        const LEN: usize = 239;
        let root_tree = space.superblock.root_tree;
        // Whatever else the key has, the last one counts.
        let item = space.items(root_tree, number, kind::SUBVOLUME, u64::MAX)?.next(space)?;
        let item = item.ok_or(Error::NoTree { number })?;
        let raw = item.bytes();
        let Some(&level) = raw.get(LEN - 1) else {
            return Err(Error::damaged(item.place(), "a subvolume is too short"));
        };
        let root = Pointer::root(u64_at(raw, 176), level, u64_at(raw, 160));
        Ok(Self { number, root })
    }
}

impl<D: ReadAt> Tree for &Btrfs<D> {
    type Node = Inode;
    type Error = Error;

    fn root(&self) -> Result<Inode, Error> {
        let root = Inode::read(&self.space, self.subvolume, inode::ROOT)?;
        let number = self.subvolume.number;
        root.ok_or(Error::NoTree { number })
    }

    fn kind(&self, node: &Inode) -> Kind {
        node.stat.kind
    }

    fn child(&self, directory: &Inode, name: &[u8]) -> Result<Option<Inode>, Error> {
        let found = self.find(directory, name)?;
        found.map(|link| self.follow(&link)).transpose()
    }

    fn target(&self, link: &Inode) -> Result<Vec<u8>, Error> {
        if link.stat.size > LONGEST_TARGET {
            return Err(Error::damaged(link.place, "a symbolic link is too long"));
        }
        let mut target = vec![0; link.stat.size as usize];
        self.content(link.clone()).fill(0, &mut target)?;
        Ok(target)
    }
}

impl<D: ReadAt> List for &Btrfs<D> {
    type Link = Link;
    type Reading = Reading;

    fn read_dir(&self, directory: &Inode) -> Result<Reading, Error> {
        self.reading(directory)
    }

    fn next_names(&self, reading: &mut Reading) -> Result<Option<Names<Link>>, Error> {
        self.next(reading)
    }

    fn node(&self, link: Link) -> Result<Inode, Error> {
        self.follow(&link)
    }

    fn stat(&self, node: &Inode) -> Result<Stat, Error> {
        Ok(node.stat.clone())
    }

    fn extents(&self, file: &Inode) -> Result<Layout, Error> {
        extent::layout(&self.space, file)
    }

    fn obstacles(&self, file: &Inode) -> Result<Vec<Obstacle>, Error> {
        Ok(self.extents(file)?.obstacles)
    }

    fn layout(&self, file: &Inode) -> Result<Layout, Error> {
        self.extents(file)
    }
}

impl<D: ReadAt> fmt::Debug for Btrfs<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Btrfs").finish_non_exhaustive()
    }
}
