//! Walking over the XML of metrics, which has elements and text and nothing else of note.

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, Event};

use super::MetricsError;
use super::error::reason;

/// How deep elements stand in each other at most; metrics need six levels.
const MAX_DEPTH: usize = 16;
/// The longest text that one element holds.
const MAX_TEXT: usize = 1 << 12;

/// Calls `visit` at the end of each element with its path from the root, the names joined by slashes, and its text.
pub(super) fn walk(
    document: &str,
    mut visit: impl FnMut(&str, &str) -> Result<(), MetricsError>,
) -> Result<(), MetricsError> {
    let mut reader = quick_xml::Reader::from_str(document);
    reader.config_mut().expand_empty_elements = true;
    let mut path = String::new();
    // How long the path was before each element that is open.
    let mut open = Vec::new();
    let mut is_begun = false;
    let mut text = String::new();
    loop {
        let at = reader.buffer_position();
        let broken = |what: &str| MetricsError::Xml {
            offset: at,
            reason: what.to_owned(),
        };
        let event = reader.read_event().map_err(|error| MetricsError::Xml {
            offset: reader.error_position(),
            reason: reason(&error),
        })?;
        match event {
            Event::Start(start) => {
                if open.len() == MAX_DEPTH {
                    return Err(broken("the elements nest too deep"));
                }
                if open.is_empty() && is_begun {
                    return Err(broken("a second document follows"));
                }
                is_begun = true;
                open.push(path.len());
                if !path.is_empty() {
                    path.push('/');
                }
                path.push_str(start.local_name().as_ref());
                text.clear();
            }
            Event::End(_) => {
                visit(&path, &text)?;
                text.clear();
                path.truncate(open.pop().unwrap_or_default());
            }
            Event::Text(piece) if !open.is_empty() => text.push_str(&piece),
            Event::CData(piece) if !open.is_empty() => text.push_str(&piece),
            Event::GeneralRef(reference) if !open.is_empty() => match character(&reference) {
                Some(Meaning::Char(meant)) => text.push(meant),
                Some(Meaning::Text(meant)) => text.push_str(meant),
                None => return Err(broken("an unknown entity")),
            },
            Event::Eof if open.is_empty() && is_begun => return Ok(()),
            Event::Eof => return Err(broken("the document ends too early")),
            _ => {}
        }
        if text.len() > MAX_TEXT {
            return Err(broken("an element holds too much text"));
        }
    }
}

enum Meaning {
    Char(char),
    Text(&'static str),
}

/// What `&amp;` or `&#38;` stand for.
fn character(reference: &BytesRef<'_>) -> Option<Meaning> {
    match reference.resolve_char_ref() {
        Ok(Some(meant)) => Some(Meaning::Char(meant)),
        Ok(None) => resolve_predefined_entity(reference).map(Meaning::Text),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(document: &str) -> Result<Vec<(String, String)>, MetricsError> {
        let mut found = Vec::new();
        walk(document, |path, text| {
            found.push((path.to_owned(), text.to_owned()));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn elements_come_with_their_paths_and_texts() {
        let found =
            leaves("<?xml version=\"1.0\"?>\n<a>\n<b>1 &lt; &#50;</b><c/><!-- no --><d><![CDATA[<&>]]></d></a>\n");
        let expected = [("a/b", "1 < 2"), ("a/c", ""), ("a/d", "<&>"), ("a", "")];
        let expected = expected.map(|(path, text)| (path.to_owned(), text.to_owned()));
        assert_eq!(found.unwrap(), expected);
    }

    #[test]
    fn broken_documents_are_errors() {
        let deep = "<a>".repeat(1000);
        let long = format!("<a>{}</a>", "x".repeat(MAX_TEXT + 1));
        for document in [
            "",
            "text",
            "<a>",
            "<a></b>",
            "</a>",
            "<a/><b/>",
            "<a>&what;</a>",
            "<a",
            &deep,
            &long,
        ] {
            leaves(document).expect_err(document);
        }
    }
}
