//! Reads the XML-RPC values that ova.xml is made of.

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::Value;

/// Values nested deeper than this are not genuine.
const DEPTH_LIMIT: usize = 64;

/// Why `ova.xml`, or another XML-RPC value of an archive, cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at byte {at} of the XML")]
#[non_exhaustive]
pub struct OvaError {
    /// Where, in bytes from the start of the XML.
    pub at: u64,
    /// What is wrong. Content is never quoted, for it can be secret.
    pub problem: String,
}

type Result<T> = std::result::Result<T, OvaError>;

/// A scanner that stands somewhere in the XML. Its methods take up and leave off between tags.
pub(super) struct Scanner<'a> {
    reader: quick_xml::Reader<&'a [u8]>,
    depth: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(xml: &'a str) -> Self {
        let mut reader = quick_xml::Reader::from_str(xml);
        reader.config_mut().expand_empty_elements = true;
        Self { reader, depth: 0 }
    }

    pub(super) fn error(&self, problem: impl Into<String>) -> OvaError {
        OvaError {
            at: self.reader.buffer_position(),
            problem: problem.into(),
        }
    }

    fn event(&mut self) -> Result<Event<'a>> {
        match self.reader.read_event() {
            Ok(Event::Eof) => Err(self.error("the XML ends early")),
            Ok(event) => Ok(event),
            Err(quick_xml::Error::Syntax(error)) => Err(self.error(error.to_string())),
            Err(_) => Err(self.error("malformed XML")),
        }
    }

    /// The next tag, white space and comments before it passed over. `None` is an end tag.
    fn tag(&mut self) -> Result<Option<BytesStart<'a>>> {
        loop {
            match self.event()? {
                Event::Start(start) => return Ok(Some(start)),
                Event::End(_) => return Ok(None),
                Event::Text(text) if text.trim_ascii().is_empty() => {}
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                _ => return Err(self.error("text where a tag was due")),
            }
        }
    }

    /// Passes over the start tag called `name`; `false` where an end tag stands instead.
    fn enter(&mut self, name: &str) -> Result<bool> {
        match self.tag()? {
            Some(start) if is(&start, name) => Ok(true),
            Some(start) if is(&start, "appliance") => Err(self.error(
                "an <appliance>: this archive has the format of version 0.1 (Zurich, Geneva); read it with `xva::chunked`",
            )),
            Some(_) => Err(self.error(format!("another tag where <{name}> was due"))),
            None => Ok(false),
        }
    }

    fn require(&mut self, name: &str) -> Result<()> {
        if self.enter(name)? {
            Ok(())
        } else {
            Err(self.error(format!("an end tag where <{name}> was due")))
        }
    }

    fn leave(&mut self) -> Result<()> {
        match self.tag()? {
            None => Ok(()),
            Some(_) => Err(self.error("a start tag where an end tag was due")),
        }
    }

    /// A whole `<value>`.
    pub(super) fn value(&mut self) -> Result<Value> {
        self.require("value")?;
        self.value_inside()
    }

    /// Walks the members of the struct that the next `<value>` holds.
    pub(super) fn walk_struct(&mut self, mut member: impl FnMut(&mut Self, String) -> Result<()>) -> Result<()> {
        self.require("value")?;
        self.require("struct")?;
        self.members(&mut member)?;
        self.leave()
    }

    /// Walks the elements of the array that the next `<value>` holds.
    pub(super) fn walk_array(&mut self, mut element: impl FnMut(Value) -> Result<()>) -> Result<()> {
        self.require("value")?;
        self.require("array")?;
        self.elements(&mut element)?;
        self.leave()
    }

    fn members(&mut self, member: &mut dyn FnMut(&mut Self, String) -> Result<()>) -> Result<()> {
        while self.enter("member")? {
            self.require("name")?;
            let name = self.text(String::new())?;
            member(self, name)?;
            self.leave()?;
        }
        Ok(())
    }

    fn elements(&mut self, element: &mut dyn FnMut(Value) -> Result<()>) -> Result<()> {
        if self.enter("data")? {
            while self.enter("value")? {
                element(self.value_inside()?)?;
            }
            self.leave()?;
        }
        Ok(())
    }

    /// The rest of a value whose start tag has been passed.
    fn value_inside(&mut self) -> Result<Value> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            return Err(self.error(format!("values nested deeper than {DEPTH_LIMIT}")));
        }
        let mut text = String::new();
        let value = loop {
            match self.event()? {
                Event::Start(start) if text.trim_ascii().is_empty() => {
                    let value = self.typed(&start)?;
                    self.leave()?;
                    break value;
                }
                Event::End(_) => break Value::Text(text),
                event => self.append(&mut text, event)?,
            }
        };
        self.depth -= 1;
        Ok(value)
    }

    /// The rest of the element inside a value that tells its type.
    fn typed(&mut self, start: &BytesStart<'a>) -> Result<Value> {
        match start.name().as_ref() {
            "struct" => {
                let mut members = Vec::new();
                self.members(&mut |scanner, name| {
                    members.push((name, scanner.value()?));
                    Ok(())
                })?;
                Ok(Value::Struct(members))
            }
            "array" => {
                let mut items = Vec::new();
                self.elements(&mut |value| {
                    items.push(value);
                    Ok(())
                })?;
                Ok(Value::Array(items))
            }
            "nil" => self.leave().map(|()| Value::Nil),
            _ => self.text(String::new()).map(Value::Text),
        }
    }

    /// The rest of an element that holds only text.
    fn text(&mut self, mut text: String) -> Result<String> {
        loop {
            match self.event()? {
                Event::End(_) => return Ok(text),
                event => self.append(&mut text, event)?,
            }
        }
    }

    fn append(&self, text: &mut String, event: Event<'a>) -> Result<()> {
        match event {
            Event::Text(part) => text.push_str(&part.into_inner()),
            Event::CData(part) => text.push_str(&part.into_inner()),
            Event::GeneralRef(entity) => self.resolve(text, &entity)?,
            Event::Comment(_) => {}
            _ => return Err(self.error("a tag where text was due")),
        }
        Ok(())
    }

    fn resolve(&self, text: &mut String, entity: &BytesRef<'a>) -> Result<()> {
        match entity.resolve_char_ref() {
            Ok(Some(char)) => text.push(char),
            Ok(None) => match resolve_predefined_entity(entity) {
                Some(known) => text.push_str(known),
                None => return Err(self.error("an unknown entity")),
            },
            Err(_) => return Err(self.error("a bad character reference")),
        }
        Ok(())
    }
}

fn is(start: &BytesStart<'_>, name: &str) -> bool {
    start.name().as_ref() == name
}
