//! The index of a directory: a tree of sorted names, its root in the file record and its nodes in a stream.

use std::cmp::Ordering;

use xen_disk::ReadAt;

use super::Error;
use super::file::File;
use super::file_name;
use super::fixup;
use super::name::Name;
use super::record::kind;
use super::reference::FileReference;
use super::stream::Stream;
use super::upcase::UpCase;
use super::volume::Ntfs;
use crate::bytes::{u16_at, u32_at, u64_at};

/// The name of the index by file names.
const NAME: &str = "$I30";

/// A tree that is balanced is not nearly so deep.
pub(super) const DEEPEST: usize = 32;

pub(super) struct Index<'v, D> {
    volume: &'v Ntfs<D>,
    /// Which directory's it is.
    pub(super) directory: FileReference,
    root: Node,
    nodes: Option<Stream<'v, D>>,
    node_size: usize,
}

/// The root or a further node.
#[derive(Debug, Clone)]
pub(super) struct Node {
    bytes: Vec<u8>,
    /// Where the entries start.
    start: usize,
    end: usize,
    /// Where it is on the volume.
    offset: u64,
}

/// An entry of a node. The last one has no name, only the node below.
#[derive(Debug)]
pub(super) struct Entry<'n> {
    pub(super) reference: FileReference,
    /// The name and what is kept with it, as in `$FILE_NAME`.
    pub(super) key: Option<&'n [u8]>,
    /// The node with all that is sorted between the entry before and this one.
    pub(super) below: Option<u64>,
    /// Where the next entry starts.
    pub(super) next: usize,
}

impl Node {
    const HAS_NODE_BELOW: u16 = 1;
    const LAST: u16 = 2;

    /// The node in these bytes, whose index header stands at `header`.
    fn new(bytes: Vec<u8>, header: usize, offset: u64) -> Result<Self, Error> {
        let start = header.saturating_add(u32_at(&bytes, header) as usize);
        let end = header.saturating_add(u32_at(&bytes, header + 4) as usize);
        if start > end || end > bytes.len() {
            return Err(Error::Damaged {
                offset,
                what: "the entries of a directory are outside of their record",
            });
        }
        Ok(Self {
            bytes,
            start,
            end,
            offset,
        })
    }

    pub(super) fn start(&self) -> usize {
        self.start
    }

    pub(super) fn entry(&self, at: usize) -> Result<Entry<'_>, Error> {
        let damaged = |what| Error::Damaged {
            offset: self.offset,
            what,
        };
        let rest = self.bytes.get(at..self.end).filter(|rest| rest.len() >= 16);
        let rest = rest.ok_or(damaged("the entries of a directory do not come to an end"))?;
        let len = usize::from(u16_at(rest, 8));
        let flags = u16_at(rest, 12);
        let has_below = flags & Self::HAS_NODE_BELOW != 0;
        let key_end = len.checked_sub(if has_below { 8 } else { 0 }).filter(|&end| end >= 16);
        let key_end = key_end.filter(|_| len <= rest.len());
        let key_end = key_end.ok_or(damaged(
            "an entry of a directory is longer than its record, or too short",
        ))?;
        let key = rest
            .get(16..16 + usize::from(u16_at(rest, 10)))
            .filter(|key| 16 + key.len() <= key_end);
        let key = if flags & Self::LAST != 0 {
            None
        } else {
            Some(key.ok_or(damaged("a name in a directory is longer than its entry"))?)
        };
        Ok(Entry {
            reference: FileReference::from_raw(u64_at(rest, 0)),
            key,
            below: has_below.then(|| u64_at(rest, len - 8)),
            next: at + len,
        })
    }

    pub(super) fn damaged(&self, what: &'static str) -> Error {
        Error::Damaged {
            offset: self.offset,
            what,
        }
    }
}

impl<'v, D: ReadAt> Index<'v, D> {
    pub(super) fn open(file: &File<'v, D>) -> Result<Self, Error> {
        let root = file.of_kind(kind::INDEX_ROOT).find(|root| root.name == NAME);
        let root = root.ok_or(file.damaged("a directory has no index"))?;
        let value = root.resident().filter(|value| value.len() >= 32);
        let value = value.ok_or(file.damaged("the root of a directory's index is not in its record"))?;
        let node_size = u32_at(value, 8);
        if !node_size.is_power_of_two() || !(512..=1 << 16).contains(&node_size) {
            return Err(file.damaged("the records of a directory's index have a size that cannot be"));
        }
        let name = Name::from(NAME);
        let has_nodes = file.of_kind(kind::INDEX_ALLOCATION).any(|nodes| nodes.name == name);
        Ok(Self {
            volume: file.volume(),
            directory: file.reference(),
            root: Node::new(value.to_vec(), 16, root.offset)?,
            nodes: has_nodes
                .then(|| file.open(kind::INDEX_ALLOCATION, &name))
                .transpose()?,
            node_size: node_size as usize,
        })
    }

    pub(super) fn root(&self) -> Node {
        self.root.clone()
    }

    /// The node at the position `vcn`: in clusters, or in sectors of 512 bytes where a cluster is larger than a node.
    pub(super) fn node(&self, vcn: u64) -> Result<Node, Error> {
        let damaged = |what| self.root.damaged(what);
        let nodes = self
            .nodes
            .as_ref()
            .ok_or(damaged("a directory's index has no records beyond its root"))?;
        let cluster = self.volume.boot().cluster_size;
        let unit = if cluster <= self.node_size as u64 { cluster } else { 512 };
        let start = vcn.checked_mul(unit).filter(|start| {
            let end = start.checked_add(self.node_size as u64);
            end.is_some_and(|end| end <= nodes.len())
        });
        let start = start.ok_or(damaged("a directory's index leads to a record behind its end"))?;
        let mut bytes = vec![0; self.node_size];
        nodes.read(start, &mut bytes)?;
        let offset = nodes.position(start);
        fixup::apply(&mut bytes, b"INDX", offset)?;
        if u64_at(&bytes, 16) != vcn {
            return Err(Error::Damaged {
                offset,
                what: "a record of a directory's index is not the one that belongs there",
            });
        }
        Node::new(bytes, 24, offset)
    }

    /// The file of this name; of several that differ in case only the one that does not, else the first.
    pub(super) fn find(&self, name: &Name) -> Result<Option<FileReference>, Error> {
        let upcase = self.volume.upcase();
        let mut node = self.root();
        let mut similar: Option<(Name, FileReference)> = None;
        for _ in 0..DEEPEST {
            let mut at = node.start();
            let below = loop {
                let entry = node.entry(at)?;
                let Some(key) = entry.key else {
                    break entry.below;
                };
                let (found, _) = file_name::parse(key).map_err(|what| node.damaged(what))?;
                let found = found.name;
                match compare(upcase, &found, name) {
                    Compared::Same => return Ok(Some(entry.reference)),
                    Compared::Similar(order) => {
                        if similar.as_ref().is_none_or(|(first, _)| found < *first) {
                            similar = Some((found, entry.reference));
                        }
                        if order.is_gt() {
                            break entry.below;
                        }
                    }
                    Compared::Other(Ordering::Greater) => break entry.below,
                    Compared::Other(_) => {}
                }
                at = entry.next;
            };
            match below {
                Some(below) => node = self.node(below)?,
                None => return Ok(similar.map(|(_, reference)| reference)),
            }
        }
        Err(node.damaged("a directory's index is deeper than it can be"))
    }
}

enum Compared {
    Same,
    /// Different in case only; in the order of the directory.
    Similar(Ordering),
    Other(Ordering),
}

fn compare(upcase: &UpCase, found: &Name, wanted: &Name) -> Compared {
    match upcase.compare(found.units(), wanted.units()) {
        Ordering::Equal => match found.units().cmp(wanted.units()) {
            Ordering::Equal => Compared::Same,
            order => Compared::Similar(order),
        },
        order => Compared::Other(order),
    }
}
