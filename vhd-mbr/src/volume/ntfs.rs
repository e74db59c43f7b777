//! NTFS as one of several file systems.

use xen_disk::ReadAt;

use super::Error;
use crate::filetree::{Kind, List, Named, Names, Stat, Tree};
use crate::layout::{Layout, Obstacle};
use crate::ntfs::{self, File, FileReference, Name, Ntfs, ReadDir, Reparse};

/// The tree of directories of a volume.
pub(super) struct NtfsTree<'v, D>(pub(super) &'v Ntfs<D>);

/// A file, and what it stands for.
pub(super) struct Node<'v, D> {
    pub(super) file: File<'v, D>,
    kind: Kind,
    reparse: Option<Reparse>,
}

impl<'v, D: ReadAt> NtfsTree<'v, D> {
    fn open(&self, reference: FileReference) -> Result<Node<'v, D>, Error> {
        let file = self.0.file(reference)?;
        let reparse = file.reparse()?;
        let kind = match &reparse {
            Some(reparse) if reparse.target().is_some() => Kind::Symlink,
            _ if file.is_directory() => Kind::Directory,
            _ => Kind::File,
        };
        Ok(Node { file, kind, reparse })
    }
}

impl<'v, D: ReadAt> Tree for NtfsTree<'v, D> {
    type Node = Node<'v, D>;
    type Error = Error;

    fn root(&self) -> Result<Self::Node, Error> {
        self.open(FileReference::ROOT)
    }

    fn kind(&self, node: &Self::Node) -> Kind {
        node.kind
    }

    fn child(&self, directory: &Self::Node, name: &[u8]) -> Result<Option<Self::Node>, Error> {
        let found = directory.file.child(&Name::from(&*String::from_utf8_lossy(name)))?;
        found.map(|reference| self.open(reference)).transpose()
    }

    /// What leads to another volume, or names this one by a letter that is not on it, is not followed.
    fn target(&self, link: &Self::Node) -> Result<Vec<u8>, Error> {
        let target = match &link.reparse {
            Some(Reparse::Symlink {
                substitute,
                relative: true,
                ..
            }) => substitute.replace('\\', "/"),
            Some(Reparse::LinuxSymlink { target }) if !target.starts_with('/') => target.clone(),
            other => {
                let name = link.file.names()?.into_iter().next();
                return Err(Error::Ntfs(ntfs::Error::ThroughReparsePoint {
                    path: name.map_or_else(String::new, |name| name.name.to_string()),
                    tag: other.as_ref().map_or(0, Reparse::tag),
                    target: other.as_ref().and_then(Reparse::target).map(str::to_owned),
                }));
            }
        };
        Ok(target.into_bytes())
    }
}

impl<'v, D: ReadAt> List for NtfsTree<'v, D> {
    type Link = FileReference;
    type Reading = ReadDir<'v, D>;

    fn read_dir(&self, directory: &Self::Node) -> Result<Self::Reading, Error> {
        Ok(directory.file.read_dir()?)
    }

    fn next_names(&self, reading: &mut Self::Reading) -> Result<Option<Names<FileReference>>, Error> {
        for entry in reading {
            let entry = entry?;
            if !entry.is_system_file() {
                let name = entry.name.to_string().into_bytes();
                let link = entry.reference;
                return Ok(Some(vec![Named { name, link }]));
            }
        }
        Ok(None)
    }

    fn node(&self, link: FileReference) -> Result<Self::Node, Error> {
        self.open(link)
    }

    fn stat(&self, node: &Self::Node) -> Result<Stat, Error> {
        let known = node.file.stat()?;
        let mut stat = Stat::new(node.kind, known.size);
        stat.modified = known.modified.to_system_time();
        stat.accessed = known.accessed.to_system_time();
        stat.changed = known.record_changed.to_system_time();
        stat.created = known.created.to_system_time();
        Ok(stat)
    }

    fn extents(&self, file: &Self::Node) -> Result<Layout, Error> {
        Ok(file.file.layout()?)
    }

    fn obstacles(&self, file: &Self::Node) -> Result<Vec<Obstacle>, Error> {
        Ok(file.file.layout()?.obstacles)
    }

    fn shown_target(&self, link: &Self::Node) -> Result<String, Error> {
        let target = link.reparse.as_ref().and_then(Reparse::target);
        Ok(target.unwrap_or_default().to_owned())
    }
}
