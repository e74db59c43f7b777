//! Text as XML holds it.

use std::borrow::Cow;

/// Whether XML can carry every character of the text.
pub(crate) fn is_xml_text(text: &str) -> bool {
    text.chars().all(|char| match char {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        char => char >= ' ',
    })
}

/// The text with entities in place of the characters that have a meaning in XML.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    quick_xml::escape::escape(text)
}
