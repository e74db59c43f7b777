//! Reading an archive to its end whatever stands in it: what verifying and salvaging have in common.

mod disks;
mod recover;
mod track;
mod walk;
mod window;

use std::io::Read;
use std::ops::Range;

use crate::block::Name;
use crate::checksum::{Algorithm, Digest};
use crate::error::{Error, LooksLike, Place as Inside, Result};
use crate::ova::{self, Ova};
use crate::tar::BLOCK;
use crate::verify::{Finding, Place};
use crate::{Compression, Options};

pub(crate) use track::{Track, Tracks};
use walk::Step;
pub(crate) use walk::{Entry, Step as WalkStep, Walk};

/// The longest checksum entry that is read.
const CHECKSUM_LIMIT: u64 = 512;

/// A block that was found.
pub(crate) struct Found {
    /// Index of its disk.
    pub(crate) disk: usize,
    pub(crate) number: u64,
    pub(crate) offset: u64,
    pub(crate) data: Vec<u8>,
    /// The bytes of the archive that hold it and its checksum.
    pub(crate) archive: Range<u64>,
    pub(crate) expected: Expected,
    /// Whether its offset is beyond doubt.
    pub(crate) placed: bool,
    /// Whether the block's number had been passed already.
    pub(crate) again: bool,
}

impl Found {
    pub(crate) fn on_disk(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.data.len() as u64)
    }
}

/// What a block has to be compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Checksum(Digest),
    /// A table at the end of the archive tells.
    Table,
    Nothing,
    /// The block itself broke off.
    CutOff,
}

/// Names of entries are cut to this many bytes.
const NAME_LIMIT: usize = 1024;

/// What is done with what is found.
pub(crate) trait Sink {
    fn finding(&mut self, finding: Finding);
    /// A disk begins; indices count up.
    fn disk(&mut self, id: &str, virtual_size: Option<u64>) -> Result<()>;
    /// A disk is read from its beginning again.
    fn restart(&mut self, disk: usize);
    /// Zeros that were left out.
    fn hole(&mut self, disk: usize, range: Range<u64>, placed: bool);
    /// Takes a block and gives a buffer for another.
    fn block(&mut self, found: Found) -> Result<Vec<u8>>;
    /// A disk was left. Whether what was placed in doubt turned out to be right, or from where on what was placed
    /// without turned out to be wrong.
    fn disk_left(&mut self, disk: usize, confirmed: bool, refuted: Option<u64>) -> Result<()>;
    fn progress(&mut self, bytes: u64);
}

/// What an archive held, apart from what its sink knows.
pub(crate) struct Outcome {
    pub(crate) ova: Option<Ova>,
    pub(crate) tracks: Tracks,
    pub(crate) table: Option<Table>,
    pub(crate) compression: Option<Compression>,
    /// Bytes of the archive.
    pub(crate) bytes: u64,
    /// Bytes of the source, compressed as they are.
    pub(crate) bytes_read: u64,
    /// Why the source could not be read to its end.
    pub(crate) failure: Option<Error>,
    pub(crate) end_blocks: bool,
    pub(crate) metadata_only: bool,
}

/// The table of checksums at the end of an old archive.
pub(crate) struct Table {
    sums: std::collections::HashMap<String, String>,
}

impl Table {
    pub(crate) fn get(&self, disk: &str, number: u64) -> Option<Digest> {
        let text = self.sums.get(&format!("{disk}/{number:08}"))?;
        Algorithm::Sha1.parse(text.as_bytes())
    }
}

pub(crate) struct Inspector<'a, R, S> {
    walk: Walk<R>,
    sink: &'a mut S,
    options: Options,
    ova: Option<Ova>,
    tracks: Tracks,
    /// A block whose checksum may follow.
    pending: Option<Found>,
    spare: Vec<u8>,
    table: Option<Table>,
    /// Whether blocks wait for a table.
    awaits_table: bool,
    entries: u64,
    /// Entries may have been passed over since the last block.
    lost: bool,
    /// The name of the last entry.
    last_name: String,
    /// The last entry broke off.
    cut_off: bool,
    metadata_seen: bool,
    end_blocks: bool,
    /// Bytes looked through in search of a header, more than once some of them.
    searched: u64,
}

impl<'a, R: Read, S: Sink> Inspector<'a, R, S> {
    pub(crate) fn new(source: R, options: Options, sink: &'a mut S) -> Self {
        Self {
            walk: Walk::new(source),
            sink,
            options,
            ova: None,
            tracks: Tracks::default(),
            pending: None,
            spare: Vec::new(),
            table: None,
            awaits_table: false,
            entries: 0,
            lost: false,
            last_name: String::new(),
            cut_off: false,
            metadata_seen: false,
            end_blocks: false,
            searched: 0,
        }
    }

    pub(crate) fn run(mut self) -> Result<Outcome> {
        loop {
            self.sink.progress(self.walk.position());
            match self.walk.next() {
                Step::Entry(entry) => self.entry(entry)?,
                Step::Bad { position } => self.recover(position)?,
                Step::LoneZeroBlock { position } => {
                    let place = Place::new(position..position + BLOCK as u64);
                    // A header may have stood there.
                    self.lost = true;
                    if self.walk.ahead(0..1).is_some() {
                        self.sink.finding(Finding::LoneZeroBlock { place });
                    }
                }
                Step::End => {
                    self.flush()?;
                    if self.is_over()? {
                        break;
                    }
                }
                Step::Over { got } => {
                    self.broke_off(got)?;
                    break;
                }
            }
        }
        self.finish()
    }

    fn entry(&mut self, mut entry: Entry) -> Result<()> {
        let position = entry.position;
        if entry.name.len() > NAME_LIMIT {
            entry.name = entry.name.chars().take(NAME_LIMIT / 4).collect();
        }
        if entry.odd_header {
            let place = Place::new(position..self.walk.position());
            self.sink.finding(Finding::HeaderForm { place });
        }
        self.entries += 1;
        self.last_name.clone_from(&entry.name);
        let name = match entry.regular {
            true => Name::parse(&entry.name),
            false => Name::Other,
        };
        if let Name::Checksum {
            disk,
            number,
            algorithm,
        } = name
        {
            return self.checksum(&entry, disk, number, algorithm);
        }
        self.flush()?;
        match name {
            Name::Metadata => self.metadata(&entry),
            Name::Block { disk, number } => self.block(&entry, disk, number),
            Name::Other if entry.regular && self.awaits_table => self.read_table(&entry),
            Name::Other | Name::Checksum { .. } => self.other(&entry),
        }
    }

    fn metadata(&mut self, entry: &Entry) -> Result<()> {
        let mut place = Place::new(entry.position..self.walk.position() + entry.size);
        if entry.size > self.options.metadata_limit {
            return self.too_large(entry);
        }
        if self.ova.is_some() {
            self.sink.finding(Finding::MetadataAgain { place });
            self.lost = true;
            return self.skip(entry);
        }
        if self.entries > 1 || self.lost {
            let place = place.clone();
            self.sink.finding(Finding::MetadataNotFirst { place });
        }
        let mut text = Vec::new();
        if !self.read(entry, &mut text) {
            place.archive.end = self.walk.position();
        }
        self.understand(place, &text);
        Ok(())
    }

    /// Makes use of the bytes of `ova.xml`.
    fn understand(&mut self, place: Place, text: &[u8]) {
        self.metadata_seen = true;
        match ova::utf8(text).and_then(Ova::parse) {
            Ok(ova) => {
                for what in crate::verify::metadata::oddities(&ova) {
                    let place = place.clone();
                    self.sink.finding(Finding::MetadataOdd { place, what });
                }
                let export_vsn = ova.version().export_vsn;
                if !(1..=2).contains(&export_vsn) {
                    self.sink.finding(Finding::OldLayout { place, export_vsn });
                }
                self.tracks.metadata(&ova);
                self.ova = Some(ova);
            }
            Err(error) => self.sink.finding(Finding::MetadataUnreadable { place, error }),
        }
    }

    fn read_table(&mut self, entry: &Entry) -> Result<()> {
        if entry.size > self.options.metadata_limit {
            return self.too_large(entry);
        }
        let place = Place::new(entry.position..self.walk.position() + entry.size);
        let mut text = Vec::new();
        if self.read(entry, &mut text) {
            match ova::checksum_table(&text) {
                Ok(sums) => {
                    self.awaits_table = false;
                    self.table = Some(Table { sums });
                }
                Err(error) => self.sink.finding(Finding::TableUnreadable { place, error }),
            }
        }
        Ok(())
    }

    fn other(&mut self, entry: &Entry) -> Result<()> {
        // It may hold what followed it once.
        self.lost |= entry.size > 0;
        if entry.regular || entry.size > 0 {
            let place = Place::new(entry.position..self.walk.position() + entry.size);
            let name = entry.name.clone();
            self.sink.finding(Finding::UnexpectedEntry { place, name });
        }
        if entry.size > self.options.block_limit {
            return self.too_large(entry);
        }
        self.skip(entry)
    }

    /// Gives up an entry: what it claims to hold is looked through for headers.
    fn too_large(&mut self, entry: &Entry) -> Result<()> {
        let place = Place::new(entry.position..self.walk.position());
        let (name, size) = (entry.name.clone(), entry.size);
        self.sink.finding(Finding::TooLarge { place, name, size });
        self.search()
    }

    /// Reads an entry's content; `false` where it breaks off.
    fn read(&mut self, entry: &Entry, target: &mut Vec<u8>) -> bool {
        let content = self.walk.content(entry.size, target);
        self.after_content(entry, &content)
    }

    fn skip(&mut self, entry: &Entry) -> Result<()> {
        let content = self.walk.skip(entry.size);
        self.after_content(entry, &content);
        Ok(())
    }

    fn after_content(&mut self, entry: &Entry, content: &walk::Content) -> bool {
        if let Some(at) = content.padding {
            let place = Place::new(at..self.walk.position());
            self.sink.finding(Finding::Padding { place });
        }
        let whole = content.got == entry.size;
        if !whole {
            let inside = Inside::Entry {
                name: entry.name.clone(),
                got: content.got,
                size: entry.size,
            };
            let place = Place::new(entry.position..self.walk.position());
            self.sink.finding(Finding::Truncated { place, inside });
            self.lost = true;
            self.cut_off = true;
        }
        whole
    }

    /// Goes behind the two zero blocks and tells whether nothing more of the archive is there.
    fn is_over(&mut self) -> Result<bool> {
        let end = self.walk.position() - 2 * BLOCK as u64;
        while self.walk.window.peek(BLOCK).iter().all(|&byte| byte == 0) {
            if self.walk.window.peek(BLOCK).is_empty() {
                self.end_blocks = true;
                return Ok(true);
            }
            self.walk.window.consume(BLOCK);
        }
        let behind = self.walk.position();
        let more = !self.tracks.has_all() && self.go_to_next_header()?;
        self.walk.window.each_piece(if more { 0 } else { u64::MAX }, |_, _| {});
        let now = self.walk.position();
        self.sink.finding(match more {
            true => Finding::EndInTheMiddle {
                place: Place::new(end..now),
            },
            false => Finding::TrailingBytes {
                place: Place::new(behind..now),
            },
        });
        self.lost |= more;
        self.end_blocks = !more;
        Ok(!more)
    }

    /// Handles the end of the bytes where no zero blocks stand.
    fn broke_off(&mut self, got: usize) -> Result<()> {
        let has_all = self.ova.is_some() && self.tracks.has_all() && !self.lost && self.pending.is_none();
        self.flush()?;
        let position = self.walk.position();
        let place = Place::new(position..position + got as u64);
        let looks_like = LooksLike::guess(self.walk.window.peek(got));
        self.walk.window.consume(got);
        let inside = match got {
            0 if self.entries == 0 => Inside::Empty,
            0 => Inside::AfterEntry {
                name: self.last_name.clone(),
            },
            _ => Inside::Header { got: got as u64 },
        };
        // Blocks may follow that would not fit.
        self.lost = true;
        self.sink.finding(match looks_like {
            _ if self.cut_off => return Ok(()),
            LooksLike::Unknown if got == 0 && has_all => Finding::NoEndBlocks { place },
            LooksLike::Unknown => Finding::Truncated { place, inside },
            looks_like => Finding::DamagedHeader { place, looks_like },
        });
        Ok(())
    }

    fn finish(mut self) -> Result<Outcome> {
        self.flush()?;
        self.leave_disk()?;
        let bytes = self.walk.position();
        let end = Place::new(bytes..bytes);
        let window = &mut self.walk.window;
        if window.is_cut_off() {
            self.sink.finding(Finding::CompressionCutOff { place: end.clone() });
        }
        if self.ova.is_none() && !self.metadata_seen {
            let place = Place::new(0..0);
            self.sink.finding(Finding::MetadataMissing { place });
        }
        let promised = self.tracks.promised.iter();
        let missing: Vec<String> = promised
            .filter(|(id, _)| self.tracks.find(id).is_none())
            .map(|(id, _)| id.clone())
            .collect();
        let metadata_only = self.tracks.list.is_empty() && self.entries == 1 && self.end_blocks && self.ova.is_some();
        if metadata_only && !missing.is_empty() {
            self.sink.finding(Finding::MetadataOnly { place: end });
        } else {
            for id in &missing {
                let place = end.clone().disk(id);
                self.sink.finding(Finding::DiskMissing { place });
            }
        }
        for track in &self.tracks.list {
            let mut place = Place::new(track.left_at..track.left_at).disk(&track.id);
            match track.virtual_size {
                Some(virtual_size) if track.end < virtual_size => {
                    place.on_disk = Some(track.end..virtual_size);
                    self.sink.finding(Finding::DiskShort { place, virtual_size });
                }
                None if self.ova.is_some() => self.sink.finding(Finding::SizeUnknown { place }),
                _ => {}
            }
        }
        self.sink.progress(bytes);
        Ok(Outcome {
            ova: self.ova,
            tracks: self.tracks,
            table: self.table,
            compression: self.walk.window.compression(),
            bytes,
            bytes_read: self.walk.window.bytes_read(),
            failure: self.walk.window.take_failure(),
            end_blocks: self.end_blocks,
            metadata_only,
        })
    }
}
