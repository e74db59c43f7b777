//! Where files are on ext2, ext3 and ext4 volumes.
//!
//! [`layout`] follows a path and tells where the bytes of the file are, which are holes or not written yet, and what
//! speaks against changing them in place. It reads extent trees, indirect blocks and content in inodes; groups of any
//! kind (`flex_bg`, `meta_bg`, `64bit`, `bigalloc`); and follows symbolic links.
//!
//! ```no_run
//! use vhd_mbr::ext4;
//!
//! let volume = std::fs::File::open("root.img")?;
//! let grub = ext4::layout(&volume, "/boot/grub/grub.cfg")?;
//! for extent in &grub.extents {
//!     println!("bytes {:?} of the file: {:?}", extent.file, extent.place);
//! }
//! for obstacle in &grub.obstacles {
//!     println!("not to be changed: {obstacle}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Data has no checksums on ext4, so whole blocks or single bytes may change where they are. Nothing is replayed from the
//! journal: with [`Obstacle::JournalNotEmpty`] the structures may be older than what a mount would show.

mod directory;
mod error;
mod extents;
mod features;
mod indirect;
mod inline;
mod inode;
mod superblock;

use xen_disk::ReadAt;

use self::directory::Reading;
pub use self::error::Error;
use self::inode::Inode;
use self::superblock::Superblock;
use crate::filetree::{Kind, List, Named, Names, Source, Stat, Tree, find_file};
pub use crate::filetree::{PathError, ReadError};
use crate::layout::{Layout, Obstacle, Place};

const ROOT: u32 = 2;

/// Where the bytes of the regular file at `path` are.
///
/// # Errors
/// If the volume cannot be read, is of another kind, needs what is not supported or is damaged; if the path leads to no
/// regular file.
pub fn layout(volume: &dyn ReadAt, path: impl AsRef<[u8]>) -> Result<Layout, Error> {
    let volume = Volume::open(volume)?;
    let obstacles = volume.superblock.obstacles(&volume.source)?;
    let file = find_file(&volume, path.as_ref()).map_err(|error| match error {
        Error::Path(missing @ PathError::NotFound { .. }) if obstacles.contains(&Obstacle::JournalNotEmpty) => {
            Error::NotReplayed(missing)
        }
        other => other,
    })?;
    volume.layout(&file)
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
}

impl Tree for Volume<'_> {
    type Node = Inode;
    type Error = Error;

    fn root(&self) -> Result<Inode, Error> {
        let root = Inode::read(&self.source, &self.superblock, ROOT, 0)?;
        match root.kind() {
            Kind::Directory => Ok(root),
            _ => Err(Error::damaged(root.offset, "the root is not a directory")),
        }
    }

    fn kind(&self, node: &Inode) -> Kind {
        node.kind()
    }

    fn child(&self, directory: &Inode, name: &[u8]) -> Result<Option<Inode>, Error> {
        match directory::find(&self.source, &self.superblock, directory, name)? {
            Some(inode) => Inode::read(&self.source, &self.superblock, inode, directory.offset).map(Some),
            None if directory.is_encrypted() => Err(Error::unsupported("the key of an encrypted directory")),
            None if directory.folds_case() => Err(Error::unsupported("a directory that ignores case (casefold)")),
            None => Ok(None),
        }
    }

    fn target(&self, link: &Inode) -> Result<Vec<u8>, Error> {
        link.target(&self.source, &self.superblock)
    }
}

impl List for Volume<'_> {
    /// The number of an inode, and the inode of the directory that has it, for messages.
    type Link = (u32, u64);
    type Reading = (Reading, u64);

    fn read_dir(&self, directory: &Inode) -> Result<Self::Reading, Error> {
        if directory.is_encrypted() {
            return Err(Error::unsupported("the key of an encrypted directory"));
        }
        let reading = Reading::new(&self.source, &self.superblock, directory)?;
        Ok((reading, directory.offset))
    }

    fn next_names(&self, (reading, offset): &mut Self::Reading) -> Result<Option<Names<Self::Link>>, Error> {
        let Some(entries) = reading.next(&self.source, &self.superblock)? else {
            return Ok(None);
        };
        let named = entries.map(|entry| {
            let Named { name, link } = entry?;
            let link = (link, *offset);
            Ok(Named { name, link })
        });
        named.collect::<Result<_, _>>().map(Some)
    }

    fn node(&self, (number, named_at): Self::Link) -> Result<Inode, Error> {
        Inode::read(&self.source, &self.superblock, number, named_at)
    }

    fn stat(&self, node: &Inode) -> Result<Stat, Error> {
        Ok(node.stat())
    }

    fn extents(&self, file: &Inode) -> Result<Layout, Error> {
        let mapping = file.mapping(&self.source, &self.superblock)?;
        let place = if file.is_encrypted() {
            |offset| Place::Encoded { offset }
        } else {
            |offset| Place::Data { offset }
        };
        let layout = mapping.layout(file.size, place);
        layout.map_err(|why| Error::misplaced(file.offset, why))
    }

    fn obstacles(&self, file: &Inode) -> Result<Vec<Obstacle>, Error> {
        let mut obstacles = self.superblock.obstacles(&self.source)?;
        let of_file = [
            (file.is_inline(), Obstacle::Inline),
            (file.is_encrypted(), Obstacle::Encrypted),
            (file.has_verity(), Obstacle::Verity),
            (self.superblock.is_own(file.number), Obstacle::SystemFile),
        ];
        obstacles.extend(of_file.into_iter().filter(|(there, _)| *there).map(|(_, what)| what));
        Ok(obstacles)
    }
}
