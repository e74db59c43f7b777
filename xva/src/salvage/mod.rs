//! Saves what can be saved of a damaged archive, and tells what of it can be relied on.
//!
//! [`Salvager`] reads on after anything: a damaged header, numbers that begin anew, disks that come back, blocks that
//! differ from their checksum, an end in the middle. What it writes comes with a map of every disk: which ranges are
//! as they were exported, which are in doubt and why, and which are unknown.
//!
//! ```no_run
//! use xva::salvage::{Salvager, Trust};
//!
//! let source = std::fs::File::open("damaged.xva")?;
//! let report = Salvager::new().run_into(source, |disk| {
//!     std::fs::File::create(format!("{}.raw", disk.id)).map(Some)
//! })?;
//! for disk in &report.disks {
//!     for extent in disk.extents.iter().filter(|extent| extent.trust != Trust::Trusted) {
//!         println!("{} {:?}: {:?}", disk.id, extent.range, extent.trust);
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What trusted means
//! A block is trusted where its checksum holds and its place is certain. The numbers of blocks count entries, and some
//! entries cover nothing, so a place is certain only as long as no entry before it was lost. After a loss blocks are
//! written where they most likely belong and are [`Doubt::Place`]; where the disk then ends exactly at its size, the
//! doubt is gone, for every lost entry without data would have moved its end.
//!
//! A damaged header of a single entry is no loss where the checksum confirms what was behind it.
//!
//! One thing no reader can tell: blocks of zeros are left out of archives, so a block that was taken out cleanly together
//! with its checksum reads as trusted zeros. An empty entry taken out like that moves what follows, which shows at the
//! disk's end, and only there.

mod images;
mod map;
mod rescue;

use std::fmt;
use std::io::{self, Read, Seek, Write};

pub use map::{Doubt, Extent, Trust};

use crate::ova::Ova;
use crate::verify::Finding;
use crate::{Error, Options, Result};

/// As many findings are kept unless said otherwise.
const FINDINGS_LIMIT: usize = 10_000;

/// No disk is larger unless said otherwise: 64 TiB.
const SIZE_LIMIT: u64 = 1 << 46;

/// A disk that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskStart<'a> {
    /// The disk's folder, such as `Ref:12`.
    pub id: &'a str,
    /// The disk's length in bytes, where the metadata gives one.
    pub virtual_size: Option<u64>,
}

/// Bytes of a disk that were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Piece<'a> {
    /// The disk's folder, such as `Ref:12`.
    pub disk: &'a str,
    /// The disk's length in bytes, where the metadata gives one.
    pub virtual_size: Option<u64>,
    /// Where they belong. A later piece can lie before an earlier one, or replace it.
    pub offset: u64,
    /// The bytes.
    pub data: &'a [u8],
    /// How far they can be relied on as far as is known now. The report has the last word.
    pub trust: Trust,
}

/// What was saved.
#[derive(Debug)]
#[non_exhaustive]
pub struct Report {
    /// The metadata, where it could be read.
    pub ova: Option<Ova>,
    /// The disks, in the order of the archive.
    pub disks: Vec<SavedDisk>,
    /// What is wrong with the archive, in its order.
    pub findings: Vec<Finding>,
    /// Findings beyond those that are kept.
    pub findings_left_out: u64,
    /// Why the source could not be read to its end.
    pub failure: Option<Error>,
}

impl Report {
    /// Whether every byte of every disk that the archive should hold is trusted. Where neither metadata nor a disk was
    /// found, nobody knows what it should hold, and it is not.
    pub fn is_whole(&self) -> bool {
        let missing = |finding: &Finding| matches!(finding, Finding::DiskMissing { .. });
        let is_something = self.ova.is_some() || !self.disks.is_empty();
        is_something
            && self.findings_left_out == 0
            && self.failure.is_none()
            && !self.findings.iter().any(missing)
            && self.disks.iter().all(SavedDisk::is_whole)
    }
}

/// What was saved of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SavedDisk {
    /// The disk's folder, such as `Ref:12`.
    pub id: String,
    /// The disk's length in bytes, where the metadata gives one.
    pub virtual_size: Option<u64>,
    /// The whole disk, range by range.
    pub extents: Vec<Extent>,
    /// Bytes that were found and have no place: beyond the disk's end, or in doubt where better ones were.
    pub dropped: u64,
}

impl SavedDisk {
    /// Whether every byte is trusted; `false` where the disk's length is unknown.
    pub fn is_whole(&self) -> bool {
        self.virtual_size == Some(self.trusted())
    }

    /// How many bytes are trusted.
    pub fn trusted(&self) -> u64 {
        self.sum(|trust| trust == Trust::Trusted)
    }

    /// How many bytes are in doubt.
    pub fn doubtful(&self) -> u64 {
        self.sum(|trust| matches!(trust, Trust::Doubtful(_)))
    }

    /// How many bytes are unknown.
    pub fn unknown(&self) -> u64 {
        self.sum(|trust| trust == Trust::Unknown)
    }

    fn sum(&self, of: impl Fn(Trust) -> bool) -> u64 {
        let extents = self.extents.iter().filter(|extent| of(extent.trust));
        extents.map(|extent| extent.range.end - extent.range.start).sum()
    }
}

/// What happens to blocks that differ from their checksum or break off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damaged {
    /// They are written and marked as doubtful: most of their bytes may be right.
    #[default]
    Keep,
    /// They are left out and marked as unknown.
    LeaveOut,
}

/// Reads a damaged archive.
pub struct Salvager<'a> {
    options: Options,
    damaged: Damaged,
    size_limit: u64,
    findings_limit: usize,
    progress: Box<dyn FnMut(u64) + 'a>,
}

impl Default for Salvager<'_> {
    fn default() -> Self {
        Self {
            options: Options::default(),
            damaged: Damaged::Keep,
            size_limit: SIZE_LIMIT,
            findings_limit: FINDINGS_LIMIT,
            progress: Box::new(|_| {}),
        }
    }
}

impl fmt::Debug for Salvager<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Salvager")
            .field("options", &self.options)
            .field("damaged", &self.damaged)
            .field("size_limit", &self.size_limit)
            .field("findings_limit", &self.findings_limit)
            .finish_non_exhaustive()
    }
}

impl<'a> Salvager<'a> {
    /// Salvages with the default limits and keeps damaged blocks.
    pub fn new() -> Self {
        Self::default()
    }

    /// The limits on what is held in memory. Whether checksums are computed is not among the choices here.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// What happens to damaged blocks; they are kept unless set.
    #[must_use]
    pub fn damaged(mut self, damaged: Damaged) -> Self {
        self.damaged = damaged;
        self
    }

    /// The largest disk that is believed, in bytes; 64 TiB unless set. A larger size in the metadata counts as none, and
    /// blocks beyond are dropped.
    #[must_use]
    pub fn size_limit(mut self, bytes: u64) -> Self {
        self.size_limit = bytes;
        self
    }

    /// How many findings are kept, 10,000 unless set. The rest are counted.
    #[must_use]
    pub fn findings_limit(mut self, limit: usize) -> Self {
        self.findings_limit = limit;
        self
    }

    /// Calls back with the bytes of the decompressed archive that are done.
    #[must_use]
    pub fn progress(mut self, callback: impl FnMut(u64) + 'a) -> Self {
        self.progress = Box::new(callback);
        self
    }

    /// Hands everything that is found to a callback. What no piece covers at the end is zero.
    ///
    /// ```
    /// # let archive: &[u8] = &[0; 1024];
    /// let report = xva::salvage::Salvager::new().run(archive, |piece| {
    ///     println!("{} bytes at {} of {}", piece.data.len(), piece.offset, piece.disk);
    ///     Ok(())
    /// })?;
    /// assert!(report.disks.is_empty());
    /// # Ok::<(), xva::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Target`] where the callback fails. Whatever is wrong with the archive or its source is in the report.
    pub fn run(self, source: impl Read, piece: impl FnMut(Piece<'_>) -> io::Result<()>) -> Result<Report> {
        rescue::run(source, self, rescue::Pieces(piece))
    }

    /// Writes each disk into a target of its own as a raw image; `open` gives the target, or `None` for disks that are
    /// not wanted. Targets have to be zero where nothing is written, as new files are. They grow to the disk's length.
    ///
    /// # Errors
    /// [`Error::Target`] where a target fails. Whatever is wrong with the archive or its source is in the report.
    pub fn run_into<W: Write + Seek>(
        self,
        source: impl Read,
        open: impl FnMut(DiskStart<'_>) -> io::Result<Option<W>>,
    ) -> Result<Report> {
        rescue::run(source, self, images::Images::new(open))
    }
}
