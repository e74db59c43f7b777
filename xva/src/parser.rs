//! The archive as a state machine without I/O.

use crate::block::{Counter, Misplaced, Name};
use crate::checksum::{Algorithm, Digest};
use crate::error::{DiskProgress, Error, Place, Result, Truncation};
use crate::event::{Block, Event};
use crate::options::{Options, Verify};
use crate::ova::{self, Ova};
use crate::summary::{Check, DiskReport, Summary};
use crate::table::Deferred;
use crate::tar::{Entry, Item, Tar};

/// No virtual machine has more disks than this; the metadata of a backup tool's archive neither.
const DISK_LIMIT: usize = 4096;

/// The longest checksum entry that is read.
const CHECKSUM_LIMIT: u64 = 512;

/// Reads an archive that is pushed into it, in pieces of any size.
///
/// The parser does no I/O and no decompression. There are two ways to feed it. [`Parser::feed`] takes bytes from a
/// slice. To spare the copy, read straight into [`Parser::space`] instead, tell with [`Parser::advance`] how many bytes
/// there are now, and ask [`Parser::next_event`] what they mean. Either way the parser asks for no byte more than the
/// next header or entry needs. When the bytes are over, say so with [`Parser::end_of_input`] and take the last events.
///
/// Blocks are handed out whole, from the parser's own buffer, after the checksum that follows them was compared.
///
/// ```
/// use xva::{Event, Parser};
///
/// fn count(chunks: impl Iterator<Item = Vec<u8>>) -> xva::Result<u64> {
///     let mut parser = Parser::new();
///     let mut data = 0;
///     for chunk in chunks {
///         let mut rest = &chunk[..];
///         while let Some(event) = parser.feed(&mut rest)? {
///             if let Event::Block(block) = event {
///                 data += block.data.len() as u64;
///             }
///         }
///     }
///     parser.end_of_input();
///     while let Some(event) = parser.next_event()? {
///         if let Event::End(summary) = event {
///             assert!(summary.has_all_disks());
///         }
///     }
///     Ok(data)
/// }
/// # assert!(count(std::iter::empty()).is_err());
/// ```
#[derive(Debug)]
pub struct Parser {
    tar: Tar,
    options: Options,
    stage: Stage,
    ova: Option<Ova>,
    counter: Counter,
    /// Whether the last of the summary's disks is still being read.
    disk_open: bool,
    /// The block in the buffer, until its checksum is known.
    pending: Option<Placed>,
    buffer: Vec<u8>,
    deferred: Deferred,
    summary: Summary,
}

/// An event without its data, which stays in the parser.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Ova,
    DiskStart,
    Block(Placed, Check),
    DiskEnd,
    End,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) number: u64,
    pub(crate) offset: u64,
    pub(crate) len: u64,
    /// Where its header starts.
    position: u64,
}

#[derive(Debug)]
enum Stage {
    /// Waiting for what comes next in the tar.
    Next,
    /// An entry waits to be looked at.
    Offered(Entry),
    /// Its content is being collected.
    Content(Entry, Content),
    /// Nothing more will come.
    Ending(Ending),
    Over,
    Failed,
}

#[derive(Debug)]
struct Ending {
    /// Where the bytes ended, unless with zero blocks.
    place: Option<Place>,
    /// The last block waits for a checksum in vain, while others had theirs.
    checksum_due: bool,
}

#[derive(Debug, Clone, Copy)]
enum Content {
    Metadata,
    Block(Placed),
    Checksum(Placed, Algorithm),
    Table,
}

impl Default for Parser {
    fn default() -> Self {
        Self::new()
    }
}

impl Parser {
    /// A parser at the start of an archive.
    pub fn new() -> Self {
        Self::with_options(Options::default())
    }

    /// A parser with limits and checks of the caller's choice.
    pub fn with_options(options: Options) -> Self {
        Self {
            tar: Tar::new(),
            options,
            stage: Stage::Next,
            ova: None,
            counter: Counter::default(),
            disk_open: false,
            pending: None,
            buffer: Vec::new(),
            deferred: Deferred::default(),
            summary: Summary::default(),
        }
    }

    /// Takes bytes from the front of `input` until there is an event or `input` is empty.
    ///
    /// # Errors
    /// Where the archive is damaged; see [`Error::is_recoverable`] for when to call on.
    pub fn feed(&mut self, input: &mut &[u8]) -> Result<Option<Event<'_>>> {
        let step = loop {
            if let Some(step) = self.step()? {
                break step;
            }
            if input.is_empty() {
                return Ok(None);
            }
            *input = &input[self.push(input)..];
        };
        Ok(Some(self.event(step)))
    }

    /// Where the next bytes of the archive are to be put: up to 1 MiB inside a block, 512 bytes for a header.
    ///
    /// It is empty as long as [`Parser::next_event`] was not called until it gave `None`. After the end of the archive
    /// it takes any number of bytes and ignores them.
    pub fn space(&mut self) -> &mut [u8] {
        self.tar.space()
    }

    /// Tells that the first `n` bytes of [`Parser::space`] are bytes of the archive now.
    pub fn advance(&mut self, n: usize) {
        self.tar.advance(n);
    }

    /// Tells that no more bytes will come. Call [`Parser::next_event`] until it gives `None` again.
    pub fn end_of_input(&mut self) {
        self.tar.end_of_input();
    }

    /// The next event, or `None` where more bytes are needed or the archive is over.
    ///
    /// # Errors
    /// Where the archive is damaged; see [`Error::is_recoverable`] for when to call on.
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>> {
        let step = self.step()?;
        Ok(step.map(|step| self.event(step)))
    }

    /// The metadata, once it has been read.
    pub fn ova(&self) -> Option<&Ova> {
        self.ova.as_ref()
    }

    /// What has been read so far; final after [`Event::End`].
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// How many bytes of the archive were taken. Bytes after its end do not count.
    pub fn position(&self) -> u64 {
        self.tar.position()
    }

    /// Bytes taken after the end of the archive.
    pub(crate) fn trailing(&self) -> u64 {
        self.tar.trailing()
    }

    /// The disk begun last.
    pub(crate) fn disk(&self) -> Option<&DiskReport> {
        self.summary.disks.last()
    }

    /// Copies bytes to where they belong and tells how many.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> usize {
        let space = self.tar.space();
        let n = space.len().min(bytes.len());
        space[..n].copy_from_slice(&bytes[..n]);
        self.tar.advance(n);
        n
    }

    /// The block of the step at hand.
    pub(crate) fn block(&self, placed: Placed, check: Check) -> Block<'_> {
        Block {
            disk: self.disk().map_or("", |disk| &disk.id),
            number: placed.number,
            offset: placed.offset,
            data: &self.buffer[..placed.len as usize],
            check,
        }
    }

    /// Gives the block of the step at hand away.
    pub(crate) fn take_block(&mut self, placed: Placed) -> Vec<u8> {
        let mut data = self.swap_block(Vec::new());
        data.truncate(placed.len as usize);
        data
    }

    /// Gives the buffer of the block away, padding and all, and takes another for the next.
    pub(crate) fn swap_block(&mut self, spare: Vec<u8>) -> Vec<u8> {
        std::mem::replace(&mut self.buffer, spare)
    }

    fn event(&self, step: Step) -> Event<'_> {
        match (step, &self.ova, self.disk()) {
            (Step::Ova, Some(ova), _) => Event::Ova(ova),
            (Step::DiskStart, _, Some(disk)) => Event::DiskStart(disk),
            (Step::DiskEnd, _, Some(disk)) => Event::DiskEnd(disk),
            (Step::Block(placed, check), ..) => Event::Block(self.block(placed, check)),
            (Step::End | Step::Ova | Step::DiskStart | Step::DiskEnd, ..) => Event::End(&self.summary),
        }
    }

    /// Goes on to the next event.
    pub(crate) fn step(&mut self) -> Result<Option<Step>> {
        let result = self.advance_stage();
        if result.as_ref().is_err_and(|error| !error.is_recoverable()) {
            self.stage = Stage::Failed;
        }
        result
    }

    fn advance_stage(&mut self) -> Result<Option<Step>> {
        loop {
            let step = match std::mem::replace(&mut self.stage, Stage::Failed) {
                Stage::Next => {
                    self.stage = Stage::Next;
                    match self.tar.poll()? {
                        None => return Ok(None),
                        Some(Item::Entry(entry)) => self.stage = Stage::Offered(entry),
                        Some(Item::End) => self.stage = self.end_at(None),
                        Some(Item::Eof(place)) => self.stage = self.end_at(Some(place)),
                        Some(Item::Content) => {}
                    }
                    None
                }
                Stage::Offered(entry) => self.offered(entry)?,
                Stage::Content(entry, content) => match self.tar.poll()? {
                    None => {
                        self.stage = Stage::Content(entry, content);
                        return Ok(None);
                    }
                    Some(Item::Eof(place)) => {
                        self.stage = self.end_at(Some(place));
                        None
                    }
                    Some(_) => {
                        self.stage = Stage::Next;
                        self.content(entry, content)?
                    }
                },
                Stage::Ending(ending) => self.ending(ending)?,
                Stage::Over => {
                    self.stage = Stage::Over;
                    return Ok(None);
                }
                Stage::Failed => return Err(Error::AlreadyFailed),
            };
            if step.is_some() {
                return Ok(step);
            }
        }
    }

    /// Looks at an entry. Where something has to be told first, the entry stays for the next time.
    fn offered(&mut self, entry: Entry) -> Result<Option<Step>> {
        let name = if entry.regular {
            Name::parse(&entry.name)
        } else {
            Name::Other
        };
        let current = self.disk().filter(|_| self.disk_open).map(|disk| disk.id.as_str());
        let settles = |pending: &Placed| match name {
            Name::Checksum { disk, number, .. } => current == Some(disk) && pending.number == number,
            _ => false,
        };
        match self.pending {
            Some(pending) if settles(&pending) => {}
            Some(pending) => {
                self.pending = None;
                self.stage = Stage::Offered(entry);
                return Ok(self.without_checksum(pending));
            }
            None => {}
        }
        match name {
            Name::Metadata if self.ova.is_none() => {
                self.collect(entry, Content::Metadata, self.options.metadata_limit, Vec::new())
            }
            Name::Block { disk, number } if current == Some(disk) => self.begin_block(number, entry),
            Name::Block { .. } if self.disk_open => {
                self.stage = Stage::Offered(entry);
                self.end_disk().map(Some)
            }
            Name::Block { disk, .. } => {
                self.start_disk(disk, entry.position)?;
                self.stage = Stage::Offered(entry);
                Ok(Some(Step::DiskStart))
            }
            Name::Checksum { algorithm, .. } => match self.pending {
                Some(pending) => self.collect(entry, Content::Checksum(pending, algorithm), CHECKSUM_LIMIT, Vec::new()),
                None => Err(Error::ChecksumWithoutBlock {
                    position: entry.position,
                    entry: entry.name,
                }),
            },
            Name::Other if entry.regular && !self.deferred.is_empty() => {
                self.collect(entry, Content::Table, self.options.metadata_limit, Vec::new())
            }
            Name::Metadata | Name::Other => {
                self.tar.skip();
                self.stage = Stage::Next;
                Ok(None)
            }
        }
    }

    fn collect(&mut self, entry: Entry, content: Content, limit: u64, buffer: Vec<u8>) -> Result<Option<Step>> {
        let Entry { position, size, .. } = entry;
        if size > limit {
            return Err(Error::TooLarge {
                position,
                entry: entry.name,
                size,
                limit,
            });
        }
        self.tar.collect(buffer);
        self.stage = Stage::Content(entry, content);
        Ok(None)
    }

    fn start_disk(&mut self, id: &str, position: u64) -> Result<()> {
        if self.summary.disks.iter().any(|disk| disk.id == id) {
            return Err(Error::DiskReturned {
                position,
                disk: id.to_owned(),
            });
        }
        if self.summary.disks.len() == DISK_LIMIT {
            return Err(Error::TooManyDisks {
                position,
                limit: DISK_LIMIT,
            });
        }
        let virtual_size = self.ova.as_ref().and_then(|ova| ova.vdi(id)?.virtual_size);
        self.summary.disks.push(DiskReport {
            id: id.to_owned(),
            virtual_size,
            end: 0,
            data: 0,
        });
        self.counter = Counter::default();
        self.disk_open = true;
        Ok(())
    }

    fn end_disk(&mut self) -> Result<Step> {
        self.disk_open = false;
        match self.disk() {
            Some(&DiskReport {
                ref id,
                virtual_size: Some(virtual_size),
                end,
                ..
            }) if end < virtual_size => Err(Error::DiskShort {
                position: self.tar.position(),
                disk: id.clone(),
                end,
                virtual_size,
            }),
            _ => Ok(Step::DiskEnd),
        }
    }

    fn begin_block(&mut self, number: u64, entry: Entry) -> Result<Option<Step>> {
        let (position, len) = (entry.position, entry.size);
        let placed = self.counter.place(number, len);
        let Some(disk) = self.summary.disks.last() else {
            return Err(Error::AlreadyFailed);
        };
        let beyond = |disk: &DiskReport, end| Error::BeyondEnd {
            position,
            disk: disk.id.clone(),
            number,
            end,
            virtual_size: disk.virtual_size.unwrap_or(u64::MAX),
        };
        let offset = match placed {
            Ok(offset) => offset,
            Err(Misplaced::Overflow) => return Err(beyond(disk, u64::MAX)),
            Err(Misplaced::Backwards { previous }) => {
                return Err(Error::BlockOrder {
                    position,
                    disk: disk.id.clone(),
                    number,
                    previous,
                });
            }
        };
        let end = self.counter.end();
        if disk.virtual_size.is_some_and(|size| end > size) {
            return Err(beyond(disk, end));
        }
        let buffer = std::mem::take(&mut self.buffer);
        self.collect(
            entry,
            Content::Block(Placed {
                number,
                offset,
                len,
                position,
            }),
            self.options.block_limit,
            buffer,
        )
    }

    /// Makes use of an entry's content.
    fn content(&mut self, entry: Entry, content: Content) -> Result<Option<Step>> {
        let position = entry.position;
        let mut bytes = self.tar.take();
        if let Content::Block(placed) = content {
            self.buffer = bytes;
            self.pending = Some(placed);
            if let Some(disk) = self.summary.disks.last_mut() {
                disk.end = self.counter.end();
                disk.data += placed.len;
            }
            return Ok(None);
        }
        bytes.truncate(entry.size as usize);
        match content {
            Content::Checksum(placed, algorithm) => {
                self.pending = None;
                let Some(expected) = algorithm.parse(&bytes) else {
                    return Err(Error::ChecksumEntry {
                        position,
                        entry: entry.name,
                        expected: algorithm.expected(),
                    });
                };
                self.compare(placed, algorithm, expected)
            }
            Content::Metadata => {
                let parsed = ova::utf8(&bytes).and_then(Ova::parse);
                self.ova = Some(parsed.map_err(|source| Error::Ova { position, source })?);
                Ok(Some(Step::Ova))
            }
            Content::Table => match self.deferred.settle(&bytes, position, &mut self.summary)? {
                Some(error) if self.options.verify == Verify::Strict => Err(error),
                _ => Ok(None),
            },
            Content::Block(_) => Ok(None),
        }
    }

    fn compare(&mut self, placed: Placed, algorithm: Algorithm, expected: Digest) -> Result<Option<Step>> {
        if self.options.verify == Verify::Off {
            return Ok(self.unverified(placed, Check::Off));
        }
        let found = algorithm.digest(&self.buffer[..placed.len as usize]);
        if found == expected {
            self.summary.verified += 1;
            return Ok(deliver(placed, Check::Verified(algorithm)));
        }
        self.summary.damaged += 1;
        if self.options.verify == Verify::Report {
            return Ok(deliver(placed, Check::Mismatch { expected, found }));
        }
        let Placed { number, position, .. } = placed;
        let disk = self.disk().map(|disk| disk.id.clone()).unwrap_or_default();
        Err(Error::Checksum {
            position,
            disk,
            number,
            expected,
            found,
        })
    }

    /// Delivers a block behind which no checksum came.
    fn without_checksum(&mut self, placed: Placed) -> Option<Step> {
        let table_follows = self.ova.as_ref().is_some_and(|ova| ova.version().export_vsn < 2);
        let check = match self.options.verify {
            Verify::Off => Check::Off,
            _ if table_follows => {
                let (disk, data) = (self.summary.disks.len() - 1, &self.buffer[..placed.len as usize]);
                match self.deferred.remember(disk, placed.number, placed.position, data) {
                    true => Check::Deferred,
                    false => Check::Missing,
                }
            }
            _ => Check::Missing,
        };
        self.unverified(placed, check)
    }

    fn unverified(&mut self, placed: Placed, check: Check) -> Option<Step> {
        self.summary.unverified += 1;
        deliver(placed, check)
    }

    fn end_at(&self, place: Option<Place>) -> Stage {
        Stage::Ending(Ending {
            place,
            checksum_due: self.pending.is_some() && self.summary.verified > 0,
        })
    }

    fn ending(&mut self, ending: Ending) -> Result<Option<Step>> {
        if let Some(pending) = self.pending.take() {
            self.stage = Stage::Ending(ending);
            return Ok(self.without_checksum(pending));
        }
        if let Some(ova) = &self.ova {
            let present = |id: &str| self.summary.disks.iter().any(|disk| disk.id == id);
            let exported = ova.vdis().iter().filter(|vdi| vdi.is_exported && !present(&vdi.id));
            self.summary.missing = exported.map(|vdi| vdi.id.clone()).collect();
        }
        if let Some(place) = &ending.place {
            let only_zeros_missing = matches!(place, Place::AfterEntry { .. }) && !ending.checksum_due;
            let known = self.ova.is_some() && self.summary.disks.iter().all(DiskReport::is_complete);
            if !(only_zeros_missing && known && self.summary.missing.is_empty()) {
                return Err(self.truncated(place.clone()));
            }
        }
        self.summary.end_blocks = ending.place.is_none();
        if self.disk_open {
            self.stage = Stage::Ending(ending);
            return self.end_disk().map(Some);
        }
        self.stage = Stage::Over;
        Ok(Some(Step::End))
    }

    fn truncated(&self, place: Place) -> Error {
        let open = self.disk().filter(|disk| self.disk_open && !disk.is_complete());
        let disk = open.map(|disk| DiskProgress {
            id: disk.id.clone(),
            end: disk.end,
            virtual_size: disk.virtual_size,
        });
        let truncation = Truncation {
            place,
            disk,
            missing: self.summary.missing.clone(),
        };
        Error::Truncated {
            position: self.tar.position(),
            truncation: Box::new(truncation),
        }
    }
}

/// Empty blocks only keep the connection alive.
fn deliver(placed: Placed, check: Check) -> Option<Step> {
    (placed.len > 0).then_some(Step::Block(placed, check))
}
