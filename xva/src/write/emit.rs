//! Makes the bytes of an archive, piece by piece.

use std::io::{self, Read};

use twox_hash::XxHash64;
use xen_disk::ReadAt;

use super::blocks::{Comparison, Differs};
use super::plan::PlannedDisk;
use super::scan::Scan;
use super::{BLOCK, Plan, WriteError};
use crate::checksum::Algorithm;
use crate::tar::{self, compose};

/// A place in an archive, between two pieces.
#[derive(Debug, Default)]
pub(super) struct Emitter {
    stage: Stage,
    /// The piece given out last; its allocation is reused.
    piece: Vec<u8>,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Metadata,
    Disk {
        disk: usize,
        scan: Scan,
        comparison: Comparison,
    },
    End,
    Over,
    Failed,
}

impl Emitter {
    /// The next piece: the metadata, a block with its checksum, or the end. `None` where the archive is over.
    pub(super) fn next<S: ReadAt>(&mut self, plan: &Plan<S>) -> Result<Option<&[u8]>, WriteError> {
        self.piece.clear();
        let made = self.make(plan);
        if made.is_err() {
            // Half a piece must not get out.
            self.piece.clear();
        }
        Ok(made?.then_some(&self.piece))
    }

    /// Makes the next piece; `false` where the archive is over.
    fn make<S: ReadAt>(&mut self, plan: &Plan<S>) -> Result<bool, WriteError> {
        while self.piece.is_empty() {
            match std::mem::replace(&mut self.stage, Stage::Failed) {
                Stage::Metadata => {
                    self.entry("ova.xml", plan.xml.as_bytes(), plan.mtime)?;
                    self.stage = start_of(plan, 0);
                }
                Stage::Disk {
                    disk,
                    mut scan,
                    mut comparison,
                } => {
                    let planned = &plan.disks[disk];
                    self.stage = match comparison.expected(&planned.blocks) {
                        Some(number) => {
                            self.block(planned, number, &mut scan, &mut comparison, plan.algorithm)?;
                            Stage::Disk { disk, scan, comparison }
                        }
                        None => start_of(plan, disk + 1),
                    };
                }
                Stage::End => {
                    self.stage = Stage::Over;
                    if plan.end_blocks {
                        self.piece.resize(2 * tar::BLOCK, 0);
                    }
                }
                Stage::Over => {
                    self.stage = Stage::Over;
                    return Ok(false);
                }
                Stage::Failed => return Err(WriteError::AlreadyFailed),
            }
        }
        Ok(true)
    }

    fn block<S: ReadAt>(
        &mut self,
        disk: &PlannedDisk<S>,
        expected: u64,
        scan: &mut Scan,
        comparison: &mut Comparison,
        algorithm: Algorithm,
    ) -> Result<(), WriteError> {
        let changed = |offset| WriteError::Changed {
            disk: disk.label.clone(),
            offset,
        };
        if expected == 0 {
            let size = disk.image.source.size();
            let size = size.map_err(|source| WriteError::Read {
                disk: disk.label.clone(),
                offset: 0,
                source,
            })?;
            if size != disk.image.source_size {
                return Err(changed(size.min(disk.image.source_size)));
            }
        }
        self.piece.resize(tar::BLOCK + BLOCK, 0);
        let found = scan
            .next(&disk.image, &mut self.piece[tar::BLOCK..])
            .map_err(|failed| disk.read_failed(failed))?;
        self.piece.truncate(tar::BLOCK + disk.image.block_len(expected));
        let data = &self.piece[tar::BLOCK..];
        let hash = XxHash64::oneshot(0, data);
        comparison
            .found(&disk.blocks, expected, found, hash)
            .map_err(|Differs(offset)| changed(offset))?;
        let checksum = match algorithm {
            Algorithm::Xxh64 => format!("{:016X}", hash),
            Algorithm::Sha1 => Algorithm::Sha1.digest(data).to_string(),
        };
        let name = format!("{}/{:08}", disk.id, expected);
        let header = header(&name, data.len() as u64, 0)?;
        self.piece[..tar::BLOCK].copy_from_slice(&header);
        self.entry(&format!("{name}.{}", suffix(algorithm)), checksum.as_bytes(), 0)
    }

    fn entry(&mut self, name: &str, content: &[u8], mtime: u64) -> Result<(), WriteError> {
        self.piece.extend(header(name, content.len() as u64, mtime)?);
        self.piece.extend(content);
        self.piece.resize(self.piece.len().next_multiple_of(tar::BLOCK), 0);
        Ok(())
    }
}

fn start_of<S>(plan: &Plan<S>, disk: usize) -> Stage {
    match plan.disks.get(disk) {
        Some(_) => Stage::Disk {
            disk,
            scan: Scan::default(),
            comparison: Comparison::default(),
        },
        None => Stage::End,
    }
}

/// Names and lengths were checked by the plan.
fn header(name: &str, size: u64, mtime: u64) -> Result<[u8; tar::BLOCK], WriteError> {
    compose(name, size, mtime).ok_or(WriteError::MetadataTooLong { size })
}

fn suffix(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Xxh64 => "xxhash",
        Algorithm::Sha1 => "checksum",
    }
}

/// An archive that is made as it is read: the body of an upload whose length is known beforehand.
///
/// Errors of the disks come wrapped: [`io::Error::get_ref`] gives the [`WriteError`].
///
/// ```
/// use std::io::Read;
/// use xva::write::{DiskSpec, VmSpec, Writer};
///
/// let vm = VmSpec::new("web").disk(DiskSpec::new("system", vec![7; 3 << 20]));
/// let mut archive = Writer::new(vm).plan()?.into_reader();
/// let length = archive.remaining();
/// let mut body = Vec::new();
/// archive.read_to_end(&mut body)?;
/// assert_eq!(body.len() as u64, length);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PlanReader<S> {
    plan: Plan<S>,
    emitter: Emitter,
    /// How much of the piece at hand was read.
    start: usize,
    position: u64,
}

impl<S: ReadAt> PlanReader<S> {
    pub(super) fn new(plan: Plan<S>) -> Self {
        Self {
            plan,
            emitter: Emitter::default(),
            start: 0,
            position: 0,
        }
    }

    /// How many bytes of the archive are still to be read.
    pub fn remaining(&self) -> u64 {
        self.plan.size().saturating_sub(self.position)
    }

    /// Gives the plan back, so that the archive can be read again from its start.
    pub fn into_plan(self) -> Plan<S> {
        self.plan
    }
}

impl<S: ReadAt> Read for PlanReader<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.start == self.emitter.piece.len() {
            self.start = 0;
            self.emitter.next(&self.plan)?;
        }
        let piece = &self.emitter.piece[self.start..];
        let n = piece.len().min(buffer.len());
        buffer[..n].copy_from_slice(&piece[..n]);
        self.start += n;
        self.position += n as u64;
        Ok(n)
    }
}
