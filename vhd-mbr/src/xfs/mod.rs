//! Where files are on XFS volumes.
//!
//! [`layout`] follows a path and tells where the bytes of the file are, which are holes or not written yet, and what
//! speaks against changing them in place. It reads versions 4 and 5, directories and lists of extents in all their
//! forms, and follows symbolic links. Files on a realtime device are refused, as their bytes are on another disk.
//!
//! ```no_run
//! use vhd_mbr::xfs;
//!
//! let volume = std::fs::File::open("root.img")?;
//! let fstab = xfs::layout(&volume, "/etc/fstab")?;
//! assert_eq!(fstab.obstacles, []);
//! println!("{:?}", fstab.on_volume(0..fstab.size));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Data has no checksums on XFS, so whole blocks or single bytes may change where they are, unless they are
//! [shared](Obstacle::Shared) with a clone of the file. Nothing is replayed from the log: with
//! [`Obstacle::JournalNotEmpty`] the structures may be older than what a mount would show.

mod bmap;
mod directory;
mod error;
mod fields;
mod inode;
mod log;
mod superblock;

use xen_disk::ReadAt;

use self::directory::Reading;
pub use self::error::Error;
use self::inode::Inode;
use self::superblock::Superblock;
use crate::filetree::{Kind, List, Named, Names, Source, Stat, Tree, find_file};
pub use crate::filetree::{PathError, ReadError};
use crate::layout::{Layout, Obstacle, Place};

/// Where the bytes of the regular file at `path` are.
///
/// # Errors
/// If the volume cannot be read, is of another kind, needs what is not supported or is damaged; if the path leads to no
/// regular file, or to one on a realtime device.
pub fn layout(volume: &dyn ReadAt, path: impl AsRef<[u8]>) -> Result<Layout, Error> {
    let volume = Volume::open(volume)?;
    match find_file(&volume, path.as_ref()) {
        Err(Error::Path(missing @ PathError::NotFound { .. })) if !volume.is_clean()? => {
            Err(Error::NotReplayed(missing))
        }
        found => volume.layout(&found?),
    }
}

pub(crate) struct Volume<'a> {
    source: Source<'a>,
    superblock: Superblock,
}

impl<'a> Volume<'a> {
    pub(crate) fn open(disk: &'a dyn ReadAt) -> Result<Self, Error> {
        let source = Source::new(disk)?;
        let superblock = Superblock::read(&source)?;
        Ok(Self { source, superblock })
    }

    fn is_clean(&self) -> Result<bool, Error> {
        log::is_clean(&self.source, &self.superblock)
    }
}

impl Tree for Volume<'_> {
    type Node = Inode;
    type Error = Error;

    fn root(&self) -> Result<Inode, Error> {
        let root = Inode::read(&self.source, &self.superblock, self.superblock.root, 56)?;
        match root.kind() {
            Kind::Directory => Ok(root),
            _ => Err(Error::damaged(root.offset, "the root is not a directory")),
        }
    }

    fn kind(&self, node: &Inode) -> Kind {
        node.kind()
    }

    fn child(&self, directory: &Inode, name: &[u8]) -> Result<Option<Inode>, Error> {
        let found = directory::find(&self.source, &self.superblock, directory, name)?;
        let read = |number| Inode::read(&self.source, &self.superblock, number, directory.offset);
        found.map(read).transpose()
    }

    fn target(&self, link: &Inode) -> Result<Vec<u8>, Error> {
        link.target(&self.source, &self.superblock)
    }
}

impl List for Volume<'_> {
    /// The number of an inode, and where the directory's is that has it, for messages.
    type Link = (u64, u64);
    type Reading = (Reading, u64);

    fn read_dir(&self, directory: &Inode) -> Result<Self::Reading, Error> {
        let reading = Reading::new(&self.source, &self.superblock, directory)?;
        Ok((reading, directory.offset))
    }

    fn next_names(&self, (reading, offset): &mut Self::Reading) -> Result<Option<Names<Self::Link>>, Error> {
        let names = reading.next(&self.source, &self.superblock)?;
        let with_place = |Named { name, link }| Named {
            name,
            link: (link, *offset),
        };
        Ok(names.map(|names| names.into_iter().map(with_place).collect()))
    }

    fn node(&self, (number, named_at): Self::Link) -> Result<Inode, Error> {
        Inode::read(&self.source, &self.superblock, number, named_at)
    }

    fn stat(&self, node: &Inode) -> Result<Stat, Error> {
        Ok(node.stat(&self.superblock))
    }

    fn extents(&self, file: &Inode) -> Result<Layout, Error> {
        if file.is_realtime() {
            return Err(Error::unsupported("the realtime device, where this file is"));
        }
        let (source, superblock) = (&self.source, &self.superblock);
        let mapping = file.mapping(source, superblock)?;
        let layout = mapping.layout(file.size, |offset| Place::Data { offset });
        layout.map_err(|why| Error::damaged(file.offset, why.as_str()))
    }

    fn obstacles(&self, file: &Inode) -> Result<Vec<Obstacle>, Error> {
        let superblock = &self.superblock;
        let found = [
            (!self.is_clean()?, Obstacle::JournalNotEmpty),
            (!superblock.is_writable, Obstacle::ReadOnly),
            (file.is_shared(superblock), Obstacle::Shared),
            (superblock.own_inodes.contains(&file.number), Obstacle::SystemFile),
        ];
        let found = found.into_iter().filter(|(there, _)| *there).map(|(_, what)| what);
        Ok(found.collect())
    }
}
