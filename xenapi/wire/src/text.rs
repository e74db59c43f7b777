//! Bytes as text.

use std::borrow::Cow;

/// The text of a message, with U+FFFD for what is no UTF-8: plugins put other encodings into their output.
pub(super) fn text_of(message: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(message) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(message),
    }
}
