//! How far each disk was read.

use crate::block::{Counter, Misplaced};
use crate::checksum::Algorithm;
use crate::ova::Ova;

/// No virtual machine has more disks than this.
const DISK_LIMIT: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct Tracks {
    pub(crate) list: Vec<Track>,
    /// Disks that the metadata promises, with their sizes.
    pub(crate) promised: Vec<(String, Option<u64>)>,
    /// Other disks of the metadata.
    known: Vec<(String, Option<u64>)>,
    pub(crate) current: Option<usize>,
    /// The length of the archive's very first block, by which xapi counts all gaps.
    pub(crate) first_len: Option<u64>,
}

/// A disk on its way.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) id: String,
    pub(crate) virtual_size: Option<u64>,
    pub(crate) counter: Counter,
    pub(crate) begun: bool,
    /// Whether offsets are beyond doubt.
    pub(crate) certain: bool,
    /// Whether reaching the disk's end exactly would remove the doubt.
    pub(crate) confirmable: bool,
    /// Where the first gap between numbers begins.
    pub(crate) first_gap: Option<u64>,
    pub(crate) overran: bool,
    /// Whether a block other than the last has a length of its own.
    pub(crate) uneven: bool,
    last_len: Option<u64>,
    pub(crate) last_offset: u64,
    /// Up to where the disk was covered at most.
    pub(crate) end: u64,
    /// Where in the archive it was left.
    pub(crate) left_at: u64,
    pub(crate) blocks: u64,
    pub(crate) data: u64,
    pub(crate) left_out: u64,
    pub(crate) heartbeats: u64,
    pub(crate) xxh64: u64,
    pub(crate) sha1: u64,
}

impl Tracks {
    pub(crate) fn metadata(&mut self, ova: &Ova) {
        for vdi in ova.vdis() {
            let list = if vdi.is_exported {
                &mut self.promised
            } else {
                &mut self.known
            };
            list.push((vdi.id.clone(), vdi.virtual_size));
        }
    }

    pub(crate) fn find(&self, id: &str) -> Option<usize> {
        self.list.iter().position(|track| track.id == id)
    }

    pub(crate) fn is_promised(&self, id: &str) -> bool {
        self.promised
            .binary_search_by(|(known, _)| known.as_str().cmp(id))
            .is_ok()
    }

    pub(crate) fn is_current(&self, id: &str) -> bool {
        self.current().is_some_and(|track| track.id == id)
    }

    pub(crate) fn current(&self) -> Option<&Track> {
        self.list.get(self.current?)
    }

    /// Whether every disk is there to its end, as far as anyone can tell.
    pub(crate) fn has_all(&self) -> bool {
        let begun = |(id, _): &(String, _)| self.find(id).is_some();
        let whole = |track: &Track| track.virtual_size.is_none_or(|size| track.end >= size);
        self.promised.iter().all(begun) && self.list.iter().all(whole)
    }

    /// A new disk, unless there are too many.
    pub(crate) fn begin(&mut self, id: &str) -> Option<usize> {
        if self.list.len() == DISK_LIMIT {
            return None;
        }
        let mut all = self.promised.iter().chain(&self.known);
        let virtual_size = all.find(|(known, _)| known == id).and_then(|(_, size)| *size);
        self.list.push(Track {
            id: id.to_owned(),
            virtual_size,
            counter: Counter::default(),
            begun: false,
            certain: true,
            confirmable: true,
            first_gap: None,
            overran: false,
            uneven: false,
            last_len: None,
            last_offset: 0,
            end: 0,
            left_at: 0,
            blocks: 0,
            data: 0,
            left_out: 0,
            heartbeats: 0,
            xxh64: 0,
            sha1: 0,
        });
        Some(self.list.len() - 1)
    }
}

impl Track {
    /// Gives the next number its place.
    pub(crate) fn place(&mut self, number: u64, len: u64) -> Result<u64, Misplaced> {
        let offset = self.counter.place(number, len)?;
        if len > 0 {
            self.uneven |= self.last_len.is_some_and(|len| len != self.counter.unit());
            self.last_len = Some(len);
        }
        self.last_offset = offset;
        self.end = self.end.max(self.counter.end());
        Ok(offset)
    }

    /// Begins the disk anew.
    pub(crate) fn restart(&mut self) {
        self.confirmable &= self.certain;
        self.certain = true;
        self.counter = Counter::default();
        self.last_len = None;
    }

    /// Whether reaching this place proves that nothing was misplaced.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.confirmable && !self.uneven && !self.overran && self.virtual_size == Some(self.counter.end())
    }

    pub(crate) fn count(&mut self, algorithm: Algorithm) {
        match algorithm {
            Algorithm::Xxh64 => self.xxh64 += 1,
            Algorithm::Sha1 => self.sha1 += 1,
        }
    }
}
