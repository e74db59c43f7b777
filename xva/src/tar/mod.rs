//! The tar container as a state machine without I/O.
//!
//! [`Tar`] asks for exactly the bytes it needs next ([`Tar::space`]) and so never reads ahead. It resolves long names
//! and extended headers itself, offers every other entry to its user, and leaves to him whether to collect or to skip
//! the content.

mod compose;
mod header;
mod pax;

pub(crate) use compose::compose;
pub(crate) use header::{Header, Kind, text};
pub(crate) use pax::Pax;

use crate::error::{Error, LooksLike, Place, Result};

/// Headers and the padding of contents come in units of this many bytes.
pub(crate) const BLOCK: usize = 512;

/// Long names and extended headers above this are not genuine.
pub(crate) const EXTENSION_LIMIT: u64 = 1 << 20;

/// Buffers grow by at most this much ahead of the bytes that fill them, so a false size costs no memory.
const GROWTH: usize = 1 << 20;

/// Skipped content passes through a buffer of this size.
const SCRATCH: usize = 64 << 10;

/// An entry whose content comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where its header starts.
    pub(crate) position: u64,
    pub(crate) name: String,
    /// Bytes of content.
    pub(crate) size: u64,
    pub(crate) regular: bool,
}

/// What [`Tar::poll`] found.
#[derive(Debug)]
pub(crate) enum Item {
    /// An entry begins: call [`Tar::collect`] or [`Tar::skip`].
    Entry(Entry),
    /// The content asked for is complete: call [`Tar::take`].
    Content,
    /// The two zero blocks.
    End,
    /// The source ended early.
    Eof(Place),
}

#[derive(Debug)]
enum State {
    Header,
    Offered,
    Content { purpose: Purpose, size: u64, filled: usize },
    Skip { left: u64 },
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    User,
    LongName,
    Pax,
    PaxGlobal,
}

#[derive(Debug)]
pub(crate) struct Tar {
    state: State,
    header: [u8; BLOCK],
    header_filled: usize,
    /// Bytes of archive taken so far.
    position: u64,
    /// Where the header of the entry at hand starts.
    entry_position: u64,
    /// The entry at hand: its name and length, for messages.
    name: String,
    size: u64,
    content: Vec<u8>,
    scratch: Vec<u8>,
    zero_blocks: u8,
    long_name: Option<String>,
    local: Pax,
    global: Pax,
    eof: bool,
    trailing: u64,
}

impl Tar {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Header,
            header: [0; BLOCK],
            header_filled: 0,
            position: 0,
            entry_position: 0,
            name: String::new(),
            size: 0,
            content: Vec::new(),
            scratch: Vec::new(),
            zero_blocks: 0,
            long_name: None,
            local: Pax::default(),
            global: Pax::default(),
            eof: false,
            trailing: 0,
        }
    }

    /// Bytes of archive taken so far.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Bytes taken after the two zero blocks.
    pub(crate) fn trailing(&self) -> u64 {
        self.trailing
    }

    /// Whether extended headers for all further entries have been met.
    pub(crate) fn has_global_attributes(&self) -> bool {
        self.global != Pax::default()
    }

    /// Where the next bytes belong; empty while an entry waits for a decision.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        match self.state {
            State::Header => &mut self.header[self.header_filled..],
            State::Offered => &mut [],
            State::Content { size, filled, .. } => {
                let end = padded(size).min(filled.saturating_add(GROWTH) as u64) as usize;
                if self.content.len() < end {
                    self.content.resize(end, 0);
                }
                &mut self.content[filled..end]
            }
            State::Skip { left } => {
                self.scratch.resize(SCRATCH, 0);
                let end = left.min(SCRATCH as u64) as usize;
                &mut self.scratch[..end]
            }
            State::End => {
                self.scratch.resize(SCRATCH, 0);
                &mut self.scratch
            }
        }
    }

    /// Tells that the first `n` bytes of [`Tar::space`] are filled.
    pub(crate) fn advance(&mut self, n: usize) {
        let n = n.min(self.space().len());
        match &mut self.state {
            State::Header => self.header_filled += n,
            State::Offered => {}
            State::Content { filled, .. } => *filled += n,
            State::Skip { left } => *left -= n as u64,
            State::End => {
                self.trailing = self.trailing.saturating_add(n as u64);
                return;
            }
        }
        self.position = self.position.saturating_add(n as u64);
    }

    /// Tells that no more bytes will come.
    pub(crate) fn end_of_input(&mut self) {
        self.eof = true;
    }

    /// Collects the content of the entry offered last, into `buffer` whose allocation is reused.
    pub(crate) fn collect(&mut self, buffer: Vec<u8>) {
        self.content = buffer;
        self.state = State::Content {
            purpose: Purpose::User,
            size: self.size,
            filled: 0,
        };
    }

    /// Passes over the content of the entry offered last.
    pub(crate) fn skip(&mut self) {
        self.state = State::Skip {
            left: padded(self.size),
        };
    }

    /// The buffer that [`Tar::collect`] was called with; its first bytes, as many as the entry is long, are the
    /// content. What follows is padding and left-overs.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.content)
    }

    /// Goes on as far as the bytes reach; `None` asks for more.
    pub(crate) fn poll(&mut self) -> Result<Option<Item>> {
        loop {
            match self.state {
                State::Header if self.header_filled < BLOCK => return self.starved(),
                State::Header => {
                    self.header_filled = 0;
                    if let Some(item) = self.header()? {
                        return Ok(Some(item));
                    }
                }
                State::Content { size, filled, .. } if (filled as u64) < padded(size) => return self.starved(),
                State::Content { purpose, size, .. } => {
                    self.state = State::Header;
                    if purpose == Purpose::User {
                        return Ok(Some(Item::Content));
                    }
                    let content = self.take();
                    self.extension(purpose, &content[..size as usize])?;
                }
                State::Skip { left: 0 } => self.state = State::Header,
                State::Skip { .. } => return self.starved(),
                State::Offered | State::End => return Ok(None),
            }
        }
    }

    fn starved(&self) -> Result<Option<Item>> {
        if !self.eof {
            return Ok(None);
        }
        let place = match self.state {
            State::Content { size, filled, .. } => self.inside(size.min(filled as u64)),
            State::Skip { left } => self.inside(self.size.min(padded(self.size) - left)),
            _ if self.header_filled > 0 => {
                let looks_like = LooksLike::guess(&self.header[..self.header_filled]);
                if looks_like != LooksLike::Unknown {
                    return Err(Error::NotTar {
                        position: self.position - self.header_filled as u64,
                        looks_like,
                    });
                }
                Place::Header {
                    got: self.header_filled as u64,
                }
            }
            _ if self.position == 0 => Place::Empty,
            _ => Place::AfterEntry {
                name: self.name.clone(),
            },
        };
        Ok(Some(Item::Eof(place)))
    }

    fn inside(&self, got: u64) -> Place {
        Place::Entry {
            name: self.name.clone(),
            got,
            size: self.size,
        }
    }

    /// Handles a complete header block.
    fn header(&mut self) -> Result<Option<Item>> {
        let position = self.position - BLOCK as u64;
        if self.header.iter().all(|&b| b == 0) {
            self.zero_blocks += 1;
            if self.zero_blocks == 2 {
                self.state = State::End;
                return Ok(Some(Item::End));
            }
            return Ok(None);
        }
        self.zero_blocks = 0;
        self.entry_position = position;
        let Some(Header { name, size, kind }) = Header::parse(&self.header) else {
            return Err(Error::NotTar {
                position,
                looks_like: LooksLike::guess(&self.header),
            });
        };
        let purpose = match kind {
            Kind::LongName => Purpose::LongName,
            Kind::Pax => Purpose::Pax,
            Kind::PaxGlobal => Purpose::PaxGlobal,
            Kind::LongLink => {
                (self.name, self.size) = (name, self.checked(size)?);
                self.skip();
                return Ok(None);
            }
            Kind::Regular | Kind::Sparse | Kind::Empty | Kind::Other => return self.offer(name, size, kind).map(Some),
        };
        let size = self.checked(size)?;
        if size > EXTENSION_LIMIT {
            return Err(Error::TooLarge {
                position,
                entry: name,
                size,
                limit: EXTENSION_LIMIT,
            });
        }
        (self.name, self.size) = (name, size);
        self.state = State::Content {
            purpose,
            size,
            filled: 0,
        };
        Ok(None)
    }

    fn offer(&mut self, name: String, size: Option<u64>, kind: Kind) -> Result<Item> {
        let pax = std::mem::take(&mut self.local).or(&self.global);
        let long_name = self.long_name.take();
        let position = self.entry_position;
        self.name = pax.path.or(long_name).unwrap_or(name);
        if pax.sparse || kind == Kind::Sparse {
            return Err(Error::UnsupportedEntry {
                position,
                entry: self.name.clone(),
                kind: "a GNU sparse file",
            });
        }
        self.size = if kind == Kind::Empty {
            0
        } else {
            self.checked(pax.size.or(size))?
        };
        self.state = State::Offered;
        Ok(Item::Entry(Entry {
            position,
            name: self.name.clone(),
            size: self.size,
            regular: kind == Kind::Regular,
        }))
    }

    /// A size that arithmetic on it cannot overflow.
    fn checked(&self, size: Option<u64>) -> Result<u64> {
        size.filter(|&size| size <= i64::MAX as u64).ok_or(Error::Header {
            position: self.entry_position,
            field: "size",
        })
    }

    fn extension(&mut self, purpose: Purpose, content: &[u8]) -> Result<()> {
        let merged = match purpose {
            Purpose::LongName => {
                self.long_name = Some(text(content));
                Some(())
            }
            Purpose::Pax => self.local.merge(content),
            Purpose::PaxGlobal => self.global.merge(content),
            Purpose::User => Some(()),
        };
        merged.ok_or(Error::Header {
            position: self.entry_position,
            field: "pax record",
        })
    }
}

pub(crate) fn padded(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64)
}
