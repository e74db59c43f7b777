//! Which records hold the attributes of a file that does not fit into one.

use xen_disk::ReadAt;

use super::Error;
use super::boot::Boot;
use super::mapped::Mapped;
use super::name::Name;
use super::record::{Attribute, Body};
use super::reference::FileReference;
use crate::bytes::{u16_at, u32_at, u64_at};

/// An attribute, or a piece of one, and where it is.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) kind: u32,
    pub(super) name: Name,
    /// The first cluster that the piece maps.
    pub(super) first: u64,
    /// The record that holds it.
    pub(super) holder: FileReference,
}

/// Windows makes no longer ones.
const LONGEST: u64 = 256 << 10;

/// Reads the list that this attribute is.
pub(super) fn read(disk: &impl ReadAt, boot: &Boot, list: &Attribute) -> Result<Vec<Entry>, Error> {
    let damaged = |what| Error::Damaged {
        offset: list.offset,
        what,
    };
    match &list.body {
        Body::Resident(resident) => parse(&resident.value).map_err(damaged),
        Body::Piece(_) => {
            let mapped = Mapped::new([list], boot)?;
            if mapped.size > LONGEST {
                return Err(damaged("an attribute list is longer than 256 KiB"));
            }
            let mut bytes = vec![0; mapped.size as usize];
            mapped.read(disk, 0, &mut bytes)?;
            parse(&bytes).map_err(damaged)
        }
    }
}

fn parse(mut bytes: &[u8]) -> Result<Vec<Entry>, &'static str> {
    let mut entries = Vec::new();
    while bytes.len() >= 26 {
        let len = usize::from(u16_at(bytes, 4));
        let (entry, rest) = bytes
            .split_at_checked(len)
            .filter(|_| len >= 26)
            .ok_or("an entry of an attribute list is longer than the list, or too short")?;
        let name = usize::from(entry[7]);
        let name = entry.get(name..name + 2 * usize::from(entry[6]));
        entries.push(Entry {
            kind: u32_at(entry, 0),
            name: Name::from_bytes(name.ok_or("a name in an attribute list is outside of its entry")?),
            first: u64_at(entry, 8),
            holder: FileReference::from_raw(u64_at(entry, 16)),
        });
        bytes = rest;
    }
    Ok(entries)
}
