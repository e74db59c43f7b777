//! btrfs, read by `lambutter`.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};

use lambutter::{BlockRead, Inode, Path};
use xen_disk::ReadAt;

use super::Error;
use crate::filetree::{Kind, List, Named, Names, Stat, Tree};
use crate::layout::{Layout, Obstacle};

/// A volume, at the subvolume that a mount without options shows.
pub(super) struct Btrfs<D: ReadAt>(Mutex<lambutter::Btrfs<Disk<D>>>);

/// The disk, with the nodes that were read last: each question starts at the root of a tree again.
struct Disk<D> {
    disk: D,
    nodes: HashMap<u64, Vec<u8>>,
}

/// No node is larger than this.
const NODE: usize = 64 << 10;
/// So many are kept.
const MOST_NODES: usize = 64;

impl<D: ReadAt> BlockRead for Disk<D> {
    type Error = io::Error;

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        if let Some(node) = self.nodes.get(&offset).filter(|node| node.len() == buf.len()) {
            buf.copy_from_slice(node);
            return Ok(());
        }
        self.disk.read_exact_at(offset, buf)?;
        if buf.len() <= NODE {
            if self.nodes.len() == MOST_NODES {
                self.nodes.clear();
            }
            self.nodes.insert(offset, buf.to_vec());
        }
        Ok(())
    }
}

impl From<lambutter::Error> for Error {
    fn from(error: lambutter::Error) -> Self {
        let what = error.to_string();
        Self::Btrfs { what }
    }
}

impl<D: ReadAt> Btrfs<D> {
    pub(super) fn open(disk: D) -> Result<Self, Error> {
        let size = disk.size().map_err(crate::filetree::ReadError::Size)?;
        let nodes = HashMap::new();
        let disk = Disk { disk, nodes };
        Ok(Self(Mutex::new(lambutter::Btrfs::open(disk, size)?)))
    }

    fn with<T>(
        &self,
        ask: impl FnOnce(&mut lambutter::Btrfs<Disk<D>>) -> lambutter::Result<T>,
    ) -> lambutter::Result<T> {
        // A reader that gave up in the middle has changed nothing.
        ask(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn content(&self, file: &Node) -> Content<'_, D> {
        Content {
            volume: self,
            inode: file.inode,
            size: file.size,
            window: Mutex::new((0, Vec::new())),
        }
    }

    fn node(&self, path: Vec<u8>, inode: Inode) -> Result<Node, Error> {
        let metadata = self.with(|volume| volume.metadata(&inode))?;
        let kind = match metadata.mode & 0o170_000 {
            0o100_000 => Kind::File,
            0o040_000 => Kind::Directory,
            0o120_000 => Kind::Symlink,
            _ => Kind::Other,
        };
        Ok(Node {
            path,
            inode,
            kind,
            size: metadata.size,
        })
    }
}

/// A file, and the path that leads to it.
pub(super) struct Node {
    path: Vec<u8>,
    inode: Inode,
    kind: Kind,
    size: u64,
}

fn path(bytes: &[u8]) -> Result<Path<'_>, Error> {
    Path::new(bytes).ok_or(Error::Btrfs {
        what: "a path does not start at the root".to_owned(),
    })
}

fn joined(directory: &[u8], name: &[u8]) -> Vec<u8> {
    [directory.strip_suffix(b"/").unwrap_or(directory), name].join(&b'/')
}

impl<D: ReadAt> Tree for &Btrfs<D> {
    type Node = Node;
    type Error = Error;

    fn root(&self) -> Result<Node, Error> {
        let root = self.with(|volume| volume.resolve(Path::from("/")))?;
        (*self).node(b"/".to_vec(), root)
    }

    fn kind(&self, node: &Node) -> Kind {
        node.kind
    }

    fn child(&self, directory: &Node, name: &[u8]) -> Result<Option<Node>, Error> {
        let whole = joined(&directory.path, name);
        match self.with(|volume| volume.resolve(Path::new(&whole).ok_or(lambutter::Error::NotFound)?)) {
            Ok(inode) => (*self).node(whole, inode).map(Some),
            Err(lambutter::Error::NotFound) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn target(&self, link: &Node) -> Result<Vec<u8>, Error> {
        let path = path(&link.path)?;
        Ok(self.with(|volume| volume.read_link(path))?)
    }
}

impl<D: ReadAt> List for &Btrfs<D> {
    type Link = (Vec<u8>, Inode);
    /// The path of a directory that is still to be read: its names come all at once.
    type Reading = Option<Vec<u8>>;

    fn read_dir(&self, directory: &Node) -> Result<Self::Reading, Error> {
        Ok(Some(directory.path.clone()))
    }

    fn next_names(&self, reading: &mut Self::Reading) -> Result<Option<Names<Self::Link>>, Error> {
        let Some(directory) = reading.take() else {
            return Ok(None);
        };
        let path = path(&directory)?;
        let entries = self.with(|volume| volume.read_dir(path))?;
        let named = |entry: lambutter::DirEntry| Named {
            link: (joined(&directory, &entry.name), entry.inode),
            name: entry.name,
        };
        Ok(Some(entries.into_iter().map(named).collect()))
    }

    fn node(&self, (path, inode): Self::Link) -> Result<Node, Error> {
        Btrfs::node(self, path, inode)
    }

    fn stat(&self, node: &Node) -> Result<Stat, Error> {
        Ok(Stat::new(node.kind, node.size))
    }

    fn extents(&self, _file: &Node) -> Result<Layout, Error> {
        Err(Error::NoLayout {
            system: "btrfs",
            why: "it keeps checksums of data and never writes in place",
        })
    }

    fn obstacles(&self, _file: &Node) -> Result<Vec<Obstacle>, Error> {
        Ok(vec![Obstacle::CopyOnWrite])
    }
}

/// The content of a file.
pub(super) struct Content<'v, D: ReadAt> {
    volume: &'v Btrfs<D>,
    inode: Inode,
    pub(super) size: u64,
    /// What was read last, and from which byte on: every read goes through the whole list of extents.
    window: Mutex<(u64, Vec<u8>)>,
}

const WINDOW: u64 = 1 << 20;

impl<D: ReadAt> Content<'_, D> {
    /// Fills `buf` from `offset` on, all of which must be within the file.
    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        if buf.len() as u64 >= WINDOW {
            return self.read_through(offset, buf);
        }
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let mut done = 0;
        while done < buf.len() {
            let at = offset + done as u64;
            let start = at - at % WINDOW;
            if window.0 != start || window.1.is_empty() {
                // Whatever goes wrong, what is in the window is not that of another place.
                window.1.clear();
                let mut bytes = vec![0; WINDOW.min(self.size - start) as usize];
                self.read_through(start, &mut bytes)?;
                *window = (start, bytes);
            }
            let from = &window.1[(at - start) as usize..];
            let count = from.len().min(buf.len() - done);
            buf[done..done + count].copy_from_slice(&from[..count]);
            done += count;
        }
        Ok(())
    }

    fn read_through(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let read = self.volume.with(|volume| volume.read_file_at(&self.inode, offset, buf));
        match read {
            Ok(count) if count == buf.len() => Ok(()),
            Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, Error::from(error))),
        }
    }
}

impl<D: ReadAt> fmt::Debug for Btrfs<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Btrfs").finish_non_exhaustive()
    }
}
