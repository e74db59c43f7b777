use std::fmt;

use xen_disk::ReadAt;

use super::Error;
use super::attributes::FileAttributes;
use super::file_name::{self, FileName, Namespace};
use super::index::Index;
use super::mapped::Mapped;
use super::name::Name;
use super::read_dir::ReadDir;
use super::record::{Attribute, Body, Record, kind};
use super::reference::FileReference;
use super::reparse::Reparse;
use super::stream::{Content, Stream};
use super::time::FileTime;
use super::volume::Ntfs;
use crate::bytes::{u32_at, u64_at};

/// A file or directory: its record, and those that its attributes spill over to.
pub struct File<'v, D> {
    volume: &'v Ntfs<D>,
    reference: FileReference,
    is_directory: bool,
    /// Where its record is on the volume.
    offset: u64,
    attributes: Vec<Attribute>,
}

/// What is known of a file without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stat {
    /// When it was made.
    pub created: FileTime,
    /// When its content changed last.
    pub modified: FileTime,
    /// When its record changed last.
    pub record_changed: FileTime,
    /// When it was read last, as far as Windows cares to note.
    pub accessed: FileTime,
    /// Read-only, hidden and so on.
    pub attributes: FileAttributes,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// The length of its content in bytes; 0 for a directory.
    pub size: u64,
    /// The bytes its content takes in clusters; 0 where it is in the record.
    pub allocated: u64,
    /// How many names it has, short ones not counted.
    pub links: u32,
}

/// A stream of a file: its content, or one beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamInfo {
    /// Its name; empty for the file's content.
    pub name: Name,
    /// Its length in bytes.
    pub size: u64,
    /// The bytes it takes in clusters; 0 where it is in the record.
    pub allocated: u64,
    /// Whether NTFS has compressed it.
    pub compressed: bool,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Whether it may have holes.
    pub sparse: bool,
}

/// Where Windows' overlay filter keeps what the content of a file stands for.
const SYSTEM_COMPRESSED: &str = "WofCompressedData";

impl<'v, D: ReadAt> File<'v, D> {
    pub(super) fn new(volume: &'v Ntfs<D>, record: &Record, mut attributes: Vec<Attribute>) -> Self {
        // The pieces of a stream in their order, whatever records they are in.
        attributes.sort_by_key(Attribute::first);
        Self {
            volume,
            reference: record.reference(),
            is_directory: record.is_directory(),
            offset: record.offset(),
            attributes,
        }
    }

    /// Which record it has.
    pub fn reference(&self) -> FileReference {
        self.reference
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.is_directory
    }

    /// Its times, attributes and sizes.
    ///
    /// # Errors
    /// [`Error::Damaged`] where they are missing.
    pub fn stat(&self) -> Result<Stat, Error> {
        let times = self.value(kind::STANDARD_INFORMATION).filter(|value| value.len() >= 36);
        let times = times.ok_or(self.damaged("a file has no standard information"))?;
        let content = self.streams().into_iter().find(|stream| stream.name.is_empty());
        let names = self.names()?;
        let long = names.iter().filter(|name| name.namespace != Namespace::Dos);
        Ok(Stat {
            created: FileTime(u64_at(times, 0)),
            modified: FileTime(u64_at(times, 8)),
            record_changed: FileTime(u64_at(times, 16)),
            accessed: FileTime(u64_at(times, 24)),
            attributes: FileAttributes(u32_at(times, 32)),
            is_directory: self.is_directory,
            size: content.as_ref().map_or(0, |content| content.size),
            allocated: content.as_ref().map_or(0, |content| content.allocated),
            links: long.count() as u32,
        })
    }

    /// All its names: hard links, and short names beside long ones.
    ///
    /// # Errors
    /// [`Error::Damaged`] where one cannot be read.
    pub fn names(&self) -> Result<Vec<FileName>, Error> {
        let names = self.of_kind(kind::FILE_NAME);
        names
            .map(|attribute| {
                let (name, _) =
                    file_name::parse(attribute.resident().unwrap_or_default()).map_err(|what| Error::Damaged {
                        offset: attribute.offset,
                        what,
                    })?;
                Ok(name)
            })
            .collect()
    }

    /// Its content, which has no name, and the streams beside it.
    pub fn streams(&self) -> Vec<StreamInfo> {
        let first_pieces = self.of_kind(kind::DATA).filter(|attribute| attribute.first() == 0);
        first_pieces
            .map(|attribute| {
                let (size, allocated) = match &attribute.body {
                    Body::Resident(resident) => (resident.value.len() as u64, 0),
                    Body::Piece(piece) => (piece.size, piece.allocated),
                };
                StreamInfo {
                    name: attribute.name.clone(),
                    size,
                    allocated,
                    compressed: attribute.flags & Attribute::COMPRESSED != 0,
                    encrypted: attribute.flags & Attribute::ENCRYPTED != 0,
                    sparse: attribute.flags & Attribute::SPARSE != 0,
                }
            })
            .collect()
    }

    /// Its content.
    ///
    /// # Errors
    /// As [`stream`](Self::stream).
    pub fn content(&self) -> Result<Stream<'v, D>, Error> {
        self.stream("")
    }

    /// The stream `name` beside its content; upper and lower case count only where two differ in nothing else.
    ///
    /// # Errors
    /// [`Error::NoSuchStream`] where there is none; [`Error::Encrypted`], [`Error::SystemCompressed`] and
    /// [`Error::Elsewhere`] where it cannot be read as what it stands for.
    pub fn stream(&self, name: &str) -> Result<Stream<'v, D>, Error> {
        let record = self.reference.record;
        let name = self.stream_name(name)?;
        if self
            .of_kind(kind::DATA)
            .any(|data| data.name == name && data.flags & Attribute::ENCRYPTED != 0)
        {
            return Err(Error::Encrypted { record });
        }
        if name.is_empty() {
            if self.is_system_compressed()? {
                return Err(Error::SystemCompressed { record });
            }
            let recalled =
                FileAttributes::OFFLINE | FileAttributes::RECALL_ON_OPEN | FileAttributes::RECALL_ON_DATA_ACCESS;
            if let Some(reparse) = self.reparse()?
                && (reparse.replaces_content() || self.attributes().intersects(recalled))
            {
                return Err(Error::Elsewhere {
                    record,
                    tag: reparse.tag(),
                });
            }
        }
        self.open(kind::DATA, &name)
    }

    /// The reparse point it is: a symbolic link, a junction or something that only a filter of Windows understands.
    ///
    /// # Errors
    /// [`Error::Damaged`] where it cannot be read.
    pub fn reparse(&self) -> Result<Option<Reparse>, Error> {
        let Some(attribute) = self.of_kind(kind::REPARSE_POINT).next() else {
            return Ok(None);
        };
        let stream = self.open(kind::REPARSE_POINT, &attribute.name)?;
        if stream.len() > Reparse::LONGEST {
            return Err(self.damaged("a reparse point is longer than 16 KiB"));
        }
        let mut bytes = vec![0; stream.len() as usize];
        stream.read(0, &mut bytes)?;
        let reparse = Reparse::parse(&bytes).ok_or(self.damaged("a reparse point is cut off"))?;
        Ok(Some(reparse))
    }

    /// What is in the directory, in its order, without the short names of files that have longer ones.
    ///
    /// What cannot be read is told in its place, and the listing goes on behind it.
    ///
    /// # Errors
    /// [`Error::NotADirectory`] where it is none.
    pub fn read_dir(&self) -> Result<ReadDir<'v, D>, Error> {
        Ok(ReadDir::new(self.index()?))
    }

    /// The file of this name in the directory, regardless of case unless two names differ in nothing else. The name is
    /// taken as it is: no slash or dot means anything.
    ///
    /// # Errors
    /// [`Error::NotADirectory`] where it is no directory, and where its index cannot be read.
    pub fn child(&self, name: &Name) -> Result<Option<FileReference>, Error> {
        self.index()?.find(name)
    }

    fn index(&self) -> Result<Index<'v, D>, Error> {
        if !self.is_directory {
            return Err(Error::NotADirectory {
                path: format!("file record {}", self.reference.record),
            });
        }
        Index::open(self)
    }

    pub(super) fn volume(&self) -> &'v Ntfs<D> {
        self.volume
    }

    /// The value of the only attribute of its kind.
    pub(super) fn value(&self, kind: u32) -> Option<&[u8]> {
        self.of_kind(kind).next()?.resident()
    }

    pub(super) fn of_kind(&self, kind: u32) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter().filter(move |attribute| attribute.kind == kind)
    }

    /// The attribute as a stream, with nothing asked.
    pub(super) fn open(&self, kind: u32, name: &Name) -> Result<Stream<'v, D>, Error> {
        let mut pieces = self
            .of_kind(kind)
            .filter(|attribute| attribute.name == *name)
            .peekable();
        let content = match pieces.peek() {
            None => return Err(self.no_stream(name.to_string())),
            Some(Attribute {
                body: Body::Resident(resident),
                ..
            }) => Content::Resident(resident.clone()),
            Some(_) => Content::Mapped(Mapped::new(pieces, self.volume.boot())?),
        };
        Ok(Stream::new(self.volume, content))
    }

    /// How the stream `name` is called exactly.
    pub(super) fn stream_name(&self, name: &str) -> Result<Name, Error> {
        let wanted = Name::from(name);
        let upcase = self.volume.upcase();
        let names = || self.of_kind(kind::DATA).map(|attribute| &attribute.name);
        names()
            .find(|name| **name == wanted)
            .or_else(|| names().find(|name| upcase.compare(name.units(), wanted.units()).is_eq()))
            .cloned()
            .ok_or_else(|| self.no_stream(name.to_owned()))
    }

    pub(super) fn is_system_compressed(&self) -> Result<bool, Error> {
        if self.of_kind(kind::DATA).any(|data| data.name == SYSTEM_COMPRESSED) {
            return Ok(true);
        }
        Ok(matches!(self.reparse()?, Some(Reparse::SystemCompressed { .. })))
    }

    /// The attributes of its standard information.
    fn attributes(&self) -> FileAttributes {
        FileAttributes(u32_at(self.value(kind::STANDARD_INFORMATION).unwrap_or_default(), 32))
    }

    fn no_stream(&self, stream: String) -> Error {
        Error::NoSuchStream {
            record: self.reference.record,
            stream,
        }
    }

    pub(super) fn damaged(&self, what: &'static str) -> Error {
        Error::Damaged {
            offset: self.offset,
            what,
        }
    }
}

impl<D> fmt::Debug for File<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("reference", &self.reference)
            .field("is_directory", &self.is_directory)
            .finish_non_exhaustive()
    }
}
