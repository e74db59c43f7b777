//! Decides what is written and what of it can be relied on.

use std::io::{self, Read};
use std::ops::Range;

use super::map::{Cell, Map};
use super::{Damaged, DiskStart, Doubt, Piece, Report, Salvager, SavedDisk, Trust};
use crate::checksum::{Algorithm, Digest};
use crate::error::{Error, Result};
use crate::inspect::{Expected, Found, Inspector, Sink, Table};
use crate::verify::{Finding, Findings, Place, algorithm};

/// Ranges beyond this number are dropped, so that memory stays bounded.
const EXTENTS_LIMIT: usize = 1 << 20;

/// Blocks beyond this number do not wait for a table at the end.
const TABLE_LIMIT: usize = 1 << 22;

/// Where the disks go.
pub(super) trait Output {
    fn disk(&mut self, disk: DiskStart<'_>) -> io::Result<()>;
    fn piece(&mut self, disk: usize, piece: Piece<'_>) -> io::Result<()>;
    fn finish(&mut self, disk: usize, end: u64) -> io::Result<()>;
}

pub(super) struct Pieces<F>(pub(super) F);

impl<F: FnMut(Piece<'_>) -> io::Result<()>> Output for Pieces<F> {
    fn disk(&mut self, _: DiskStart<'_>) -> io::Result<()> {
        Ok(())
    }

    fn piece(&mut self, _: usize, piece: Piece<'_>) -> io::Result<()> {
        (self.0)(piece)
    }

    fn finish(&mut self, _: usize, _: u64) -> io::Result<()> {
        Ok(())
    }
}

struct Disk {
    id: String,
    virtual_size: Option<u64>,
    map: Map,
    /// How far something was found.
    end: u64,
    dropped: u64,
}

/// A block whose checksum a table at the end holds.
struct Waiting {
    disk: usize,
    number: u64,
    archive: Range<u64>,
    on_disk: Range<u64>,
    hash: Digest,
}

struct Rescue<'a, O> {
    output: O,
    disks: Vec<Disk>,
    findings: Findings,
    damaged: Damaged,
    size_limit: u64,
    waiting: Vec<Waiting>,
    progress: Box<dyn FnMut(u64) + 'a>,
}

pub(super) fn run<O: Output>(source: impl Read, salvager: Salvager<'_>, output: O) -> Result<Report> {
    let mut rescue = Rescue {
        output,
        disks: Vec::new(),
        findings: Findings::new(salvager.findings_limit),
        damaged: salvager.damaged,
        size_limit: salvager.size_limit,
        waiting: Vec::new(),
        progress: salvager.progress,
    };
    let outcome = Inspector::new(source, salvager.options, &mut rescue).run()?;
    if let Some(table) = &outcome.table {
        rescue.settle(table);
    }
    rescue.finish_images()?;
    let findings = rescue.findings.sorted();
    let disks = rescue.disks.into_iter().map(|disk| SavedDisk {
        extents: disk.map.extents(disk.virtual_size.unwrap_or(disk.end)),
        id: disk.id,
        virtual_size: disk.virtual_size,
        dropped: disk.dropped,
    });
    Ok(Report {
        ova: outcome.ova,
        disks: disks.collect(),
        findings: findings.list,
        findings_left_out: findings.left_out,
        failure: outcome.failure,
    })
}

impl<O: Output> Rescue<'_, O> {
    /// Compares the blocks that waited with the table.
    fn settle(&mut self, table: &Table) {
        for waiting in std::mem::take(&mut self.waiting) {
            let disk = &mut self.disks[waiting.disk];
            let Some(expected) = table.get(&disk.id, waiting.number) else {
                continue;
            };
            let holds = waiting.hash == expected;
            for (part, cell) in disk.map.within(&waiting.on_disk) {
                if cell == Cell::Awaits {
                    let settled = if holds {
                        Cell::Data
                    } else {
                        Cell::Doubt(Doubt::Checksum)
                    };
                    disk.map.set(part, settled);
                }
            }
            if !holds {
                // It may end amid the entries that followed it.
                disk.map.change(waiting.on_disk.end, doubt_place);
                self.findings.add(Finding::Damaged {
                    place: Place::new(waiting.archive).block(&disk.id, waiting.number, Some(waiting.on_disk)),
                    expected,
                    found: waiting.hash,
                });
            }
        }
    }

    fn finish_images(&mut self) -> Result<()> {
        for (index, disk) in self.disks.iter().enumerate() {
            let end = disk.virtual_size.unwrap_or(disk.end);
            let finished = self.output.finish(index, end);
            finished.map_err(|source| Error::Target { offset: end, source })?;
        }
        Ok(())
    }

    /// How a block compares with its checksum.
    fn judge(&mut self, found: &Found) -> Cell {
        match found.expected {
            Expected::Checksum(expected) => {
                let hash = algorithm(expected).digest(&found.data);
                if hash == expected {
                    return if found.placed {
                        Cell::Data
                    } else {
                        Cell::Doubt(Doubt::Place)
                    };
                }
                let id = &self.disks[found.disk].id;
                self.findings.add(Finding::Damaged {
                    place: Place::new(found.archive.clone()).block(id, found.number, Some(found.on_disk())),
                    expected,
                    found: hash,
                });
                Cell::Doubt(Doubt::Checksum)
            }
            Expected::Table => {
                let is_only = self.disks[found.disk].map.within(&found.on_disk()).is_empty();
                if found.placed && is_only && self.waiting.len() < TABLE_LIMIT {
                    self.waiting.push(Waiting {
                        disk: found.disk,
                        number: found.number,
                        archive: found.archive.clone(),
                        on_disk: found.on_disk(),
                        hash: Algorithm::Sha1.digest(&found.data),
                    });
                    return Cell::Awaits;
                }
                Cell::Doubt(Doubt::Unchecked)
            }
            Expected::Nothing => Cell::Doubt(Doubt::Unchecked),
            Expected::CutOff => Cell::Doubt(Doubt::CutOff),
        }
    }
}

impl<O: Output> Sink for Rescue<'_, O> {
    fn finding(&mut self, finding: Finding) {
        self.findings.add(finding);
    }

    fn disk(&mut self, id: &str, virtual_size: Option<u64>) -> Result<()> {
        let virtual_size = virtual_size.filter(|&size| size <= self.size_limit);
        self.disks.push(Disk {
            id: id.to_owned(),
            virtual_size,
            map: Map::default(),
            end: 0,
            dropped: 0,
        });
        let begun = self.output.disk(DiskStart { id, virtual_size });
        begun.map_err(|source| Error::Target { offset: 0, source })
    }

    fn restart(&mut self, disk: usize) {
        // What waits for the table would be compared with bytes that are written over.
        self.waiting.retain(|waiting| waiting.disk != disk);
    }

    fn hole(&mut self, disk: usize, range: Range<u64>, placed: bool) {
        let full = self.disks.iter().map(|disk| disk.map.len()).sum::<usize>() >= EXTENTS_LIMIT;
        let disk = &mut self.disks[disk];
        let limit = disk.virtual_size.unwrap_or(self.size_limit);
        let range = range.start.min(limit)..range.end.min(limit);
        disk.end = disk.end.max(range.end);
        let known = disk.map.within(&range);
        let mut at = range.start;
        let zero = if placed { Cell::Zero } else { Cell::Doubt(Doubt::Place) };
        for (part, cell) in known {
            if !full {
                disk.map.set(at..part.start, zero);
            }
            if cell == Cell::Data {
                disk.map.set(part.clone(), Cell::Doubt(Doubt::Contradicted));
            }
            at = part.end;
        }
        if !full {
            disk.map.set(at..range.end, zero);
        }
    }

    fn block(&mut self, found: Found) -> Result<Vec<u8>> {
        let cell = self.judge(&found);
        let extents = self.disks.iter().map(|disk| disk.map.len()).sum::<usize>();
        let disk = &mut self.disks[found.disk];
        let range = found.on_disk();
        let len = found.data.len() as u64;
        let known = disk.map.within(&range);
        let limit = disk.virtual_size.unwrap_or(self.size_limit);
        let is_broken = cell.is_broken();
        let over_better = known
            .iter()
            .any(|(_, old)| old.is_trusted() || (is_broken && !old.is_broken()));
        // Two claims for the same bytes, and nothing to choose between them by.
        let contradicts = (found.again || !found.placed) && known.iter().any(|(_, old)| !old.is_broken());
        if contradicts && !is_broken {
            for (part, _) in known.into_iter().filter(|(_, old)| !old.is_broken()) {
                disk.map.set(part, Cell::Doubt(Doubt::Contradicted));
            }
        }
        let left_out = self.damaged == Damaged::LeaveOut && is_broken;
        if range.end > limit || extents >= EXTENTS_LIMIT || contradicts || (over_better && !cell.is_trusted()) {
            disk.dropped = disk.dropped.saturating_add(len);
            return Ok(found.data);
        }
        disk.end = disk.end.max(range.end);
        if left_out || len == 0 {
            return Ok(found.data);
        }
        disk.map.set(range, cell);
        let piece = Piece {
            disk: &disk.id,
            virtual_size: disk.virtual_size,
            offset: found.offset,
            data: &found.data,
            trust: match cell {
                Cell::Data | Cell::Zero => Trust::Trusted,
                Cell::Awaits => Trust::Doubtful(Doubt::Unchecked),
                Cell::Doubt(doubt) => Trust::Doubtful(doubt),
            },
        };
        let written = self.output.piece(found.disk, piece);
        written.map_err(|source| Error::Target {
            offset: found.offset,
            source,
        })?;
        Ok(found.data)
    }

    fn disk_left(&mut self, disk: usize, confirmed: bool, refuted: Option<u64>) -> Result<()> {
        let map = &mut self.disks[disk].map;
        if let Some(from) = refuted {
            map.change(from, doubt_place);
        } else if confirmed {
            map.change(0, |cell| {
                if cell == Cell::Doubt(Doubt::Place) {
                    Cell::Data
                } else {
                    cell
                }
            });
        }
        Ok(())
    }

    fn progress(&mut self, bytes: u64) {
        (self.progress)(bytes);
    }
}

fn doubt_place(cell: Cell) -> Cell {
    match cell {
        Cell::Data | Cell::Zero | Cell::Awaits => Cell::Doubt(Doubt::Place),
        doubt @ Cell::Doubt(_) => doubt,
    }
}
