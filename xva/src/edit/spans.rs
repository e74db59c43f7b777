//! Finds where values stand in the text of ova.xml.

use std::ops::Range;

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::ova::OvaError;

type Result<T> = std::result::Result<T, OvaError>;

/// An element: all of it, and what stands between its tags (empty for `<value/>`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) whole: Range<usize>,
    pub(super) inside: Range<usize>,
}

impl Element {
    /// Whether it has one tag only, `<value/>`.
    pub(super) fn is_one_tag(&self) -> bool {
        self.inside.end == self.whole.end
    }
}

/// The member of a struct.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) whole: Range<usize>,
    pub(super) value: Element,
}

/// Text with places in it, all counted from its start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spans<'a>(pub(super) &'a str);

impl Spans<'_> {
    /// The elements that stand side by side in a part of the text.
    pub(super) fn elements(self, part: Range<usize>) -> Result<Vec<Element>> {
        let mut elements = Vec::new();
        self.each(part, |element| {
            elements.push(element);
            Ok(())
        })?;
        Ok(elements)
    }

    fn each(self, part: Range<usize>, mut found: impl FnMut(Element) -> Result<()>) -> Result<()> {
        let mut reader = Reader::from_str(&self.0[part.clone()]);
        let at = |position: u64| part.start + position as usize;
        loop {
            let start = at(reader.buffer_position());
            let error = |problem: String| OvaError {
                at: start as u64,
                problem,
            };
            let event = reader.read_event().map_err(|_| error("malformed XML".into()))?;
            let end = at(reader.buffer_position());
            match event {
                Event::Eof => return Ok(()),
                Event::Empty(tag) => found(Element {
                    name: tag.name().as_ref().into(),
                    whole: start..end,
                    inside: end..end,
                })?,
                Event::Start(tag) => {
                    let inside = reader
                        .read_to_end(tag.name())
                        .map_err(|_| error("malformed XML".into()))?;
                    found(Element {
                        name: tag.name().as_ref().into(),
                        whole: start..at(reader.buffer_position()),
                        inside: at(inside.start)..at(inside.end),
                    })?;
                }
                _ => {}
            }
        }
    }

    /// The only element inside another; `None` where there is text or nothing.
    pub(super) fn only(self, element: &Element) -> Result<Option<Element>> {
        Ok(self.elements(element.inside.clone())?.into_iter().next())
    }

    /// The struct, array or scalar type inside of a value where it has this name.
    pub(super) fn typed(self, value: &Element, name: &str) -> Result<Option<Element>> {
        Ok(self.only(value)?.filter(|inner| inner.name == name))
    }

    /// Calls `found` for the members of a struct, one by one.
    pub(super) fn each_member(self, record: &Element, mut found: impl FnMut(Member) -> Result<()>) -> Result<()> {
        self.each(record.inside.clone(), |member| {
            let parts = self.elements(member.inside.clone())?;
            let part = |name: &str| parts.iter().find(|part| part.name == name);
            match (part("name"), part("value")) {
                (Some(name), Some(value)) => found(Member {
                    name: self.text(name)?,
                    value: value.clone(),
                    whole: member.whole,
                }),
                _ => Err(OvaError {
                    at: member.whole.start as u64,
                    problem: "a member without a name or a value".into(),
                }),
            }
        })
    }

    /// The member of a struct with this name.
    pub(super) fn member(self, record: &Element, name: &str) -> Result<Option<Member>> {
        let mut wanted = None;
        self.each_member(record, |member| {
            if wanted.is_none() && member.name == name {
                wanted = Some(member);
            }
            Ok(())
        })?;
        Ok(wanted)
    }

    /// What an element says that holds only text.
    pub(super) fn text(self, element: &Element) -> Result<String> {
        let text = quick_xml::escape::unescape(&self.0[element.inside.clone()]);
        text.map(String::from).map_err(|_| OvaError {
            at: element.inside.start as u64,
            problem: "an unknown entity".into(),
        })
    }
}
