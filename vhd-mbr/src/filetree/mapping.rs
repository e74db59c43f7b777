use std::ops::Range;

use super::{ReadError, Source};
use crate::layout::{Extent, Layout, Place};

/// Pieces a file may consist of: more than any disk in use, and no more memory than a reader can spare.
const MAX_PIECES: usize = 1 << 21;

/// A part of a file that lies in one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Which bytes of the file.
    pub(crate) file: Range<u64>,
    /// Where they are on the volume.
    pub(crate) offset: u64,
    /// Whether they have been written; if not, they read as zeros.
    pub(crate) written: bool,
}

/// Where the parts of a file are, in the file's order. What lies between them is a hole.
#[derive(Debug, Default)]
pub(crate) struct Mapping(Vec<Piece>);

/// Why a piece cannot be part of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Misplaced {
    /// It does not begin behind the piece before.
    OutOfOrder,
    /// It is where another one is.
    Twice,
    /// There are too many.
    TooMany,
}

impl Misplaced {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::OutOfOrder => "parts of a file overlap or are out of order",
            Self::Twice => "two parts of a file are at the same place",
            Self::TooMany => "a file consists of more than 2097152 parts",
        }
    }
}

impl Mapping {
    /// Adds a piece behind all others.
    pub(crate) fn push(&mut self, piece: Piece) -> Result<(), Misplaced> {
        if piece.file.is_empty() {
            return Ok(());
        }
        if let Some(last) = self.0.last_mut() {
            if piece.file.start < last.file.end {
                return Err(Misplaced::OutOfOrder);
            }
            let follows = last.file.end == piece.file.start && last.written == piece.written;
            if follows && last.offset + (last.file.end - last.file.start) == piece.offset {
                last.file.end = piece.file.end;
                return Ok(());
            }
        }
        if self.0.len() == MAX_PIECES {
            return Err(Misplaced::TooMany);
        }
        self.0.push(piece);
        Ok(())
    }

    /// The layout of a file of `size` bytes; `place` says what a written piece's offset means.
    pub(crate) fn layout(&self, size: u64, place: fn(u64) -> Place) -> Result<Layout, Misplaced> {
        self.check_places()?;
        let mut extents = Vec::with_capacity(self.0.len());
        let mut at = 0;
        for piece in self.0.iter().take_while(|piece| piece.file.start < size) {
            if at < piece.file.start {
                extents.push(Extent::new(at..piece.file.start, Place::Hole));
            }
            at = piece.file.end.min(size);
            let offset = piece.offset;
            let found = if piece.written {
                place(offset)
            } else {
                Place::Unwritten { offset }
            };
            extents.push(Extent::new(piece.file.start..at, found));
        }
        if at < size {
            extents.push(Extent::new(at..size, Place::Hole));
        }
        Ok(Layout::new(size, extents))
    }

    fn check_places(&self) -> Result<(), Misplaced> {
        let place = |piece: &Piece| (piece.offset, piece.offset + (piece.file.end - piece.file.start));
        let mut places: Vec<_> = self.0.iter().map(place).collect();
        places.sort_unstable();
        match places.windows(2).any(|pair| pair[0].1 > pair[1].0) {
            true => Err(Misplaced::Twice),
            false => Ok(()),
        }
    }

    /// The first byte behind `from` that is in a piece.
    pub(crate) fn next(&self, from: u64) -> Option<u64> {
        let first = self.0.partition_point(|piece| piece.file.end <= from);
        self.0.get(first).map(|piece| piece.file.start.max(from))
    }

    /// The `len` bytes of the file from `at` on, zeros where nothing is written.
    pub(crate) fn read(&self, source: &Source<'_>, at: u64, len: usize) -> Result<Vec<u8>, ReadError> {
        let end = at.saturating_add(len as u64);
        let mut bytes = vec![0; len];
        let first = self.0.partition_point(|piece| piece.file.end <= at);
        for piece in self.0[first..].iter().take_while(|piece| piece.file.start < end) {
            if !piece.written {
                continue;
            }
            let (from, to) = (piece.file.start.max(at), piece.file.end.min(end));
            let found = source.read(piece.offset + (from - piece.file.start), (to - from) as usize)?;
            bytes[(from - at) as usize..(to - at) as usize].copy_from_slice(&found);
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(file: Range<u64>, offset: u64, written: bool) -> Piece {
        Piece { file, offset, written }
    }

    #[test]
    fn neighbours_become_one_and_gaps_are_holes() {
        let mut mapping = Mapping::default();
        for piece in [
            piece(4..8, 104, true),
            piece(8..12, 108, true),
            piece(12..16, 112, false),
            piece(20..40, 50, true),
        ] {
            mapping.push(piece).unwrap();
        }
        assert!(matches!(
            mapping.push(piece(39..41, 0, true)),
            Err(Misplaced::OutOfOrder)
        ));
        let data = |offset| Place::Data { offset };
        assert_eq!(
            mapping.layout(30, data).unwrap().extents,
            [
                Extent::new(0..4, Place::Hole),
                Extent::new(4..12, data(104)),
                Extent::new(12..16, Place::Unwritten { offset: 112 }),
                Extent::new(16..20, Place::Hole),
                Extent::new(20..30, data(50)),
            ]
        );
        assert_eq!(
            mapping.layout(4, data).unwrap().extents,
            [Extent::new(0..4, Place::Hole)]
        );
        assert_eq!(mapping.layout(0, data).unwrap().extents, []);
    }

    #[test]
    fn no_place_is_used_twice() {
        let mut mapping = Mapping::default();
        mapping.push(piece(0..4, 100, true)).unwrap();
        mapping.push(piece(4..8, 97, true)).unwrap();
        assert!(matches!(
            mapping.layout(8, |offset| Place::Data { offset }),
            Err(Misplaced::Twice)
        ));
    }

    #[test]
    fn what_is_not_written_reads_as_zeros() {
        let mut mapping = Mapping::default();
        mapping.push(piece(2..4, 0, true)).unwrap();
        mapping.push(piece(4..6, 2, false)).unwrap();
        mapping.push(piece(7..9, 4, true)).unwrap();
        let disk = [1, 2, 3, 4, 5, 6];
        let source = Source::new(&disk).unwrap();
        assert_eq!(mapping.read(&source, 1, 7).unwrap(), [0, 1, 2, 0, 0, 0, 5]);
        assert_eq!(mapping.next(0), Some(2));
        assert_eq!(mapping.next(6), Some(7));
        assert_eq!(mapping.next(9), None);
    }
}
