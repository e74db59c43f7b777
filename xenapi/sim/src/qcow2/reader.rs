//! An image that arrives as a stream.

use std::collections::BTreeMap;

use super::{COMPRESSED, HEADER, MAGIC, PLACE, ZEROS};

/// Why a stream is no image that can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Defect {
    #[error("no QCOW2 image of version 2 or 3")]
    NotQcow2,
    #[error("a QCOW2 image with a backing file, encryption, compression, or tables out of range")]
    Layout,
    #[error("a QCOW2 image whose clusters come before the tables that place them, or twice")]
    Order,
    #[error("a QCOW2 image of a larger disk")]
    TooLarge,
}

/// The largest table of the first level, in bytes.
const MAX_FIRST: u64 = 32 << 20;

/// Takes an image piece by piece: whatever a table places must come behind that table.
#[derive(Debug)]
pub(crate) struct Reader {
    /// How many bytes of the stream were taken.
    at: u64,
    /// What is wanted of the rest of the stream, by its place.
    wanted: BTreeMap<u64, Part>,
    /// The first of them, as far as it came.
    collected: Vec<u8>,
    cluster: u64,
    /// The size of the disk that the image is written to.
    disk: u64,
}

/// A part of the image.
#[derive(Clone, Copy, Debug)]
enum Part {
    Header,
    /// The table of the first level, of this many bytes.
    First(u64),
    /// The table of the second level with this number.
    Second(u64),
    /// The cluster of the disk with this number.
    Data(u64),
}

impl Reader {
    /// A reader at the start of a stream, for a disk of `disk` bytes.
    pub(crate) fn new(disk: u64) -> Self {
        Self {
            at: 0,
            wanted: BTreeMap::from([(0, Part::Header)]),
            collected: Vec::new(),
            cluster: 0,
            disk,
        }
    }

    /// Whether all that is wanted came.
    pub(crate) fn is_complete(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Takes the next bytes of the stream; `write` gets what belongs on the disk and where.
    pub(crate) fn push(&mut self, mut input: &[u8], mut write: impl FnMut(u64, &[u8])) -> Result<(), Defect> {
        while let Some((&place, &part)) = self.wanted.first_key_value().filter(|_| !input.is_empty()) {
            let start = place + self.collected.len() as u64;
            let skipped = start.checked_sub(self.at).ok_or(Defect::Order)?.min(input.len() as u64);
            let missing = self.length(part) - self.collected.len() as u64;
            let (_, rest) = input.split_at(skipped as usize);
            let (taken, rest) = rest.split_at(missing.min(rest.len() as u64) as usize);
            self.at += skipped + taken.len() as u64;
            input = rest;
            self.collected.extend_from_slice(taken);
            if taken.len() as u64 == missing {
                self.wanted.pop_first();
                let bytes = std::mem::take(&mut self.collected);
                self.take(part, &bytes, &mut write)?;
            }
        }
        self.at += input.len() as u64;
        Ok(())
    }

    const fn length(&self, part: Part) -> u64 {
        match part {
            Part::Header => HEADER,
            Part::First(length) => length,
            Part::Second(_) | Part::Data(_) => self.cluster,
        }
    }

    fn take(&mut self, part: Part, bytes: &[u8], write: &mut impl FnMut(u64, &[u8])) -> Result<(), Defect> {
        match part {
            Part::Header => self.header(bytes),
            Part::First(_) => self.table(bytes, |number, _| Ok(Some(Part::Second(number)))),
            Part::Second(table) => {
                let (cluster, disk) = (self.cluster, self.disk);
                self.table(bytes, |number, entry| {
                    let number = table * (cluster / 8) + number;
                    if entry & COMPRESSED != 0 {
                        return Err(Defect::Layout);
                    }
                    if number >= disk.div_ceil(cluster) {
                        return Err(Defect::TooLarge);
                    }
                    if entry & ZEROS != 0 {
                        zero(number * cluster, cluster.min(disk - number * cluster), write);
                        return Ok(None);
                    }
                    Ok(Some(Part::Data(number)))
                })
            }
            Part::Data(number) => {
                let offset = number * self.cluster;
                let inside = self.cluster.min(self.disk - offset) as usize;
                write(offset, &bytes[..inside]);
                Ok(())
            }
        }
    }

    fn header(&mut self, bytes: &[u8]) -> Result<(), Defect> {
        let version = number(bytes, 4);
        if !bytes.starts_with(MAGIC) || !matches!(version, 2 | 3) {
            return Err(Defect::NotQcow2);
        }
        let (bits, size) = (number(bytes, 20), long(bytes, 24));
        let (backing, encryption) = (long(bytes, 8), number(bytes, 32));
        if !(9..=21).contains(&bits) || backing != 0 || encryption != 0 {
            return Err(Defect::Layout);
        }
        if size > self.disk {
            return Err(Defect::TooLarge);
        }
        self.cluster = 1 << bits;
        let first = u64::from(number(bytes, 36)) * 8;
        if first > MAX_FIRST || first / 8 < size.div_ceil(self.cluster).div_ceil(self.cluster / 8) {
            return Err(Defect::Layout);
        }
        if first > 0 {
            self.want(long(bytes, 40), Part::First(first))?;
        }
        Ok(())
    }

    /// Wants what a table places.
    fn table(
        &mut self,
        bytes: &[u8],
        mut part: impl FnMut(u64, u64) -> Result<Option<Part>, Defect>,
    ) -> Result<(), Defect> {
        for (number, entry) in (0..).zip(bytes.chunks_exact(8).map(|entry| long(entry, 0))) {
            if entry & (PLACE | COMPRESSED | ZEROS) == 0 {
                continue;
            }
            if let Some(part) = part(number, entry)? {
                self.want(entry & PLACE, part)?;
            }
        }
        Ok(())
    }

    fn want(&mut self, place: u64, part: Part) -> Result<(), Defect> {
        if place < self.at || self.wanted.insert(place, part).is_some() {
            return Err(Defect::Order);
        }
        Ok(())
    }
}

/// Writes zeros.
fn zero(offset: u64, length: u64, write: &mut impl FnMut(u64, &[u8])) {
    const ZERO: [u8; 4096] = [0; 4096];
    for at in (0..length).step_by(ZERO.len()) {
        write(offset + at, &ZERO[..ZERO.len().min((length - at) as usize)]);
    }
}

/// Four bytes as a number; zero where they are not there.
fn number(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    four.map_or(0, u32::from_be_bytes)
}

/// Eight bytes as a number; zero where they are not there.
fn long(bytes: &[u8], at: usize) -> u64 {
    let eight = bytes.get(at..at + 8).and_then(|eight| eight.try_into().ok());
    eight.map_or(0, u64::from_be_bytes)
}
