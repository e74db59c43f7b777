//! One thread reads, another one computes checksums.

use std::io::Read;
use std::ops::Range;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread;

use super::{DiskCheck, Finding, Findings, Place, Report};
use crate::checksum::{Algorithm, Digest};
use crate::error::{Error, Result};
use crate::inspect::{Expected, Found, Inspector, Outcome, Sink, Table};
use crate::options::Options;

/// As many blocks wait for their checksum at most. One more is being computed and one being read.
const WAITING: usize = 2;

/// Blocks beyond this number do not wait for a table at the end, so that memory stays bounded.
const TABLE_LIMIT: usize = 1 << 22;

/// What comes of the checksums.
struct Checks {
    /// Per disk: blocks that are as they should be, and those that are not.
    disks: Vec<(u64, u64)>,
    damaged: Vec<Damaged>,
    limit: usize,
    left_out: u64,
    waiting: Vec<Waiting>,
}

struct Damaged {
    disk: usize,
    number: u64,
    archive: Range<u64>,
    on_disk: Range<u64>,
    expected: Digest,
    found: Digest,
}

/// A block whose checksum a table at the end holds.
struct Waiting {
    disk: usize,
    number: u64,
    archive: Range<u64>,
    on_disk: Range<u64>,
    hash: Digest,
}

impl Checks {
    fn check(&mut self, found: &Found) {
        match found.expected {
            Expected::Checksum(expected) => {
                let hash = algorithm(expected).digest(&found.data);
                self.compare(
                    found.disk,
                    found.number,
                    &found.archive,
                    found.on_disk(),
                    expected,
                    hash,
                );
            }
            Expected::Table if self.waiting.len() < TABLE_LIMIT => self.waiting.push(Waiting {
                disk: found.disk,
                number: found.number,
                archive: found.archive.clone(),
                on_disk: found.on_disk(),
                hash: Algorithm::Sha1.digest(&found.data),
            }),
            Expected::Table | Expected::Nothing | Expected::CutOff => {}
        }
    }

    fn compare(
        &mut self,
        disk: usize,
        number: u64,
        archive: &Range<u64>,
        on_disk: Range<u64>,
        expected: Digest,
        found: Digest,
    ) {
        if self.disks.len() <= disk {
            self.disks.resize(disk + 1, (0, 0));
        }
        if found == expected {
            self.disks[disk].0 += 1;
            return;
        }
        self.disks[disk].1 += 1;
        if self.damaged.len() == self.limit {
            self.left_out += 1;
            return;
        }
        self.damaged.push(Damaged {
            disk,
            number,
            archive: archive.clone(),
            on_disk,
            expected,
            found,
        });
    }

    /// Compares the blocks that waited with the table; tells how many are not in it.
    fn settle(&mut self, table: Option<&Table>, outcome: &Outcome, findings: &mut Findings) {
        for waiting in std::mem::take(&mut self.waiting) {
            let Waiting {
                disk,
                number,
                archive,
                on_disk,
                hash,
            } = waiting;
            let id = &outcome.tracks.list[disk].id;
            match table.and_then(|table| table.get(id, number)) {
                Some(expected) => self.compare(disk, number, &archive, on_disk, expected, hash),
                None => findings.add(Finding::ChecksumMissing {
                    place: Place::new(archive).block(id, number, Some(on_disk)),
                }),
            }
        }
    }
}

pub(crate) fn algorithm(digest: Digest) -> Algorithm {
    match digest {
        Digest::Xxh64(_) => Algorithm::Xxh64,
        Digest::Sha1(_) => Algorithm::Sha1,
    }
}

/// Takes what is found and has the checksums computed elsewhere, or here where there is no elsewhere.
struct Checking<'a> {
    findings: Findings,
    progress: Box<dyn FnMut(u64) + 'a>,
    place: Thread,
}

enum Thread {
    Other {
        jobs: SyncSender<Found>,
        done: Receiver<Vec<u8>>,
    },
    This(Checks),
}

impl Sink for Checking<'_> {
    fn finding(&mut self, finding: Finding) {
        self.findings.add(finding);
    }

    fn disk(&mut self, _: &str, _: Option<u64>) -> Result<()> {
        Ok(())
    }

    fn restart(&mut self, _: usize) {}

    fn hole(&mut self, _: usize, _: Range<u64>, _: bool) {}

    fn block(&mut self, found: Found) -> Result<Vec<u8>> {
        Ok(match &mut self.place {
            Thread::Other { jobs, done } => {
                // The other thread ends only after this one has let go of the jobs.
                let _ = jobs.send(found);
                done.try_recv().unwrap_or_default()
            }
            Thread::This(checks) => {
                checks.check(&found);
                found.data
            }
        })
    }

    fn disk_left(&mut self, _: usize, _: bool, _: Option<u64>) -> Result<()> {
        Ok(())
    }

    fn progress(&mut self, bytes: u64) {
        (self.progress)(bytes);
    }
}

pub(super) fn run(
    source: impl Read,
    options: Options,
    limit: usize,
    progress: Box<dyn FnMut(u64) + '_>,
) -> Result<Report> {
    let new_checks = || Checks {
        disks: Vec::new(),
        damaged: Vec::new(),
        limit,
        left_out: 0,
        waiting: Vec::new(),
    };
    let (jobs, arriving) = mpsc::sync_channel(WAITING);
    let (done, spare) = mpsc::channel();
    thread::scope(|scope| {
        let checks = new_checks();
        let other = thread::Builder::new()
            .name("xva checksums".to_owned())
            .spawn_scoped(scope, move || check_all(checks, &arriving, &done));
        let place = match &other {
            Ok(_) => Thread::Other { jobs, done: spare },
            Err(_) => Thread::This(new_checks()),
        };
        let mut checking = Checking {
            findings: Findings::new(limit),
            progress,
            place,
        };
        let outcome = Inspector::new(source, options, &mut checking).run();
        let Checking { findings, place, .. } = checking;
        let checks = match (place, other) {
            (Thread::This(checks), _) => checks,
            (Thread::Other { jobs, .. }, other) => {
                drop(jobs);
                match other.map(thread::ScopedJoinHandle::join) {
                    Ok(Ok(checks)) => checks,
                    Ok(Err(panic)) => std::panic::resume_unwind(panic),
                    Err(_) => new_checks(),
                }
            }
        };
        report(outcome?, checks, findings)
    })
}

fn check_all(mut checks: Checks, jobs: &Receiver<Found>, done: &Sender<Vec<u8>>) -> Checks {
    for found in jobs {
        checks.check(&found);
        // The reading side may be done already.
        let _ = done.send(found.data);
    }
    checks
}

fn report(mut outcome: Outcome, mut checks: Checks, mut findings: Findings) -> Result<Report> {
    match outcome.failure.take() {
        Some(error @ Error::Decompress { .. }) => {
            let place = Place::new(outcome.bytes..outcome.bytes);
            findings.add(Finding::Compression { place, error });
        }
        Some(error) => return Err(error),
        None => {}
    }
    checks.settle(outcome.table.as_ref(), &outcome, &mut findings);
    for damaged in checks.damaged {
        let id = &outcome.tracks.list[damaged.disk].id;
        findings.add(Finding::Damaged {
            place: Place::new(damaged.archive).block(id, damaged.number, Some(damaged.on_disk)),
            expected: damaged.expected,
            found: damaged.found,
        });
    }
    findings.damage += checks.left_out;
    findings.obstacles += checks.left_out;
    findings.left_out += checks.left_out;
    let findings = findings.sorted();
    let disks = outcome.tracks.list.iter().enumerate().map(|(index, track)| {
        let (verified, damaged) = checks.disks.get(index).copied().unwrap_or_default();
        DiskCheck::new(track, verified, damaged)
    });
    Ok(Report {
        compression: outcome.compression,
        bytes: outcome.bytes,
        stored: outcome.bytes_read,
        metadata_only: outcome.metadata_only,
        end_blocks: outcome.end_blocks,
        disks: disks.collect(),
        findings: findings.list,
        findings_left_out: findings.left_out,
        damage: findings.damage,
        obstacles: findings.obstacles,
    })
}
