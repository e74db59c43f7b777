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

pub use self::error::Error;
use self::inode::Inode;
use self::superblock::Superblock;
use crate::filetree::{Kind, Source, Tree, find_file};
pub use crate::filetree::{PathError, ReadError};
use crate::layout::{Layout, Obstacle, Place};

const ROOT: u32 = 2;

/// Where the bytes of the regular file at `path` are.
///
/// # Errors
/// If the volume cannot be read, is of another kind, needs what is not supported or is damaged; if the path leads to no
/// regular file.
pub fn layout(volume: &dyn ReadAt, path: impl AsRef<[u8]>) -> Result<Layout, Error> {
    let source = Source::new(volume)?;
    let superblock = Superblock::read(&source)?;
    let volume = Volume { source, superblock };
    let obstacles = volume.superblock.obstacles(&volume.source)?;
    let file = find_file(&volume, path.as_ref()).map_err(|error| match error {
        Error::Path(missing @ PathError::NotFound { .. }) if obstacles.contains(&Obstacle::JournalNotEmpty) => {
            Error::NotReplayed(missing)
        }
        other => other,
    })?;
    let encrypted = file.is_encrypted();
    let mapping = file.mapping(&volume.source, &volume.superblock)?;
    let place = if encrypted {
        |offset| Place::Encoded { offset }
    } else {
        |offset| Place::Data { offset }
    };
    let layout = mapping.layout(file.size, place);
    let mut layout = layout.map_err(|why| Error::misplaced(file.offset, why))?;
    layout.obstacles = obstacles;
    let of_file = [
        (file.is_inline(), Obstacle::Inline),
        (encrypted, Obstacle::Encrypted),
        (file.has_verity(), Obstacle::Verity),
        (volume.superblock.is_own(file.number), Obstacle::SystemFile),
    ];
    layout
        .obstacles
        .extend(of_file.into_iter().filter(|(there, _)| *there).map(|(_, what)| what));
    Ok(layout)
}

struct Volume<'a> {
    source: Source<'a>,
    superblock: Superblock,
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
        let needs = |feature: &str| Error::Unsupported {
            feature: feature.to_owned(),
        };
        match directory::find(&self.source, &self.superblock, directory, name)? {
            Some((inode, named_at)) => Inode::read(&self.source, &self.superblock, inode, named_at).map(Some),
            None if directory.is_encrypted() => Err(needs("the key of an encrypted directory")),
            None if directory.folds_case() => Err(needs("a directory that ignores case (casefold)")),
            None => Ok(None),
        }
    }

    fn target(&self, link: &Inode) -> Result<Vec<u8>, Error> {
        link.target(&self.source, &self.superblock)
    }
}
