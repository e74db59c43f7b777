use std::fmt;

use xen_disk::ReadAt;

use super::btrfs::Btrfs;
use super::contents::{self, ContentKind, Contents};
use super::ntfs::NtfsTree;
use super::{Content, Error, ReadDir, iso, tree};
use crate::filetree::{Source, Stat, find_file};
use crate::layout::{Layout, Obstacle, Place};
use crate::ntfs::Ntfs;
use crate::{ext4, fat, xfs};

/// A file system whose files can be listed and read.
///
/// Names in a path are separated by `/`, on NTFS and FAT by `\` as well, and the path starts at the root with or without
/// one. Where the file system ignores case, so do paths. Symbolic links are followed inside the volume, up to 40 of them
/// on a path.
///
/// Nothing is kept of what has been read but what the volume says of itself, so memory stays small whatever its size.
pub struct Volume<D: ReadAt> {
    contents: Contents,
    system: System<D>,
}

enum System<D: ReadAt> {
    Ntfs(Ntfs<D>),
    Ext(D),
    Xfs(D),
    Fat(D),
    Iso(D, iso::Descriptor),
    Btrfs(Btrfs<D>),
}

/// Does something with the tree of directories, whatever file system it is of.
macro_rules! with_tree {
    ($volume:expr, $tree:ident => $what:expr) => {
        match &$volume.system {
            System::Ntfs(volume) => {
                let $tree = NtfsTree(volume);
                $what
            }
            System::Ext(disk) => {
                let $tree = ext4::Volume::open(disk)?;
                $what
            }
            System::Xfs(disk) => {
                let $tree = xfs::Volume::open(disk)?;
                $what
            }
            System::Fat(disk) => {
                let $tree = fat::Volume::open(disk)?;
                $what
            }
            System::Iso(disk, descriptor) => {
                let $tree = iso::Volume::open(disk, *descriptor)?;
                $what
            }
            System::Btrfs(volume) => {
                let $tree = volume;
                $what
            }
        }
    };
}

impl<D: ReadAt> Volume<D> {
    /// Opens what `disk` holds, which starts with the volume's first byte: a partition, a logical volume or a whole disk
    /// without a partition table.
    ///
    /// # Errors
    /// [`Error::NotReadable`] where it holds something else, with what to do; others where it is damaged or cannot be
    /// read.
    pub fn open(disk: D) -> Result<Self, Error> {
        let contents = Contents::detect(&disk)?;
        let system = match contents.kind {
            ContentKind::Ntfs => System::Ntfs(Ntfs::open(disk)?),
            ContentKind::Ext2 | ContentKind::Ext3 | ContentKind::Ext4 => System::Ext(disk),
            ContentKind::Xfs => System::Xfs(disk),
            ContentKind::Fat12 | ContentKind::Fat16 | ContentKind::Fat32 => System::Fat(disk),
            ContentKind::Iso9660 => {
                let descriptor = iso::Descriptor::read(&Source::new(&disk)?)?;
                System::Iso(disk, descriptor)
            }
            ContentKind::Btrfs => System::Btrfs(Btrfs::open(disk)?),
            _ => return Err(Error::NotReadable { contents }),
        };
        let volume = Self { contents, system };
        // What is damaged from the root on is better told now.
        volume.stat("/")?;
        Ok(volume)
    }

    /// What the volume is.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Which file system it has.
    pub fn kind(&self) -> ContentKind {
        self.contents.kind
    }

    /// The name that its user has given it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn label(&self) -> Result<Option<String>, Error> {
        Ok(match &self.system {
            System::Ntfs(volume) => Some(volume.info()?.label.to_string()).filter(|label| !label.is_empty()),
            _ => self.contents.label.clone(),
        })
    }

    /// What is in the directory at `path`.
    ///
    /// # Errors
    /// If the path leads to no directory, or the directory cannot be read.
    pub fn list(&self, path: impl AsRef<[u8]>) -> Result<ReadDir<'_>, Error> {
        let path = self.with_slashes(path.as_ref());
        with_tree!(self, tree => Ok(ReadDir(tree::list(tree, &path)?)))
    }

    /// What is known of the file at `path`. A symbolic link at its end is not followed: where it leads to is told.
    ///
    /// # Errors
    /// If the path leads to nothing, or what it leads to cannot be read.
    pub fn stat(&self, path: impl AsRef<[u8]>) -> Result<Stat, Error> {
        let path = self.with_slashes(path.as_ref());
        with_tree!(self, tree => tree::stat(&tree, &path))
    }

    /// The content of the file at `path`.
    ///
    /// # Errors
    /// If the path leads to no regular file, or its content cannot be read as what it stands for.
    pub fn content(&self, path: impl AsRef<[u8]>) -> Result<Content<'_, D>, Error> {
        let path = self.with_slashes(path.as_ref());
        let disk: &dyn ReadAt = match &self.system {
            System::Ntfs(volume) => {
                let file = find_file(&NtfsTree(volume), &path)?;
                return Ok(Content::ntfs(file.file.content()?));
            }
            System::Btrfs(volume) => {
                let file = find_file(&volume, &path)?;
                return Ok(Content::btrfs(volume.content(file)));
            }
            System::Ext(disk) | System::Xfs(disk) | System::Fat(disk) | System::Iso(disk, _) => disk,
        };
        let layout = with_tree!(self, tree => tree::extents(&tree, &path))?;
        if layout
            .extents
            .iter()
            .any(|extent| matches!(extent.place, Place::Encoded { .. }))
        {
            return Err(Error::Encrypted {
                path: String::from_utf8_lossy(&path).into_owned(),
            });
        }
        Ok(Content::plain(disk, layout))
    }

    /// Where the bytes of the file at `path` are on the volume, and what speaks against changing them there.
    ///
    /// # Errors
    /// If the path leads to no regular file, or the volume cannot be read.
    pub fn layout(&self, path: impl AsRef<[u8]>) -> Result<Layout, Error> {
        let path = self.with_slashes(path.as_ref());
        let mut layout: Layout = with_tree!(self, tree => tree::layout(&tree, &path))?;
        if self.is_raid_member()? {
            layout.obstacles.push(Obstacle::RaidMember);
        }
        Ok(layout)
    }

    /// Whether the volume is a copy of another; what is never changed is not looked at.
    fn is_raid_member(&self) -> Result<bool, Error> {
        let disk: &dyn ReadAt = match &self.system {
            System::Ntfs(volume) => volume.disk(),
            System::Ext(disk) | System::Xfs(disk) | System::Fat(disk) => disk,
            System::Iso(..) | System::Btrfs(_) => return Ok(false),
        };
        Ok(contents::is_raid_member(&Source::new(&disk)?)?)
    }

    /// On Windows' file systems both slashes part names.
    fn with_slashes(&self, path: &[u8]) -> Vec<u8> {
        let mut path = path.to_vec();
        if matches!(self.system, System::Ntfs(_) | System::Fat(_)) {
            for byte in path.iter_mut().filter(|byte| **byte == b'\\') {
                *byte = b'/';
            }
        }
        path
    }
}

impl<D: ReadAt> fmt::Debug for Volume<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Volume")
            .field("contents", &self.contents)
            .finish_non_exhaustive()
    }
}
