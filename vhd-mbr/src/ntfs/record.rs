//! File records and the attributes in them.

use xen_disk::ReadAt;

use super::fixup;
use super::name::Name;
use super::reference::FileReference;
use super::{Error, source};
use crate::bytes::{u16_at, u32_at, u64_at};

/// The kinds of attributes that are read here.
pub(super) mod kind {
    pub(in crate::ntfs) const STANDARD_INFORMATION: u32 = 0x10;
    pub(in crate::ntfs) const ATTRIBUTE_LIST: u32 = 0x20;
    pub(in crate::ntfs) const FILE_NAME: u32 = 0x30;
    pub(in crate::ntfs) const VOLUME_NAME: u32 = 0x60;
    pub(in crate::ntfs) const VOLUME_INFORMATION: u32 = 0x70;
    pub(in crate::ntfs) const DATA: u32 = 0x80;
    pub(in crate::ntfs) const INDEX_ROOT: u32 = 0x90;
    pub(in crate::ntfs) const INDEX_ALLOCATION: u32 = 0xa0;
    pub(in crate::ntfs) const REPARSE_POINT: u32 = 0xc0;
    pub(super) const END: u32 = 0xffff_ffff;
}

/// A file record, its sector ends put right.
#[derive(Debug)]
pub(super) struct Record {
    bytes: Vec<u8>,
    number: u64,
    /// Where it is on the volume.
    offset: u64,
}

/// An attribute, or a piece of one.
#[derive(Debug, Clone)]
pub(super) struct Attribute {
    pub(super) kind: u32,
    pub(super) name: Name,
    pub(super) flags: u16,
    pub(super) body: Body,
    /// Where it is on the volume.
    pub(super) offset: u64,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    Resident(Resident),
    Piece(Piece),
}

/// A value within the record.
#[derive(Debug, Clone)]
pub(super) struct Resident {
    pub(super) value: Vec<u8>,
    /// The number of the record.
    pub(super) record: u64,
    /// Where in the record on disk the parts of the value are.
    pub(super) places: Vec<std::ops::Range<usize>>,
}

/// A piece of a stream that lies in clusters.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// The first cluster of the stream that it maps.
    pub(super) first: u64,
    /// The cluster behind the last one.
    pub(super) end: u64,
    pub(super) pairs: Vec<u8>,
    /// How many clusters are compressed together, as a power of two. Like the sizes, only in the first piece.
    pub(super) unit: u8,
    pub(super) allocated: u64,
    pub(super) size: u64,
    pub(super) initialized: u64,
}

impl Attribute {
    pub(super) const COMPRESSED: u16 = 0xff;
    pub(super) const ENCRYPTED: u16 = 0x4000;
    pub(super) const SPARSE: u16 = 0x8000;

    /// The cluster where it starts.
    pub(super) fn first(&self) -> u64 {
        match &self.body {
            Body::Resident(_) => 0,
            Body::Piece(piece) => piece.first,
        }
    }

    /// The value, where it is in the record.
    pub(super) fn resident(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Resident(resident) => Some(&resident.value),
            Body::Piece(_) => None,
        }
    }
}

impl Record {
    const IN_USE: u16 = 1;
    const DIRECTORY: u16 = 2;

    /// The record `number` in these bytes, as they came from `offset` of the volume.
    pub(super) fn new(mut bytes: Vec<u8>, number: u64, offset: u64) -> Result<Self, Error> {
        fixup::apply(&mut bytes, b"FILE", offset)?;
        Ok(Self { bytes, number, offset })
    }

    /// The record that lies in one piece at `offset`.
    pub(super) fn read(disk: &impl ReadAt, offset: u64, size: usize, number: u64) -> Result<Self, Error> {
        let mut bytes = vec![0; size];
        source::read(disk, offset, &mut bytes)?;
        Self::new(bytes, number, offset)
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn reference(&self) -> FileReference {
        FileReference {
            record: self.number,
            sequence: u16_at(&self.bytes, 16),
        }
    }

    pub(super) fn in_use(&self) -> bool {
        u16_at(&self.bytes, 22) & Self::IN_USE != 0
    }

    pub(super) fn is_directory(&self) -> bool {
        u16_at(&self.bytes, 22) & Self::DIRECTORY != 0
    }

    /// The file to which this record belongs, where it is not the file's first one.
    pub(super) fn base(&self) -> Option<FileReference> {
        Some(u64_at(&self.bytes, 32))
            .filter(|&base| base != 0)
            .map(FileReference::from_raw)
    }

    /// All its attributes.
    pub(super) fn attributes(&self) -> Result<Vec<Attribute>, Error> {
        let used = (u32_at(&self.bytes, 24) as usize).min(self.bytes.len());
        let mut at = usize::from(u16_at(&self.bytes, 20));
        let mut attributes = Vec::new();
        while at + 4 <= used && u32_at(&self.bytes, at) != kind::END {
            let len = u32_at(&self.bytes, at + 4) as usize;
            let end = at.checked_add(len).filter(|&end| len >= 24 && end <= used);
            let end = end.ok_or_else(|| self.damaged(at, "an attribute is longer than its record, or too short"))?;
            attributes.push(self.attribute(at, end).map_err(|what| self.damaged(at, what))?);
            at = end;
        }
        Ok(attributes)
    }

    fn attribute(&self, at: usize, end: usize) -> Result<Attribute, &'static str> {
        let bytes = &self.bytes[at..end];
        let name_at = usize::from(u16_at(bytes, 10));
        let name = match usize::from(bytes[9]) {
            0 => &[],
            len => bytes
                .get(name_at..name_at + 2 * len)
                .ok_or("the name of an attribute is outside of it")?,
        };
        let body = if bytes[8] == 0 {
            let start = usize::from(u16_at(bytes, 20));
            let value = start
                .checked_add(u32_at(bytes, 16) as usize)
                .and_then(|end| bytes.get(start..end));
            let value = value.ok_or("the value of an attribute is outside of it")?;
            Body::Resident(Resident {
                value: value.to_vec(),
                record: self.number,
                places: fixup::on_disk(&self.bytes, at + start..at + start + value.len()),
            })
        } else {
            let pairs = bytes.get(usize::from(u16_at(bytes, 32)).max(64)..);
            Body::Piece(Piece {
                first: u64_at(bytes, 16),
                // An empty stream ends in cluster -1.
                end: u64_at(bytes, 24).wrapping_add(1),
                pairs: pairs.ok_or("the runs of an attribute are outside of it")?.to_vec(),
                unit: bytes[34],
                allocated: u64_at(bytes, 40),
                size: u64_at(bytes, 48),
                initialized: u64_at(bytes, 56),
            })
        };
        Ok(Attribute {
            kind: u32_at(bytes, 0),
            name: Name::from_bytes(name),
            flags: u16_at(bytes, 12),
            body,
            offset: self.offset + at as u64,
        })
    }

    fn damaged(&self, at: usize, what: &'static str) -> Error {
        Error::Damaged {
            offset: self.offset + at as u64,
            what,
        }
    }
}
