//! Streams that lie in clusters.

use std::sync::{Mutex, PoisonError};

use xen_disk::ReadAt;

use super::boot::Boot;
use super::compression;
use super::record::{Attribute, Body, Piece};
use super::runs::Runs;
use super::{Error, source};
use crate::layout::Place;

/// A stream in clusters: its runs and its sizes.
#[derive(Debug)]
pub(super) struct Mapped {
    runs: Runs,
    cluster_size: u64,
    pub(super) size: u64,
    /// From here on it reads as zeros.
    initialized: u64,
    /// The clusters of a compressed unit, in a compressed stream.
    unit: Option<u64>,
    encrypted: bool,
    /// Where its first piece is described on the volume.
    described: u64,
    /// The unit that was decoded last, and where it starts.
    decoded: Mutex<Option<(u64, Vec<u8>)>>,
}

/// The largest unit that is decoded: 16 clusters of 64 KiB.
const LARGEST_UNIT: u64 = 1 << 20;

impl Mapped {
    /// The stream whose pieces these are, in order.
    pub(super) fn new<'a>(pieces: impl IntoIterator<Item = &'a Attribute>, boot: &Boot) -> Result<Self, Error> {
        let mut pieces = pieces.into_iter();
        let first = pieces.next().ok_or(Error::Damaged {
            offset: 0,
            what: "a stream has no beginning",
        })?;
        let mut mapped = Self::begin(first, boot)?;
        for piece in pieces {
            mapped.append(piece, boot)?;
        }
        mapped.check()?;
        Ok(mapped)
    }

    /// The beginning of a stream, to which the other pieces are appended.
    pub(super) fn begin(first: &Attribute, boot: &Boot) -> Result<Self, Error> {
        let piece = first.piece()?;
        let mut mapped = Self {
            runs: Runs::default(),
            cluster_size: boot.cluster_size,
            size: piece.size,
            initialized: piece.initialized.min(piece.size),
            unit: None,
            encrypted: first.flags & Attribute::ENCRYPTED != 0,
            described: first.offset,
            decoded: Mutex::new(None),
        };
        if first.flags & Attribute::COMPRESSED != 0 {
            let unit = 1u64.checked_shl(piece.unit.into()).filter(|_| piece.unit > 0);
            let unit = unit.filter(|unit| {
                unit.checked_mul(boot.cluster_size)
                    .is_some_and(|len| len <= LARGEST_UNIT)
            });
            mapped.unit = Some(unit.ok_or(mapped.damaged("a stream is compressed in units that cannot be"))?);
        }
        mapped.append(first, boot)?;
        Ok(mapped)
    }

    /// Goes on with the next piece.
    pub(super) fn append(&mut self, attribute: &Attribute, boot: &Boot) -> Result<(), Error> {
        let damaged = |what| Error::Damaged {
            offset: attribute.offset,
            what,
        };
        let piece = attribute.piece()?;
        if piece.first != self.runs.end() {
            return Err(damaged("a piece of a stream is missing, or is there twice"));
        }
        let limit = i64::MAX as u64 / boot.cluster_size;
        self.runs.append(&piece.pairs, boot.clusters, limit).map_err(damaged)?;
        if piece.end != self.runs.end() {
            return Err(damaged("the runs of a stream are not as long as they say"));
        }
        Ok(())
    }

    /// Whether all of it is there.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.size > self.mapped() {
            return Err(self.damaged("a stream is longer than its runs"));
        }
        Ok(())
    }

    /// The bytes that the runs have room for.
    pub(super) fn mapped(&self) -> u64 {
        self.runs.end() * self.cluster_size
    }

    /// Where the byte `offset` is on the volume, as far as it is anywhere as it is.
    pub(super) fn position(&self, offset: u64) -> u64 {
        match self.place(offset) {
            Some((Place::Data { offset } | Place::Unwritten { offset } | Place::Encoded { offset }, _)) => offset,
            _ => self.described,
        }
    }

    /// The bytes that have been written; the rest is zero.
    pub(super) fn initialized(&self) -> u64 {
        self.initialized
    }

    /// Where the byte `offset` is, and for how many bytes that holds. Ends with the stream, and where the runs do.
    pub(super) fn place(&self, offset: u64) -> Option<(Place, u64)> {
        let left = self.size.checked_sub(offset).filter(|&left| left > 0)?;
        let (on_volume, clusters) = self.runs.at(offset / self.cluster_size)?;
        let inside = offset % self.cluster_size;
        let len = (clusters * self.cluster_size - inside).min(left);
        let plain = on_volume.map(|cluster| cluster * self.cluster_size + inside);
        if offset >= self.initialized {
            let place = match plain {
                Some(offset) if self.unit.is_none() && !self.encrypted => Place::Unwritten { offset },
                _ => Place::Hole,
            };
            return Some((place, len));
        }
        let (place, len) = match (self.unit, plain) {
            (Some(unit), _) => self.place_in_unit(offset, unit)?,
            (None, None) => (Place::Hole, len),
            (None, Some(offset)) if self.encrypted => (Place::Encoded { offset }, len),
            (None, Some(offset)) => (Place::Data { offset }, len),
        };
        Some((place, len.min(left).min(self.initialized - offset)))
    }

    fn place_in_unit(&self, offset: u64, clusters: u64) -> Option<(Place, u64)> {
        let index = offset / self.cluster_size;
        let inside = offset % self.cluster_size;
        let first = index / clusters * clusters;
        let end = first + clusters;
        let (start, len) = self.runs.at(first)?;
        let Some(start) = start else {
            // As many units as the hole covers; where it ends within one, so does that unit.
            let whole = (first + len) / clusters * clusters;
            return Some((Place::Hole, whole.max(end) * self.cluster_size - offset));
        };
        if self.allocated(first, end) < clusters {
            let place = Place::Encoded {
                offset: start * self.cluster_size,
            };
            return Some((place, end * self.cluster_size - offset));
        }
        let (cluster, len) = self.runs.at(index)?;
        let place = Place::Data {
            offset: cluster? * self.cluster_size + inside,
        };
        Some((place, len.min(end - index) * self.cluster_size - inside))
    }

    /// How many clusters from `first` on are not holes, up to the first hole.
    fn allocated(&self, first: u64, end: u64) -> u64 {
        let mut at = first;
        while at < end {
            match self.runs.at(at) {
                Some((Some(_), len)) => at = end.min(at + len),
                _ => break,
            }
        }
        at - first
    }

    /// Fills `buf` from `offset` on; none of it lies behind the end.
    pub(super) fn read(&self, disk: &impl ReadAt, mut offset: u64, mut buf: &mut [u8]) -> Result<(), Error> {
        while !buf.is_empty() {
            let (place, len) = self
                .place(offset)
                .ok_or(self.damaged("a stream ends before what it is to contain"))?;
            let len = len.min(buf.len() as u64);
            let (part, rest) = buf.split_at_mut(len as usize);
            match place {
                Place::Data { offset: from } => source::read(disk, from, part)?,
                Place::Hole | Place::Unwritten { .. } => part.fill(0),
                Place::Encoded { .. } => self.decode(disk, offset, part)?,
            }
            offset += len;
            buf = rest;
        }
        Ok(())
    }

    /// Fills `buf` from a compressed unit, to which all of it belongs.
    fn decode(&self, disk: &impl ReadAt, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        let Some(unit) = self.unit else {
            return Err(self.damaged("an encrypted stream cannot be read"));
        };
        let len = unit * self.cluster_size;
        let start = offset / len * len;
        let mut decoded = self.decoded.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = match &mut *decoded {
            Some((at, bytes)) if *at == start => bytes,
            other => {
                let encoded = self.encoded(disk, start / self.cluster_size, unit)?;
                let bytes = compression::decode(&encoded, len as usize)
                    .ok_or(self.damaged("a compressed unit of a stream cannot be decoded"))?;
                &mut other.insert((start, bytes)).1
            }
        };
        let from = (offset - start) as usize;
        buf.copy_from_slice(&bytes[from..from + buf.len()]);
        Ok(())
    }

    /// The encoded form of the unit that starts at the cluster `first`.
    fn encoded(&self, disk: &impl ReadAt, first: u64, unit: u64) -> Result<Vec<u8>, Error> {
        let count = self.allocated(first, first + unit);
        let mut encoded = vec![0; (count * self.cluster_size) as usize];
        let mut at = first;
        let mut rest = encoded.as_mut_slice();
        while let Some((Some(cluster), len)) = self.runs.at(at).filter(|_| !rest.is_empty()) {
            let len = len.min(first + count - at);
            let (part, behind) = rest.split_at_mut((len * self.cluster_size) as usize);
            source::read(disk, cluster * self.cluster_size, part)?;
            at += len;
            rest = behind;
        }
        Ok(encoded)
    }

    fn damaged(&self, what: &'static str) -> Error {
        Error::Damaged {
            offset: self.described,
            what,
        }
    }
}

impl Attribute {
    fn piece(&self) -> Result<&Piece, Error> {
        match &self.body {
            Body::Piece(piece) => Ok(piece),
            Body::Resident(_) => Err(Error::Damaged {
                offset: self.offset,
                what: "a stream is both in its record and in clusters",
            }),
        }
    }
}
