//! Where files are on FAT12, FAT16 and FAT32 volumes.
//!
//! [`layout()`] follows a path and tells where the bytes of the file are and what speaks against changing them in place.
//! Names are compared without case, long and short ones; `\` parts them like `/`. Short names with characters of a code
//! page are found by their long name only.
//!
//! ```no_run
//! use vhd_mbr::fat;
//!
//! let volume = std::fs::File::open("efi.img")?;
//! let bcd = fat::layout(&volume, "/EFI/Microsoft/Boot/BCD")?;
//! println!("{:?}", bcd.on_volume(0..bcd.size));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod boot;
mod directory;
mod error;
mod table;

use xen_disk::ReadAt;

use self::boot::{Boot, Root};
use self::directory::{ENTRY, Entry, Found, Node, Scan};
pub use self::error::Error;
use self::table::Table;
use crate::filetree::{Kind, List, Mapping, Named, Names, Source, Stat, Tree, find_file};
pub use crate::filetree::{PathError, ReadError};
use crate::layout::{self, Layout, Obstacle};

/// Where the bytes of the file at `path` are.
///
/// # Errors
/// If the volume cannot be read, is of another kind or is damaged; if the path leads to no file.
pub fn layout(volume: &dyn ReadAt, path: impl AsRef<str>) -> Result<Layout, Error> {
    let volume = Volume::open(volume)?;
    let path = path.as_ref().replace('\\', "/");
    let file = find_file(&volume, path.as_bytes())?;
    volume.layout(&file)
}

/// What speaks against changing any file of the volume.
///
/// # Errors
/// If the volume cannot be read, is of another kind or is damaged.
pub fn obstacles(volume: &dyn ReadAt) -> Result<Vec<Obstacle>, Error> {
    Volume::open(volume)?.volume_obstacles()
}

/// How many bytes each allocation table has.
pub(crate) fn table_len(volume: &dyn ReadAt) -> Result<u64, Error> {
    Ok(Volume::open(volume)?.boot.table_len)
}

pub(crate) struct Volume<'a> {
    source: Source<'a>,
    boot: Boot,
    table: Table<'a>,
}

impl<'a> Volume<'a> {
    pub(crate) fn open(disk: &'a dyn ReadAt) -> Result<Self, Error> {
        let source = Source::new(disk)?;
        let boot = Boot::read(&source)?;
        Ok(Self {
            table: Table::new(source, boot),
            source,
            boot,
        })
    }
}

impl Volume<'_> {
    fn volume_obstacles(&self) -> Result<Vec<Obstacle>, Error> {
        let is_clean = !self.boot.is_marked_dirty && self.table.is_clean()?;
        Ok(if is_clean {
            Vec::new()
        } else {
            vec![Obstacle::NotUnmounted]
        })
    }
}

impl Tree for Volume<'_> {
    type Node = Node;
    type Error = Error;

    fn root(&self) -> Result<Node, Error> {
        Ok(Node::root())
    }

    fn kind(&self, node: &Node) -> Kind {
        node.kind
    }

    fn child(&self, directory: &Node, name: &[u8]) -> Result<Option<Node>, Error> {
        let Ok(name) = std::str::from_utf8(name) else {
            return Ok(None);
        };
        let mut reading = self.read_dir(directory)?;
        while let Some(entries) = self.next_entries(&mut reading)? {
            if let Some(found) = entries.into_iter().find(|entry| entry.has_name(name)) {
                return Ok(Some(found.node));
            }
        }
        Ok(None)
    }

    fn target(&self, _link: &Node) -> Result<Vec<u8>, Error> {
        Ok(Vec::new())
    }
}

/// How far a directory has been read.
pub(crate) struct Reading {
    scan: Scan,
    place: Place,
}

enum Place {
    /// The root at its own place, still to be read.
    Fixed {
        offset: u64,
        len: u64,
    },
    Clusters(Mapping, u64),
    End,
}

impl Volume<'_> {
    /// The next entries, as many as are in a cluster.
    fn next_entries(&self, reading: &mut Reading) -> Result<Option<Vec<Entry>>, Error> {
        let bytes = match &mut reading.place {
            Place::Fixed { offset, len } => {
                let bytes = self.source.read(*offset, *len as usize)?;
                reading.place = Place::End;
                bytes
            }
            Place::Clusters(chain, at) => {
                let Some(next) = chain.next(*at) else {
                    return Ok(None);
                };
                *at = next + self.boot.cluster_size;
                chain.read(&self.source, next, self.boot.cluster_size as usize)?
            }
            Place::End => return Ok(None),
        };
        let mut entries = Vec::new();
        for entry in bytes.chunks_exact(ENTRY) {
            match reading.scan.look(entry) {
                Found::Name(entry) if !entry.is_dots() => entries.push(entry),
                Found::Name(_) | Found::Other => {}
                Found::End => {
                    reading.place = Place::End;
                    break;
                }
            }
        }
        Ok(Some(entries))
    }
}

impl List for Volume<'_> {
    type Link = Node;
    type Reading = Reading;

    fn read_dir(&self, directory: &Node) -> Result<Reading, Error> {
        let first = match (directory.cluster, self.boot.root) {
            (0, Root::Fixed { offset, len }) => {
                return Ok(Reading {
                    scan: Scan::default(),
                    place: Place::Fixed { offset, len },
                });
            }
            (0, Root::Cluster(root)) => root,
            (cluster, _) => cluster,
        };
        Ok(Reading {
            scan: Scan::default(),
            place: Place::Clusters(self.table.chain(first, None)?, 0),
        })
    }

    fn next_names(&self, reading: &mut Reading) -> Result<Option<Names<Node>>, Error> {
        let named = |entry: Entry| {
            let link = entry.node;
            Named {
                name: entry.into_name().into_bytes(),
                link,
            }
        };
        let entries = self.next_entries(reading)?;
        Ok(entries.map(|entries| entries.into_iter().map(named).collect()))
    }

    fn node(&self, link: Node) -> Result<Node, Error> {
        Ok(link)
    }

    fn stat(&self, node: &Node) -> Result<Stat, Error> {
        Ok(node.stat())
    }

    fn extents(&self, file: &Node) -> Result<Layout, Error> {
        let mapping = self.table.chain(file.cluster, Some(file.size))?;
        let layout = mapping.layout(file.size, |offset| layout::Place::Data { offset });
        layout.map_err(|why| Error::damaged(self.boot.table, why.as_str()))
    }

    fn obstacles(&self, _file: &Node) -> Result<Vec<Obstacle>, Error> {
        self.volume_obstacles()
    }
}
