//! The tags and texts of XML-RPC, found byte by byte.
//!
//! XML-RPC has a dozen tags and neither attributes nor namespaces, so this looks for the next `<` where a parser of
//! XML would make events. The forms that xapi writes are compared as a whole; every other form that means the same
//! (white space and comments between tags, empty elements, CDATA) takes the slower way.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memmem};

use super::entity;
use crate::{DecodeError, MAX_DEPTH};

/// A position in a message, and how many arrays and structs are open there.
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

/// What a `<value>` holds. Scalars are read to the end of the value, the others up to their first member.
pub(super) enum Start<'a> {
    Scalar(Kind, Cow<'a, str>),
    Nil,
    /// Go on with [`Scanner::next_item`].
    Array,
    NoItems,
    /// Go on with [`Scanner::next_member`].
    Struct,
    NoMembers,
}

/// The tag around a scalar.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// None, or `<string>`: text, or an integer as xapi writes it.
    Text,
    Int,
    Double,
    Boolean,
    DateTime,
}

/// A tag by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag<'a> {
    Open(&'a str),
    Close(&'a str),
    Empty(&'a str),
}

const BYTE_ORDER_MARK: char = '\u{feff}';
const VALUE: &str = "<value>";
const END_VALUE: &str = "</value>";

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mark = if text.starts_with(BYTE_ORDER_MARK) {
            BYTE_ORDER_MARK.len_utf8()
        } else {
            0
        };
        Self {
            text,
            at: mark,
            depth: 0,
        }
    }

    /// The byte at which the scanner stands.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// A copy of the position, to come back to.
    pub(super) fn fork(&self) -> Self {
        Self { ..*self }
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The text from the position on, for `length` bytes.
    fn ahead(&self, length: usize) -> &'a str {
        self.at
            .checked_add(length)
            .and_then(|end| self.text.get(self.at..end))
            .unwrap_or_default()
    }

    /// Goes past the literal if it stands here.
    #[inline]
    fn eat(&mut self, literal: &str) -> bool {
        let found = self.rest().starts_with(literal.as_bytes());
        if found {
            self.at += literal.len();
        }
        found
    }

    /// Reads `<value>` and what it starts with.
    pub(super) fn value(&mut self) -> Result<Start<'a>, DecodeError> {
        if !self.eat(VALUE) {
            let here = self.at;
            match self.tag()? {
                Tag::Open("value") => {}
                Tag::Empty("value") => return Ok(Start::Scalar(Kind::Text, Cow::Borrowed(""))),
                other => return Err(unexpected(other, "a value", here)),
            }
        }
        let inside = self.at;
        if let Some(b'<' | b' ' | b'\t' | b'\r' | b'\n') = self.rest().first() {
            self.skip_misc()?;
            if let [b'<', b'a'..=b'z' | b'A'..=b'Z', ..] = self.rest() {
                return self.typed();
            }
            self.at = inside;
        }
        Ok(Start::Scalar(Kind::Text, self.text(END_VALUE)?))
    }

    fn typed(&mut self) -> Result<Start<'a>, DecodeError> {
        let here = self.at;
        let (kind, end) = match self.tag()? {
            Tag::Open("struct") => {
                self.enter(here)?;
                return Ok(Start::Struct);
            }
            Tag::Open("array") => return self.array(),
            Tag::Open("boolean") => (Kind::Boolean, "</boolean>"),
            Tag::Open("double") => (Kind::Double, "</double>"),
            Tag::Open("dateTime.iso8601") => (Kind::DateTime, "</dateTime.iso8601>"),
            Tag::Open("string") => (Kind::Text, "</string>"),
            Tag::Open("i4") => (Kind::Int, "</i4>"),
            Tag::Open("int") => (Kind::Int, "</int>"),
            Tag::Open("i8") => (Kind::Int, "</i8>"),
            Tag::Open("base64") => (Kind::Text, "</base64>"),
            Tag::Open("nil") => {
                self.end("nil")?;
                self.end_value()?;
                return Ok(Start::Nil);
            }
            Tag::Empty(name) => {
                self.end_value()?;
                return match name {
                    "string" | "base64" => Ok(Start::Scalar(Kind::Text, Cow::Borrowed(""))),
                    "dateTime.iso8601" => Ok(Start::Scalar(Kind::DateTime, Cow::Borrowed(""))),
                    "struct" => Ok(Start::NoMembers),
                    "array" => Ok(Start::NoItems),
                    "nil" => Ok(Start::Nil),
                    _ => Err(unexpected(Tag::Empty(name), "a value", here)),
                };
            }
            other => return Err(unexpected(other, "a value", here)),
        };
        let text = self.text(end)?;
        self.end_value()?;
        Ok(Start::Scalar(kind, text))
    }

    fn array(&mut self) -> Result<Start<'a>, DecodeError> {
        let here = self.at;
        match self.tag()? {
            Tag::Open("data") => {
                self.enter(here)?;
                return Ok(Start::Array);
            }
            Tag::Empty("data") => self.end("array")?,
            Tag::Close("array") => {}
            other => return Err(unexpected(other, "the array's <data>", here)),
        }
        self.end_value()?;
        Ok(Start::NoItems)
    }

    /// Goes on to the array's next value, or past its end.
    pub(super) fn next_item(&mut self) -> Result<bool, DecodeError> {
        if self.rest().starts_with(VALUE.as_bytes()) {
            return Ok(true);
        }
        let here = self.at;
        match self.tag()? {
            Tag::Open("value") | Tag::Empty("value") => {
                self.at = here;
                Ok(true)
            }
            Tag::Close("data") => {
                self.end("array")?;
                self.end_value()?;
                self.leave();
                Ok(false)
            }
            other => Err(unexpected(other, "a value or the end of the array", here)),
        }
    }

    /// Goes past the struct's next name, or past its end.
    pub(super) fn next_member(&mut self) -> Result<Option<Cow<'a, str>>, DecodeError> {
        if self.eat("<member><name>") {
            return self.name().map(Some);
        }
        let here = self.at;
        match self.tag()? {
            Tag::Open("member") => match self.tag()? {
                Tag::Open("name") => self.name().map(Some),
                Tag::Empty("name") => Ok(Some(Cow::Borrowed(""))),
                other => Err(unexpected(other, "the member's <name>", here)),
            },
            Tag::Close("struct") => {
                self.end_value()?;
                self.leave();
                Ok(None)
            }
            other => Err(unexpected(other, "a member or the end of the struct", here)),
        }
    }

    /// Goes past the end of a member.
    #[inline]
    pub(super) fn end_member(&mut self) -> Result<(), DecodeError> {
        if self.eat("</member>") {
            Ok(())
        } else {
            self.end("member")
        }
    }

    #[inline]
    fn end_value(&mut self) -> Result<(), DecodeError> {
        if self.eat(END_VALUE) { Ok(()) } else { self.end("value") }
    }

    /// Goes past the closing tag of this name.
    pub(super) fn end(&mut self, name: &'static str) -> Result<(), DecodeError> {
        let here = self.at;
        match self.tag()? {
            Tag::Close(found) if found == name => Ok(()),
            other => Err(unexpected(other, &format!("</{name}>"), here)),
        }
    }

    /// Goes past the opening tag of this name.
    pub(super) fn open(&mut self, name: &'static str) -> Result<(), DecodeError> {
        let here = self.at;
        match self.tag()? {
            Tag::Open(found) if found == name => Ok(()),
            other => Err(unexpected(other, &format!("<{name}>"), here)),
        }
    }

    /// Goes past a whole value without looking at it.
    pub(super) fn skip_value(&mut self) -> Result<(), DecodeError> {
        let mut open = 0;
        loop {
            let here = self.at;
            let next = memchr(b'<', self.rest()).ok_or_else(|| self.ends("inside a value"))?;
            self.at += next;
            let rest = self.rest();
            if rest.starts_with(b"<value") || rest.starts_with(b"</value") {
                match self.tag()? {
                    Tag::Open("value") if self.depth + open > MAX_DEPTH => return Err(too_deep(here)),
                    Tag::Open("value") => open += 1,
                    Tag::Close("value") if open > 0 => open -= 1,
                    Tag::Close("value") => return Err(unexpected(Tag::Close("value"), "a value", here)),
                    _ => {}
                }
            } else if !self.skip_markup()? {
                self.at += 1;
            }
            if open == 0 {
                return Ok(());
            }
        }
    }

    /// Goes past a tag of any name, and the white space, comments and declarations before it.
    pub(super) fn tag(&mut self) -> Result<Tag<'a>, DecodeError> {
        self.skip_misc()?;
        match self.rest().first() {
            Some(b'<') => self.at += 1,
            Some(_) => return Err(DecodeError::at(self.at, "expected a tag, found text")),
            None => return Err(self.ends("where a tag is missing")),
        }
        let length = memchr(b'>', self.rest()).ok_or_else(|| self.ends("inside a tag"))?;
        let inner = self.ahead(length);
        self.at += length + 1;
        if let Some(name) = inner.strip_prefix('/') {
            return Ok(Tag::Close(name.trim_ascii_end()));
        }
        let (inner, empty) = inner.strip_suffix('/').map_or((inner, false), |inner| (inner, true));
        let name = inner.split_ascii_whitespace().next().unwrap_or_default();
        Ok(if empty { Tag::Empty(name) } else { Tag::Open(name) })
    }

    /// Goes past white space, comments and declarations.
    pub(super) fn skip_misc(&mut self) -> Result<(), DecodeError> {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_ascii_start().len();
            match self.rest() {
                [b'<', b'!', b'[', ..] => return Ok(()),
                [b'<', b'!' | b'?', ..] => self.skip_markup().map(drop)?,
                _ => return Ok(()),
            }
        }
    }

    /// Goes past the end of the message, where nothing but white space and comments is left.
    pub(super) fn finish(&mut self) -> Result<(), DecodeError> {
        self.skip_misc()?;
        if self.rest().is_empty() {
            Ok(())
        } else {
            Err(DecodeError::at(self.at, "more follows the end of the message"))
        }
    }

    /// Goes past a comment, CDATA section, processing instruction or declaration if one stands here.
    fn skip_markup(&mut self) -> Result<bool, DecodeError> {
        let end: &[u8] = match self.rest() {
            rest if rest.starts_with(b"<!--") => b"-->",
            rest if rest.starts_with(entity::CDATA.as_bytes()) => b"]]>",
            [b'<', b'?', ..] => b"?>",
            [b'<', b'!', ..] => b">",
            _ => return Ok(false),
        };
        let length = memmem::find(self.rest(), end).ok_or_else(|| self.ends("inside a comment or declaration"))?;
        self.at += length + end.len();
        Ok(true)
    }

    /// Reads the text up to a closing tag, and goes past that.
    #[inline]
    pub(super) fn text(&mut self, end: &'static str) -> Result<Cow<'a, str>, DecodeError> {
        let rest = self.rest();
        match memchr2(b'<', b'&', rest) {
            Some(length) if rest[length..].starts_with(end.as_bytes()) => {
                let text = self.ahead(length);
                self.at += length + end.len();
                Ok(Cow::Borrowed(text))
            }
            _ => self.mixed_text(end).map(Cow::Owned),
        }
    }

    /// Text with entities, CDATA or comments in it.
    fn mixed_text(&mut self, end: &'static str) -> Result<String, DecodeError> {
        let mut text = String::new();
        loop {
            let length = memchr2(b'<', b'&', self.rest()).ok_or_else(|| self.ends("inside text"))?;
            text.push_str(self.ahead(length));
            self.at += length;
            let here = self.at;
            if self.eat(end) {
                return Ok(text);
            }
            let rest = self.text.get(self.at..).unwrap_or_default();
            if rest.starts_with('&') {
                let (character, length) = entity::read(rest);
                text.push(character);
                self.at += length;
            } else if self.skip_markup()? {
                let passed = self.text.get(here..self.at).unwrap_or_default();
                text.push_str(entity::cdata(passed).unwrap_or_default());
            } else {
                match self.tag()? {
                    Tag::Close(name) if end.strip_prefix("</").and_then(|end| end.strip_suffix('>')) == Some(name) => {
                        return Ok(text);
                    }
                    other => return Err(unexpected(other, end, here)),
                }
            }
        }
    }

    /// Reads a member's name, which xapi does not escape: a lone `&` or `<` in it stands for itself.
    fn name(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        const END: &str = "</name>";
        let rest = self.rest();
        let (length, plain) = match memchr2(b'<', b'&', rest) {
            Some(length) if rest[length..].starts_with(END.as_bytes()) => (length, true),
            _ => (
                memmem::find(rest, END.as_bytes()).ok_or_else(|| self.ends("inside a member's name"))?,
                false,
            ),
        };
        let name = self.ahead(length);
        self.at += length + END.len();
        Ok(if plain {
            Cow::Borrowed(name)
        } else {
            Cow::Owned(entity::unescape(name))
        })
    }

    fn enter(&mut self, here: usize) -> Result<(), DecodeError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            Err(too_deep(here))
        } else {
            Ok(())
        }
    }

    fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    #[cold]
    fn ends(&self, place: &str) -> DecodeError {
        DecodeError::at(self.text.len(), format!("the message ends {place}"))
    }
}

#[cold]
fn too_deep(at: usize) -> DecodeError {
    DecodeError::at(at, format!("values nest deeper than {MAX_DEPTH} levels"))
}

#[cold]
fn unexpected(found: Tag<'_>, expected: &str, at: usize) -> DecodeError {
    let (lead, name, tail) = match found {
        Tag::Open(name) => ("<", name, ">"),
        Tag::Close(name) => ("</", name, ">"),
        Tag::Empty(name) => ("<", name, "/>"),
    };
    let shown: String = name.chars().take(32).collect();
    DecodeError::at(at, format!("expected {expected}, found {lead}{shown}{tail}"))
}
