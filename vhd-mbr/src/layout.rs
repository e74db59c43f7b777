//! Where the bytes of a file are on its volume, and what speaks against changing them there.

use std::fmt;
use std::ops::Range;

/// Where a file's bytes are.
///
/// Every reader of a file system in this crate answers with this, whatever its own structures are called: runs, extents,
/// clusters or blocks.
///
/// ```
/// use vhd_mbr::layout::{Extent, Layout, Place};
///
/// let layout = Layout::new(1500, vec![
///     Extent::new(0..1000, Place::Data { offset: 40960 }),
///     Extent::new(1000..1500, Place::Hole),
/// ]);
/// assert_eq!(layout.on_volume(990..1000), Some(vec![41950..41960]));
/// assert_eq!(layout.on_volume(990..1001), None, "a hole has no bytes to change");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Layout {
    /// The file's length in bytes.
    pub size: u64,
    /// Its parts in order, without gap or overlap, from byte 0 up to `size`.
    pub extents: Vec<Extent>,
    /// Why the bytes must not be changed where they are. Empty where nothing speaks against it.
    pub obstacles: Vec<Obstacle>,
}

/// A part of a file that lies in one piece.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extent {
    /// Which bytes of the file.
    pub file: Range<u64>,
    /// Where they are.
    pub place: Place,
}

/// Where a part of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// On the volume, byte for byte.
    Data {
        /// Where it starts, in bytes from the volume's start.
        offset: u64,
    },
    /// Nowhere: it reads as zeros.
    Hole,
    /// On the volume, but not written yet: it reads as zeros whatever is there.
    Unwritten {
        /// Where it starts, in bytes from the volume's start.
        offset: u64,
    },
    /// On the volume in another form, compressed or encrypted.
    Encoded {
        /// Where its encoded form starts, in bytes from the volume's start.
        offset: u64,
    },
}

/// Why the bytes of a file must not be changed where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Obstacle {
    /// The file is compressed by its file system.
    Compressed,
    /// The file is encrypted by its file system.
    Encrypted,
    /// The file is compressed by Windows' overlay filter (WOF), as system files of a compact installation are.
    SystemCompressed,
    /// The file is a reparse point of another kind: what it stands for is elsewhere.
    ReparsePoint {
        /// Its tag.
        tag: u32,
    },
    /// The file's content is in its inode, whose checksum would have to change with it.
    Inline,
    /// The file's content is in a record of which NTFS keeps a copy, which would have to change with it.
    Mirrored,
    /// The file is protected by a hash tree (fs-verity).
    Verity,
    /// Blocks of the file are shared with other files or snapshots.
    Shared,
    /// The file system keeps checksums of data and never writes in place.
    CopyOnWrite,
    /// The journal has changes that the next mount will write, maybe over these bytes.
    JournalNotEmpty,
    /// The volume was not unmounted.
    NotUnmounted,
    /// Windows was stopped without shutting the volume down: its next start checks the volume, and writes what its log
    /// says, which is of names, sizes and places and not of what is in files. A [risk](Self::is_risk).
    Unclean,
    /// The volume is one of several copies that a Linux RAID keeps: the others would not change.
    RaidMember,
    /// Windows is hibernated or was shut down the fast way: it goes on from its memory, not from the volume.
    Hibernated,
    /// The file is one of the file system's own.
    SystemFile,
    /// The file system is of a kind that is never changed.
    ReadOnly,
}

impl Layout {
    /// A file of `size` bytes in these parts, against which nothing speaks.
    pub fn new(size: u64, extents: Vec<Extent>) -> Self {
        Self {
            size,
            extents,
            obstacles: Vec::new(),
        }
    }

    /// Where these bytes of the file are on the volume, in the file's order; none where any of them is not there byte for
    /// byte.
    pub fn on_volume(&self, bytes: Range<u64>) -> Option<Vec<Range<u64>>> {
        let mut found = Vec::new();
        let mut at = bytes.start;
        let first = self.extents.partition_point(|extent| extent.file.end <= at);
        for extent in &self.extents[first..] {
            if at >= bytes.end {
                break;
            }
            let Place::Data { offset } = extent.place else {
                return None;
            };
            let end = extent.file.end.min(bytes.end);
            let from = offset + at.checked_sub(extent.file.start)?;
            found.push(from..from + (end - at));
            at = end;
        }
        (at >= bytes.end).then_some(found)
    }
}

impl Extent {
    /// These bytes of the file at this place.
    pub fn new(file: Range<u64>, place: Place) -> Self {
        Self { file, place }
    }
}

impl Obstacle {
    /// Whether somebody who knows what the volume was used for may take it upon himself, by taking it out of a
    /// [layout](Layout::obstacles): the change may be lost or refused by the next check, but damages nothing else.
    pub fn is_risk(self) -> bool {
        matches!(self, Self::Unclean)
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compressed => "the file is compressed",
            Self::Encrypted => "the file is encrypted",
            Self::SystemCompressed => "the file is compressed by Windows (WOF)",
            Self::ReparsePoint { tag } => return write!(f, "the file is a reparse point (tag {tag:#010x})"),
            Self::Inline => "the file's content is in its inode",
            Self::Mirrored => "the file's content is in a record that the volume keeps twice",
            Self::Verity => "the file is protected by fs-verity",
            Self::Shared => "blocks of the file are shared with other files",
            Self::CopyOnWrite => "the file system keeps checksums of data",
            Self::JournalNotEmpty => "the journal has changes that are not written yet",
            Self::NotUnmounted => "the volume was not unmounted",
            Self::Unclean => "Windows was stopped without shutting the volume down",
            Self::RaidMember => "the volume is a member of a Linux RAID, whose other members would not change",
            Self::Hibernated => "Windows is hibernated",
            Self::SystemFile => "the file is one of the file system's own",
            Self::ReadOnly => "this kind of file system is never changed",
        })
    }
}
