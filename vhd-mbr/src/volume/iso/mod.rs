//! Files on ISO 9660 volumes: Rock Ridge, Joliet and plain names.

mod descriptor;
mod error;
mod record;
mod rock_ridge;

use xen_disk::ReadAt;

pub(crate) use self::descriptor::Descriptor;
use self::descriptor::Names;
pub use self::error::Error;
use self::record::{Record, SECTOR};
use self::rock_ridge::Fields;
use crate::bytes::u16_at;
use crate::filetree::{self, Kind, List, Named, Source, Stat, Tree};
use crate::layout::{Extent, Layout, Obstacle, Place};

pub(crate) struct Volume<'a> {
    source: Source<'a>,
    descriptor: Descriptor,
}

impl<'a> Volume<'a> {
    pub(crate) fn open(disk: &'a dyn ReadAt, descriptor: Descriptor) -> Result<Self, Error> {
        let source = Source::new(disk)?;
        Ok(Self { source, descriptor })
    }
}

/// A file with all its records.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    stat: Stat,
    /// Where its content is, part by part: the first byte and the length.
    parts: Vec<(u64, u64)>,
    target: Vec<u8>,
    /// Why its content cannot be read.
    unsupported: Option<&'static str>,
}

/// How far a directory has been read.
pub(crate) struct Reading {
    at: u64,
    end: u64,
    /// The parts of a file that goes on in the next record.
    parts: Vec<(u64, u64)>,
}

/// A file consists of so many parts at most; each has up to 4 GiB.
const MOST_PARTS: usize = 1 << 12;

impl Volume<'_> {
    fn reading(&self, directory: &Node) -> Result<Reading, Error> {
        let &[(at, len), ..] = &*directory.parts else {
            return Ok(Reading {
                at: 0,
                end: 0,
                parts: Vec::new(),
            });
        };
        let end = at.checked_add(len).filter(|&end| end <= self.source.size());
        let end = end.ok_or(Error::damaged(at, "a directory is not on the volume"))?;
        Ok(Reading {
            at,
            end,
            parts: Vec::new(),
        })
    }

    /// The files of the next sector.
    fn next(&self, reading: &mut Reading) -> Result<Option<filetree::Names<Node>>, Error> {
        if reading.at >= reading.end {
            return Ok(None);
        }
        let start = reading.at;
        let len = SECTOR.min(reading.end - start);
        let sector = self.source.read(start, len as usize)?;
        reading.at += len;
        let mut files = Vec::new();
        let mut at = 0;
        while sector.get(at).is_some_and(|&len| len > 0) {
            let record = Record::parse(&sector[at..], start + at as u64)?;
            if !record.is_dots() && !record.is_associated() {
                if reading.parts.len() == MOST_PARTS {
                    return Err(Error::damaged(start + at as u64, "a file has too many parts"));
                }
                reading
                    .parts
                    .push((record.first_byte(self.descriptor.block_size), record.len));
                if !record.has_more() {
                    let parts = std::mem::take(&mut reading.parts);
                    files.extend(self.named(&record, parts, start + at as u64)?);
                }
            }
            at += usize::from(sector[at]);
        }
        Ok(Some(files))
    }

    /// The file whose last record this is; none where it is shown elsewhere.
    fn named(&self, record: &Record<'_>, parts: Vec<(u64, u64)>, offset: u64) -> Result<Option<Named<Node>>, Error> {
        let kind = if record.is_directory() {
            Kind::Directory
        } else {
            Kind::File
        };
        let mut stat = Stat::new(kind, parts.iter().map(|(_, len)| len).sum());
        stat.modified = record.time;
        let mut node = Node {
            stat,
            parts,
            target: Vec::new(),
            unsupported: record.is_interleaved.then_some("interleaved files"),
        };
        let name = match self.descriptor.names {
            Names::Joliet => joliet_name(record.name),
            Names::Plain => plain_name(record.name),
            Names::RockRidge { skip } => {
                let system_use = record.system_use.get(skip..).unwrap_or_default();
                let fields = Fields::read(&self.source, system_use, offset, self.descriptor.block_size)?;
                if fields.is_moved {
                    return Ok(None);
                }
                let name = if fields.name.is_empty() {
                    plain_name(record.name)
                } else {
                    fields.name.clone()
                };
                self.add(&mut node, fields)?;
                name
            }
        };
        Ok(Some(Named { name, link: node }))
    }

    fn add(&self, node: &mut Node, fields: Fields) -> Result<(), Error> {
        let stat = &mut node.stat;
        if let Some(mode) = fields.mode {
            stat.kind = match mode & 0o170_000 {
                0o100_000 => Kind::File,
                0o040_000 => Kind::Directory,
                0o120_000 => Kind::Symlink,
                _ => Kind::Other,
            };
        }
        stat.created = fields.created;
        stat.modified = fields.modified.or(stat.modified);
        stat.accessed = fields.accessed;
        stat.changed = fields.changed;
        node.target = fields.target;
        node.unsupported = node.unsupported.or(fields.encoding);
        if let Some(block) = fields.moved_to {
            let offset = u64::from(block) * self.descriptor.block_size;
            let sector = self.source.read(offset, SECTOR as usize)?;
            let itself = Record::parse(&sector, offset)?;
            node.stat.kind = Kind::Directory;
            node.stat.size = itself.len;
            node.parts = vec![(offset, itself.len)];
        }
        Ok(())
    }

    /// Whether names that differ in case only are the same.
    fn is_same(&self, one: &[u8], other: &[u8]) -> bool {
        match self.descriptor.names {
            Names::RockRidge { .. } => one == other,
            Names::Joliet | Names::Plain => {
                let upper = |name: &[u8]| String::from_utf8_lossy(name).to_uppercase();
                one == other || upper(one) == upper(other)
            }
        }
    }
}

impl Tree for Volume<'_> {
    type Node = Node;
    type Error = Error;

    fn root(&self) -> Result<Node, Error> {
        let (_, len) = self.descriptor.root;
        Ok(Node {
            stat: Stat::new(Kind::Directory, len),
            parts: vec![self.descriptor.root],
            target: Vec::new(),
            unsupported: None,
        })
    }

    fn kind(&self, node: &Node) -> Kind {
        node.stat.kind
    }

    fn child(&self, directory: &Node, name: &[u8]) -> Result<Option<Node>, Error> {
        let mut reading = self.reading(directory)?;
        while let Some(files) = self.next(&mut reading)? {
            if let Some(found) = files.into_iter().find(|file| self.is_same(&file.name, name)) {
                return Ok(Some(found.link));
            }
        }
        Ok(None)
    }

    fn target(&self, link: &Node) -> Result<Vec<u8>, Error> {
        Ok(link.target.clone())
    }
}

impl List for Volume<'_> {
    type Link = Node;
    type Reading = Reading;

    fn read_dir(&self, directory: &Node) -> Result<Reading, Error> {
        self.reading(directory)
    }

    fn next_names(&self, reading: &mut Reading) -> Result<Option<filetree::Names<Node>>, Error> {
        self.next(reading)
    }

    fn node(&self, link: Node) -> Result<Node, Error> {
        Ok(link)
    }

    fn stat(&self, node: &Node) -> Result<Stat, Error> {
        Ok(node.stat.clone())
    }

    fn extents(&self, file: &Node) -> Result<Layout, Error> {
        if let Some(feature) = file.unsupported {
            return Err(Error::Unsupported { feature });
        }
        let mut extents = Vec::new();
        let mut at = 0;
        for &(offset, len) in file.parts.iter().filter(|(_, len)| *len > 0) {
            if offset.checked_add(len).is_none_or(|end| end > self.source.size()) {
                return Err(Error::damaged(offset, "a file is not on the volume, or not all of it"));
            }
            extents.push(Extent::new(at..at + len, Place::Data { offset }));
            at += len;
        }
        Ok(Layout::new(at, extents))
    }

    fn obstacles(&self, _file: &Node) -> Result<Vec<Obstacle>, Error> {
        Ok(vec![Obstacle::ReadOnly])
    }
}

/// Big-endian UTF-16, with the number of a version.
fn joliet_name(raw: &[u8]) -> Vec<u8> {
    let units: Vec<u16> = raw.chunks_exact(2).map(|unit| u16_at(unit, 0).swap_bytes()).collect();
    let name = String::from_utf16_lossy(&units);
    without_version(name.as_bytes()).to_vec()
}

/// Without the number of a version, and without the dot of an empty extension.
fn plain_name(raw: &[u8]) -> Vec<u8> {
    let name = without_version(raw);
    name.strip_suffix(b".").unwrap_or(name).to_vec()
}

fn without_version(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|&byte| byte == b';') {
        Some(at) if name[at + 1..].iter().all(u8::is_ascii_digit) => &name[..at],
        _ => name,
    }
}
