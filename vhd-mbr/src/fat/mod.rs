//! Where files are on FAT12, FAT16 and FAT32 volumes.
//!
//! [`layout`] follows a path and tells where the bytes of the file are and what speaks against changing them in place.
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
use self::directory::{ENTRY, Found, Node, Scan};
pub use self::error::Error;
use self::table::Table;
use crate::filetree::{Kind, Source, Tree, find_file};
pub use crate::filetree::{PathError, ReadError};
use crate::layout::{Layout, Obstacle, Place};

/// Where the bytes of the file at `path` are.
///
/// # Errors
/// If the volume cannot be read, is of another kind or is damaged; if the path leads to no file.
pub fn layout(volume: &dyn ReadAt, path: impl AsRef<str>) -> Result<Layout, Error> {
    let source = Source::new(volume)?;
    let boot = Boot::read(&source)?;
    let volume = Volume {
        table: Table::new(source, &boot),
        source,
        boot: &boot,
    };
    let path = path.as_ref().replace('\\', "/");
    let file = find_file(&volume, path.as_bytes())?;
    let mapping = volume.table.chain(file.cluster, Some(file.size))?;
    let layout = mapping.layout(file.size, |offset| Place::Data { offset });
    let mut layout = layout.map_err(|why| Error::damaged(boot.table, why.as_str()))?;
    layout.obstacles = volume.obstacles()?;
    Ok(layout)
}

/// What speaks against changing any file of the volume.
///
/// # Errors
/// If the volume cannot be read, is of another kind or is damaged.
pub fn obstacles(volume: &dyn ReadAt) -> Result<Vec<Obstacle>, Error> {
    let source = Source::new(volume)?;
    let boot = Boot::read(&source)?;
    let volume = Volume {
        table: Table::new(source, &boot),
        source,
        boot: &boot,
    };
    volume.obstacles()
}

struct Volume<'a> {
    source: Source<'a>,
    boot: &'a Boot,
    table: Table<'a>,
}

impl Volume<'_> {
    fn obstacles(&self) -> Result<Vec<Obstacle>, Error> {
        let is_clean = !self.boot.is_marked_dirty && self.table.is_clean()?;
        Ok(if is_clean {
            Vec::new()
        } else {
            vec![Obstacle::NotUnmounted]
        })
    }

    /// Looks through some entries of a directory.
    fn scan(&self, scan: &mut Scan, bytes: &[u8], name: &str) -> Found {
        for entry in bytes.chunks_exact(ENTRY) {
            match scan.look(entry, name) {
                Found::Other => {}
                found => return found,
            }
        }
        Found::Other
    }
}

impl Tree for Volume<'_> {
    type Node = Node;
    type Error = Error;

    fn root(&self) -> Result<Node, Error> {
        Ok(Node {
            kind: Kind::Directory,
            cluster: 0,
            size: 0,
        })
    }

    fn kind(&self, node: &Node) -> Kind {
        node.kind
    }

    fn child(&self, directory: &Node, name: &[u8]) -> Result<Option<Node>, Error> {
        let Ok(name) = std::str::from_utf8(name) else {
            return Ok(None);
        };
        let mut scan = Scan::default();
        let first = match (directory.cluster, self.boot.root) {
            (0, Root::Fixed { offset, len }) => {
                let entries = self.source.read(offset, len as usize)?;
                return Ok(match self.scan(&mut scan, &entries, name) {
                    Found::This(node) => Some(node),
                    Found::Other | Found::End => None,
                });
            }
            (0, Root::Cluster(root)) => root,
            (cluster, _) => cluster,
        };
        let chain = self.table.chain(first, None)?;
        let mut at = 0;
        while let Some(next) = chain.next(at) {
            let entries = chain.read(&self.source, next, self.boot.cluster_size as usize)?;
            match self.scan(&mut scan, &entries, name) {
                Found::This(node) => return Ok(Some(node)),
                Found::End => break,
                Found::Other => at = next + self.boot.cluster_size,
            }
        }
        Ok(None)
    }

    fn target(&self, _link: &Node) -> Result<Vec<u8>, Error> {
        Ok(Vec::new())
    }
}
