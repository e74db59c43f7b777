//! The entries of a tar archive, with every oddity told instead of refused.

use std::io::Read;
use std::ops::Range;

use super::window::Window;
use crate::tar::{BLOCK, EXTENSION_LIMIT, Header, Kind, Pax, padded, text};

/// An entry whose content comes next.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Where its first header starts.
    pub(crate) position: u64,
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) regular: bool,
    /// Whether a header writes its checksum in a way that no known program does.
    pub(crate) odd_header: bool,
}

pub(crate) enum Step {
    Entry(Entry),
    /// No header where one was due. Nothing was passed over since the position.
    Bad {
        position: u64,
    },
    /// A zero block, and no second one behind.
    LoneZeroBlock {
        position: u64,
    },
    /// The two zero blocks.
    End,
    /// The bytes ended, with so many of a header.
    Over {
        got: usize,
    },
}

/// Content that was read.
pub(crate) struct Content {
    /// How much of it there was.
    pub(crate) got: u64,
    /// The first byte behind it that should be zero and is not.
    pub(crate) padding: Option<u64>,
}

pub(crate) struct Walk<R> {
    pub(crate) window: Window<R>,
    global: Pax,
    extensions: bool,
}

impl<R: Read> Walk<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            window: Window::new(source),
            global: Pax::default(),
            extensions: false,
        }
    }

    pub(crate) fn position(&self) -> u64 {
        self.window.position()
    }

    /// Whether names or sizes stand outside the headers of this archive.
    pub(crate) fn has_extensions(&self) -> bool {
        self.extensions
    }

    pub(crate) fn next(&mut self) -> Step {
        let position = self.position();
        let (mut local, mut long_name, mut odd_header) = (Pax::default(), None, false);
        loop {
            let at = self.position();
            let Ok(raw) = <[u8; BLOCK]>::try_from(self.window.peek(BLOCK)) else {
                return Step::Over {
                    got: self.window.peek(BLOCK).len(),
                };
            };
            if raw == [0; BLOCK] {
                self.window.consume(BLOCK);
                let next = self.window.peek(BLOCK);
                if next.len() == BLOCK && next.iter().all(|&byte| byte == 0) {
                    self.window.consume(BLOCK);
                    return Step::End;
                }
                return Step::LoneZeroBlock { position: at };
            }
            let Some(header) = Header::parse(&raw) else {
                return Step::Bad { position: at };
            };
            odd_header |= !has_known_form(&raw);
            let Some(size) = header.size.filter(|&size| size <= i64::MAX as u64) else {
                return Step::Bad { position: at };
            };
            if !matches!(
                header.kind,
                Kind::LongName | Kind::LongLink | Kind::Pax | Kind::PaxGlobal
            ) {
                let pax = local.or(&self.global);
                if pax.sparse || header.kind == Kind::Sparse {
                    return Step::Bad { position: at };
                }
                self.window.consume(BLOCK);
                let size = if header.kind == Kind::Empty {
                    0
                } else {
                    pax.size.unwrap_or(size)
                };
                return Step::Entry(Entry {
                    position,
                    name: pax.path.or(long_name).unwrap_or(header.name),
                    size: size.min(i64::MAX as u64),
                    regular: header.kind == Kind::Regular,
                    odd_header,
                });
            }
            if size > EXTENSION_LIMIT {
                return Step::Bad { position: at };
            }
            let whole = BLOCK + padded(size) as usize;
            let Some(content) = self.window.peek(whole).get(BLOCK..BLOCK + size as usize) else {
                return Step::Bad { position: at };
            };
            let understood = match header.kind {
                Kind::LongName => {
                    long_name = Some(text(content));
                    Some(())
                }
                Kind::Pax => local.merge(content),
                Kind::PaxGlobal => self.global.merge(content),
                _ => Some(()),
            };
            if understood.is_none() {
                return Step::Bad { position: at };
            }
            self.extensions = true;
            self.window.consume(whole);
        }
    }

    /// Reads an entry's content into `target`, which is emptied before.
    pub(crate) fn content(&mut self, size: u64, target: &mut Vec<u8>) -> Content {
        target.clear();
        let got = self.window.read_into(target, size);
        self.padding(size, got)
    }

    /// Passes over an entry's content.
    pub(crate) fn skip(&mut self, size: u64) -> Content {
        let got = self.window.each_piece(size, |_, _| {});
        self.padding(size, got)
    }

    fn padding(&mut self, size: u64, got: u64) -> Content {
        let mut first = None;
        if got == size {
            self.window.each_piece(padded(size) - size, |position, piece| {
                let odd = piece.iter().position(|&byte| byte != 0);
                first = first.or(odd.map(|at| position + at as u64));
            });
        }
        Content { got, padding: first }
    }

    /// The header that stands `distance` bytes ahead, unless there is none.
    pub(crate) fn header_ahead(&mut self, distance: usize) -> Option<Header> {
        let end = distance.checked_add(BLOCK)?;
        let raw: &[u8; BLOCK] = self.window.peek(end).get(distance..)?.try_into().ok()?;
        if raw[..4] == [0; 4] {
            return None;
        }
        Header::parse(raw)
    }

    /// The bytes ahead in this range, unless the archive ends before.
    pub(crate) fn ahead(&mut self, range: Range<usize>) -> Option<&[u8]> {
        self.window.peek(range.end).get(range)
    }
}

/// Whether a header's checksum is written as xapi does (seven digits, NUL) or most others (six digits, NUL, space).
///
/// The checksum covers every byte of a header but its own eight. Of those a reader skips the ones around the digits.
fn has_known_form(raw: &[u8; BLOCK]) -> bool {
    let field = &raw[148..156];
    let digits = field.iter().take_while(|byte| byte.is_ascii_digit()).count();
    matches!((digits, &field[digits..]), (7, b"\0") | (6, b"\0 " | b" \0"))
}
