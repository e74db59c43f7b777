//! Files on btrfs volumes of one disk, by the format that Linux describes in its `btrfs_tree.h`.
//!
//! Checksums of nodes and of data are verified, and where a volume keeps two copies, the good one is read. What was
//! written last and stands in the log only is not seen before the next mount.

mod chunks;
mod content;
mod cursor;
mod decompress;
mod error;
mod extent;
mod inode;
mod key;
mod node;
mod pool;
mod superblock;

use std::fmt;

use xen_disk::ReadAt;

pub(super) use self::content::Content;
use self::content::Extents;
use self::cursor::Cursor;
pub use self::error::Error;
use self::extent::{Body, PackedSource};
use self::inode::{Inode, entries, name_hash};
use self::key::{DIR_INDEX, DIR_ITEM, INODE, Key, ROOT, ROOT_REF};
use self::node::Root;
use self::pool::Pool;
use self::superblock::Superblock;
use crate::bytes::u64_at;
use crate::filetree::{Kind, List, Named, Names, Source, Stat, Tree};
use crate::layout::{Extent, Layout, Obstacle, Place};

/// The tree of files where no other subvolume is the default one.
const FILES: u64 = 5;
/// The tree of checksums.
const SUMS: u64 = 7;
/// The longest target of a symbolic link, as in Linux.
const LONGEST_TARGET: u64 = 4096;

/// A volume, at the subvolume that a mount without options shows. Other subvolumes are directories in it.
pub(super) struct Btrfs<D> {
    pool: Pool<D>,
    /// The tree that names all others.
    roots: Root,
    files: Subvolume,
    sums: Option<Root>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Subvolume {
    number: u64,
    tree: Root,
    /// The inode of its topmost directory.
    top: u64,
}

/// A file.
#[derive(Clone, Debug)]
pub(super) struct Node {
    subvolume: Subvolume,
    number: u64,
    inode: Inode,
}

impl<D: ReadAt> Btrfs<D> {
    pub(super) fn open(disk: D) -> Result<Self, Error> {
        let superblock = Superblock::read(&Source::new(&disk)?)?;
        let pool = Pool::open(disk, &superblock)?;
        let roots = superblock.root;
        let default = default_subvolume(&pool, roots, superblock.root_dir)?;
        let files = subvolume(&pool, roots, default)?;
        let missing = || Error::damaged(0, "the tree of files is missing");
        Ok(Self {
            sums: subvolume(&pool, roots, SUMS)?.map(|sums| sums.tree),
            files: files.ok_or_else(missing)?,
            pool,
            roots,
        })
    }

    pub(super) fn content(&self, file: Node) -> Content<'_, D> {
        Content::new(self, file)
    }

    fn file_extents(&self, file: &Node, from: u64) -> Result<Extents<'_, D>, Error> {
        Extents::new(self, file, from)
    }

    /// The tree of checksums, for a file that has any.
    fn sums(&self, file: &Node) -> Option<Root> {
        self.sums.filter(|_| !file.inode.is_unchecked)
    }

    fn file(&self, subvolume: Subvolume, number: u64) -> Result<Node, Error> {
        let item = Cursor::seek(&self.pool, subvolume.tree, Key::new(number, INODE, 0))?.next()?;
        match item.filter(|item| item.key.is_of(number, INODE)) {
            Some(item) => Ok(Node {
                subvolume,
                number,
                inode: Inode::parse(&item)?,
            }),
            None => Err(Error::damaged(
                self.pool.node(subvolume.tree)?.place(),
                "a file that is named is missing",
            )),
        }
    }

    /// What an entry of a directory in a subvolume leads to.
    fn target(&self, from: Subvolume, target: Key) -> Result<Node, Error> {
        match target.kind {
            INODE => self.file(from, target.object),
            ROOT => match self.mounted(from, target.object)? {
                Some(subvolume) => self.file(subvolume, subvolume.top),
                // A snapshot has an empty directory where a subvolume was.
                None => Ok(Node {
                    subvolume: from,
                    number: 0,
                    inode: Inode {
                        stat: Stat::new(Kind::Directory, 0),
                        is_unchecked: false,
                    },
                }),
            },
            _ => Err(Error::damaged(
                self.pool.node(from.tree)?.place(),
                "a name leads to no file",
            )),
        }
    }

    /// A subvolume that is a directory of another one.
    fn mounted(&self, parent: Subvolume, number: u64) -> Result<Option<Subvolume>, Error> {
        let key = Key::new(parent.number, ROOT_REF, number);
        let item = Cursor::seek(&self.pool, self.roots, key)?.next()?;
        match item.filter(|item| item.key == key) {
            Some(_) => subvolume(&self.pool, self.roots, number),
            None => Ok(None),
        }
    }
}

/// The subvolume that a mount without options shows.
fn default_subvolume<D: ReadAt>(pool: &Pool<D>, roots: Root, root_dir: u64) -> Result<u64, Error> {
    let key = Key::new(root_dir, DIR_ITEM, name_hash(b"default"));
    let item = Cursor::seek(pool, roots, key)?.next()?.filter(|item| item.key == key);
    let entries = item.map(|item| entries(&item)).transpose()?.unwrap_or_default();
    let default = entries.iter().find(|entry| entry.name == b"default");
    Ok(default.map_or(FILES, |entry| entry.target.object))
}

/// The tree that has a number.
fn subvolume<D: ReadAt>(pool: &Pool<D>, roots: Root, number: u64) -> Result<Option<Subvolume>, Error> {
    let item = Cursor::seek(pool, roots, Key::new(number, ROOT, 0))?.next()?;
    let Some(item) = item.filter(|item| item.key.is_of(number, ROOT)) else {
        return Ok(None);
    };
    let Some(&level) = item.data.get(238) else {
        return Err(Error::damaged(item.place, "the root of a tree is cut off"));
    };
    Ok(Some(Subvolume {
        number,
        tree: Root {
            logical: u64_at(&item.data, 176),
            level,
        },
        top: u64_at(&item.data, 168),
    }))
}

impl<D: ReadAt> Tree for &Btrfs<D> {
    type Node = Node;
    type Error = Error;

    fn root(&self) -> Result<Node, Error> {
        self.file(self.files, self.files.top)
    }

    fn kind(&self, node: &Node) -> Kind {
        node.inode.stat.kind
    }

    fn child(&self, directory: &Node, name: &[u8]) -> Result<Option<Node>, Error> {
        let key = Key::new(directory.number, DIR_ITEM, name_hash(name));
        let item = Cursor::seek(&self.pool, directory.subvolume.tree, key)?.next()?;
        let Some(item) = item.filter(|item| item.key == key) else {
            return Ok(None);
        };
        let entry = entries(&item)?.into_iter().find(|entry| entry.name == name);
        entry
            .map(|entry| Btrfs::target(self, directory.subvolume, entry.target))
            .transpose()
    }

    fn target(&self, link: &Node) -> Result<Vec<u8>, Error> {
        let mut target = vec![0; link.inode.stat.size.min(LONGEST_TARGET) as usize];
        self.content(link.clone()).fill(0, &mut target)?;
        Ok(target)
    }
}

/// Where a name leads to, in the tree of its directory or in another.
pub(super) struct Link {
    from: Subvolume,
    target: Key,
}

/// How far a directory has been read.
pub(super) struct Reading<'v, D> {
    cursor: Cursor<'v, D>,
    subvolume: Subvolume,
    directory: u64,
}

impl<'v, D: ReadAt> List for &'v Btrfs<D> {
    type Link = Link;
    type Reading = Reading<'v, D>;

    fn read_dir(&self, directory: &Node) -> Result<Self::Reading, Error> {
        let key = Key::new(directory.number, DIR_INDEX, 0);
        Ok(Reading {
            cursor: Cursor::seek(&self.pool, directory.subvolume.tree, key)?,
            subvolume: directory.subvolume,
            directory: directory.number,
        })
    }

    fn next_names(&self, reading: &mut Self::Reading) -> Result<Option<Names<Self::Link>>, Error> {
        let item = reading.cursor.next()?;
        let Some(item) = item.filter(|item| item.key.is_of(reading.directory, DIR_INDEX)) else {
            return Ok(None);
        };
        let names = entries(&item)?.into_iter().map(|entry| Named {
            name: entry.name,
            link: Link {
                from: reading.subvolume,
                target: entry.target,
            },
        });
        Ok(Some(names.collect()))
    }

    fn node(&self, link: Link) -> Result<Node, Error> {
        Btrfs::target(self, link.from, link.target)
    }

    fn stat(&self, node: &Node) -> Result<Stat, Error> {
        Ok(node.inode.stat.clone())
    }

    fn extents(&self, file: &Node) -> Result<Layout, Error> {
        let size = file.inode.stat.size;
        let mut found: Vec<Extent> = Vec::new();
        let mut at = 0;
        let mut extents = self.file_extents(file, 0)?;
        while let Some(extent) = extents.next()?.filter(|extent| extent.file.start < size) {
            let (from, to) = (extent.file.start, extent.file.end.min(size));
            if from < at {
                let place = self.pool.node(file.subvolume.tree)?.place();
                return Err(Error::damaged(place, "extents of a file overlap"));
            }
            if from > at {
                found.push(Extent::new(at..from, Place::Hole));
            }
            let place = |logical| self.pool.place(logical, to - from);
            let place = match extent.body {
                Body::Hole => Place::Hole,
                Body::Unwritten { logical } => Place::Unwritten {
                    offset: place(logical)?,
                },
                Body::Plain { logical } => Place::Data {
                    offset: place(logical)?,
                },
                Body::Inline { place, .. } => Place::Data { offset: place },
                Body::Packed(packed) => Place::Encoded {
                    offset: match packed.source {
                        PackedSource::Inline { place, .. } => place,
                        PackedSource::At { logical, len } => self.pool.place(logical, len as u64)?,
                    },
                },
            };
            if from < to {
                found.push(Extent::new(from..to, place));
            }
            at = to;
        }
        if at < size {
            found.push(Extent::new(at..size, Place::Hole));
        }
        Ok(Layout::new(size, found))
    }

    fn obstacles(&self, _file: &Node) -> Result<Vec<Obstacle>, Error> {
        Ok(vec![Obstacle::CopyOnWrite])
    }
}

impl<D> fmt::Debug for Btrfs<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Btrfs").finish_non_exhaustive()
    }
}
