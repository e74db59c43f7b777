use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Range;

use xen_disk::ReadAt;

use super::Error;
use super::metadata::{Areas, Metadata, Segment};

/// Logical volumes stand on others no more often.
const DEEPEST: usize = 8;
/// As many pieces as descriptions have room for.
const MOST_PIECES: usize = 1 << 20;

/// Where the bytes of a logical volume are.
pub(super) struct Map {
    pieces: Vec<Piece>,
    size: u64,
    /// Why they are not changed there.
    not_in_place: Option<&'static str>,
}

struct Piece {
    /// The end of the piece in the logical volume; it starts where the one before ends.
    end: u64,
    /// The physical volumes by id, and where on each the piece starts.
    columns: Vec<(String, u64)>,
    /// How many bytes are on a column before the next one's turn; unused where there is one.
    stripe: u64,
}

/// A part of a logical volume, as it is on a physical one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PhysicalRange {
    /// Which of the physical volumes that were given to [`VolumeGroup::find`](super::VolumeGroup::find), from 0 on.
    pub disk: usize,
    /// Its bytes there.
    pub bytes: Range<u64>,
}

impl Map {
    pub(super) fn of<D: ReadAt>(
        metadata: &Metadata,
        disks: &BTreeMap<String, (usize, D)>,
        name: &str,
    ) -> Result<Self, Error> {
        if metadata.snapshots.contains(name) {
            return Err(unsupported(name, "snapshot"));
        }
        let mut map = Self {
            pieces: Vec::new(),
            size: 0,
            not_in_place: None,
        };
        if metadata.origins.contains(name) {
            map.not_in_place = Some("there are snapshots of it, which would change with it");
        }
        let extents = metadata.logical.get(name).map_or(0, |volume| volume.len);
        Builder {
            metadata,
            disks,
            name,
            map: &mut map,
            steps: 0,
        }
        .add(name, 0..extents, 0)?;
        Ok(map)
    }

    /// The pieces that these bytes of the logical volume are in: the physical volume, the place there and the length.
    fn ranges(&self, bytes: Range<u64>) -> impl Iterator<Item = (&str, Range<u64>)> {
        let mut at = bytes.start;
        std::iter::from_fn(move || {
            if at >= bytes.end {
                return None;
            }
            let index = self.pieces.partition_point(|piece| piece.end <= at);
            let piece = self.pieces.get(index)?;
            let start = index.checked_sub(1).map_or(0, |before| self.pieces[before].end);
            let inside = at - start;
            let (column, place, left) = match piece.columns.len() as u64 {
                1 => (0, inside, piece.end - at),
                columns => {
                    let (turn, rest) = (inside / piece.stripe, inside % piece.stripe);
                    let place = turn / columns * piece.stripe + rest;
                    (turn % columns, place, piece.stripe - rest)
                }
            };
            let count = left.min(bytes.end - at).min(piece.end - at);
            at += count;
            let (id, offset) = &piece.columns[column as usize];
            Some((&**id, offset + place..offset + place + count))
        })
    }
}

struct Builder<'a, D> {
    metadata: &'a Metadata,
    disks: &'a BTreeMap<String, (usize, D)>,
    /// The logical volume that is asked for.
    name: &'a str,
    map: &'a mut Map,
    steps: usize,
}

impl<D: ReadAt> Builder<'_, D> {
    /// Appends these extents of a logical volume.
    fn add(&mut self, volume: &str, extents: Range<u64>, depth: usize) -> Result<(), Error> {
        if depth > DEEPEST {
            return Err(Error::missing("logical volumes stand on one another in a circle"));
        }
        let metadata = self.metadata;
        let found = metadata.logical.get(volume).filter(|found| extents.end <= found.len);
        let found = found.ok_or_else(|| Error::missing(format!("there is no {volume} of the size that is needed")))?;
        let end = |segment: &Segment| segment.start + segment.len;
        let first = found.segments.partition_point(|segment| end(segment) <= extents.start);
        for segment in found.segments[first..]
            .iter()
            .take_while(|segment| segment.start < extents.end)
        {
            let (from, to) = (segment.start.max(extents.start), end(segment).min(extents.end));
            self.segment(segment, from - segment.start..to - segment.start, depth)?;
        }
        Ok(())
    }

    fn segment(&mut self, segment: &Segment, extents: Range<u64>, depth: usize) -> Result<(), Error> {
        self.steps += 1;
        if self.steps > MOST_PIECES {
            return Err(Error::missing(format!("{} consists of too many parts", self.name)));
        }
        match &segment.areas {
            Areas::Stripes(stripes, _) if stripes.len() == 1 => self.area(&stripes[0], extents, depth),
            Areas::Stripes(stripes, stripe) if !stripes.is_empty() => self.stripes(segment, stripes, *stripe, extents),
            Areas::Mirrors(legs) if !legs.is_empty() => {
                self.map.not_in_place = Some("it is mirrored, and its legs must stay the same");
                let (pieces, size) = (self.map.pieces.len(), self.map.size);
                let mut outcome = Ok(());
                for leg in legs {
                    outcome = self.area(leg, extents.clone(), depth);
                    if !matches!(outcome, Err(Error::Missing { .. })) {
                        break;
                    }
                    self.map.pieces.truncate(pieces);
                    self.map.size = size;
                }
                outcome
            }
            _ => Err(unsupported(self.name, &segment.kind)),
        }
    }

    /// Appends a part of an area, which is on a physical volume or on a logical one.
    fn area(&mut self, (name, first): &(String, u64), extents: Range<u64>, depth: usize) -> Result<(), Error> {
        let start = first.checked_add(extents.start);
        let end = first.checked_add(extents.end);
        let (Some(start), Some(end)) = (start, end) else {
            return Err(Error::missing("an extent has a number that none can have"));
        };
        if !self.metadata.physical.contains_key(name) {
            return self.add(name, start..end, depth + 1);
        }
        let column = self.column(name, start, end - start)?;
        self.push(vec![column], end - start, 0)
    }

    fn stripes(
        &mut self,
        segment: &Segment,
        stripes: &[(String, u64)],
        stripe: u64,
        extents: Range<u64>,
    ) -> Result<(), Error> {
        let count = stripes.len() as u64;
        let is_right = stripe > 0
            && self.metadata.extent_size.is_multiple_of(stripe)
            && segment.len.is_multiple_of(count)
            // A part of a striped volume is not the same as a volume of parts.
            && extents == (0..segment.len);
        if !is_right {
            return Err(unsupported(self.name, "striped"));
        }
        let columns = stripes
            .iter()
            .map(|(name, first)| self.column(name, *first, segment.len / count));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        self.push(columns, segment.len, stripe)
    }

    /// Where so many extents from one on are on a physical volume.
    fn column(&self, name: &str, first: u64, count: u64) -> Result<(String, u64), Error> {
        let Some(physical) = self.metadata.physical.get(name) else {
            return Err(unsupported(self.name, "striped"));
        };
        let Some((_, disk)) = self.disks.get(&physical.id) else {
            return Err(Error::Missing {
                name: self.name.to_owned(),
                id: physical.id.clone(),
            });
        };
        let size = self.metadata.extent_size;
        let end = first.checked_add(count).filter(|&end| end <= physical.extents);
        let end = end.and_then(|end| end.checked_mul(size)?.checked_add(physical.start));
        let available = disk.size().map_err(crate::filetree::ReadError::Size)?;
        if end.is_none_or(|end| end > available) {
            return Err(Error::missing(format!(
                "{} is partly behind the end of its physical volume {name}",
                self.name
            )));
        }
        Ok((physical.id.clone(), physical.start + first * size))
    }

    fn push(&mut self, columns: Vec<(String, u64)>, extents: u64, stripe: u64) -> Result<(), Error> {
        let len = extents.checked_mul(self.metadata.extent_size);
        let end = len.and_then(|len| self.map.size.checked_add(len));
        let end = end.ok_or_else(|| Error::missing(format!("{} is larger than any", self.name)))?;
        self.map.size = end;
        self.map.pieces.push(Piece { end, columns, stripe });
        Ok(())
    }
}

fn unsupported(name: &str, kind: &str) -> Error {
    Error::Unsupported {
        name: name.to_owned(),
        kind: kind.to_owned(),
        advice: match kind {
            "snapshot" => "read the volume that it is of, or merge it in the VM",
            _ => "read it inside the VM, or activate the group on a Linux host and read the mapped device",
        },
    }
}

/// A logical volume, read through [`ReadAt`].
pub struct LogicalVolume<D> {
    name: String,
    disks: BTreeMap<String, (usize, D)>,
    map: Map,
}

impl<D: ReadAt> LogicalVolume<D> {
    pub(super) fn new(name: &str, disks: BTreeMap<String, (usize, D)>, map: Map) -> Self {
        Self {
            name: name.to_owned(),
            disks,
            map,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its size in bytes.
    pub fn len(&self) -> u64 {
        self.map.size
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.map.size == 0
    }

    /// Where these bytes are on the physical volumes, in the order of the logical one, to be changed there.
    ///
    /// # Errors
    /// [`Error::NotInPlace`] where they must not be changed: of mirrors and of what has snapshots; [`Error::BeyondEnd`].
    pub fn on_disk(&self, bytes: Range<u64>) -> Result<Vec<PhysicalRange>, Error> {
        if let Some(why) = self.map.not_in_place {
            let name = self.name.clone();
            return Err(Error::NotInPlace { name, why });
        }
        if bytes.end > self.map.size {
            return Err(Error::BeyondEnd {
                name: self.name.clone(),
                size: self.map.size,
                end: bytes.end,
            });
        }
        let mut found: Vec<PhysicalRange> = Vec::new();
        for (id, bytes) in self.map.ranges(bytes) {
            let disk = self.disks.get(id).map_or(0, |(index, _)| *index);
            match found.last_mut() {
                Some(last) if last.disk == disk && last.bytes.end == bytes.start => last.bytes.end = bytes.end,
                _ => found.push(PhysicalRange { disk, bytes }),
            }
        }
        Ok(found)
    }
}

impl<D: ReadAt> ReadAt for LogicalVolume<D> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64).filter(|&end| end <= self.map.size);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut rest = buf;
        for (id, bytes) in self.map.ranges(offset..end) {
            let (part, behind) = rest.split_at_mut((bytes.end - bytes.start) as usize);
            let (_, disk) = self.disks.get(id).ok_or(io::ErrorKind::NotFound)?;
            disk.read_exact_at(bytes.start, part)?;
            rest = behind;
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.map.size)
    }
}

impl<D> fmt::Debug for LogicalVolume<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogicalVolume")
            .field("name", &self.name)
            .field("size", &self.map.size)
            .finish_non_exhaustive()
    }
}
