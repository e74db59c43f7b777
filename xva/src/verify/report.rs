//! What a check gives.

use super::{Finding, Severity};
use crate::Compression;
use crate::inspect::Track;

/// What an archive holds and what is wrong with it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Report {
    /// How the archive is compressed.
    pub compression: Option<Compression>,
    /// Bytes of the archive after decompression.
    pub bytes: u64,
    /// Bytes of the archive as it is stored.
    pub stored: u64,
    /// Whether the archive holds metadata alone.
    pub metadata_only: bool,
    /// Whether the two zero blocks that close a tar archive are there.
    pub end_blocks: bool,
    /// The disks, in the order of the archive.
    pub disks: Vec<DiskCheck>,
    /// What is wrong, in the order of the archive.
    pub findings: Vec<Finding>,
    /// Findings beyond those that are kept.
    pub findings_left_out: u64,
    pub(crate) damage: u64,
    pub(crate) obstacles: u64,
}

impl Report {
    /// Whether nothing is damaged or missing: no finding is [`Severity::Damage`].
    ///
    /// Where blocks have no checksum this says less: see [`DiskCheck::unverified`].
    pub fn is_sound(&self) -> bool {
        self.damage == 0
    }

    /// Whether xapi would import the archive, and import what it holds; [`Report::obstacles`] tells why not.
    ///
    /// This goes by how xapi 26 reads archives. It does not tell whether a certain pool has the room, the networks or
    /// a version new enough ([`Version`](crate::ova::Version)) for the machine.
    pub fn would_import(&self) -> bool {
        self.obstacles == 0
    }

    /// The findings for which xapi would refuse the archive.
    pub fn obstacles(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.prevents_import())
    }
}

/// What an archive holds of one disk.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskCheck {
    /// The disk's folder, such as `Ref:12`.
    pub id: String,
    /// The disk's length in bytes, where the metadata gives one.
    pub virtual_size: Option<u64>,
    /// How much of the disk the archive covers, in bytes.
    pub end: u64,
    /// Blocks with data.
    pub blocks: u64,
    /// Bytes in them.
    pub data: u64,
    /// Blocks of zeros that were left out.
    pub zero_blocks: u64,
    /// Empty entries, which only kept the export's connection alive.
    pub heartbeats: u64,
    /// Checksums of XXH64.
    pub xxh64: u64,
    /// Checksums of SHA-1, those of a table at the end not counted.
    pub sha1: u64,
    /// Blocks and heartbeats that are as their checksum says.
    pub verified: u64,
    /// Blocks and heartbeats that differ.
    pub damaged: u64,
    /// Blocks and heartbeats of which nothing is known.
    pub unverified: u64,
}

impl DiskCheck {
    pub(super) fn new(track: &Track, verified: u64, damaged: u64) -> Self {
        Self {
            id: track.id.clone(),
            virtual_size: track.virtual_size,
            end: track.end,
            blocks: track.blocks,
            data: track.data,
            zero_blocks: track.left_out,
            heartbeats: track.heartbeats,
            xxh64: track.xxh64,
            sha1: track.sha1,
            verified,
            damaged,
            unverified: (track.blocks + track.heartbeats).saturating_sub(verified + damaged),
        }
    }
}

/// Findings up to a limit.
#[derive(Debug)]
pub(crate) struct Findings {
    limit: usize,
    pub(crate) list: Vec<Finding>,
    pub(crate) left_out: u64,
    pub(crate) damage: u64,
    pub(crate) obstacles: u64,
}

impl Findings {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            list: Vec::new(),
            left_out: 0,
            damage: 0,
            obstacles: 0,
        }
    }

    pub(crate) fn add(&mut self, finding: Finding) {
        self.damage += u64::from(finding.severity() == Severity::Damage);
        self.obstacles += u64::from(finding.prevents_import());
        if self.list.len() < self.limit {
            self.list.push(finding);
        } else {
            self.left_out += 1;
        }
    }

    /// Puts the findings into the order of the archive.
    pub(crate) fn sorted(mut self) -> Self {
        self.list.sort_by_key(|finding| finding.place().archive.start);
        self
    }
}
