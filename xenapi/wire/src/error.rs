//! Why bytes could not be read as a value.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

/// Bytes that are no message of XenAPI, or a value that is not of the type wanted.
///
/// It says where: the way from the outermost value ([`path`](Self::path)), the byte ([`offset`](Self::offset)) and a
/// few dozen bytes around it ([`snippet`](Self::snippet)). The whole message is never kept. A snippet can show a
/// session's reference or a password; [`redacted`](Self::redacted) takes out all that came from the message.
#[derive(Clone, PartialEq, Eq)]
pub struct DecodeError(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    reason: String,
    /// Whether the reason may quote what was read.
    quotes: bool,
    /// Innermost first.
    path: Vec<Segment>,
    offset: Option<usize>,
    snippet: Option<String>,
}

/// One step from a value to a value within it.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Member(Box<str>),
    Item(usize),
}

/// The longest reason, key and snippet that are kept.
const LONGEST_REASON: usize = 200;
const LONGEST_KEY: usize = 64;
const BEFORE: usize = 32;
const AFTER: usize = 48;

impl DecodeError {
    /// Where in the message the value stands, for example `result[OpaqueRef:…].VBDs[2]`; empty for the whole of it.
    pub fn path(&self) -> String {
        let mut path = String::new();
        for segment in self.0.path.iter().rev() {
            match segment {
                Segment::Item(index) => path.push_str(&format!("[{index}]")),
                Segment::Member(key) if is_name(key) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                }
                Segment::Member(key) => path.push_str(&format!("[{}]", key.escape_debug())),
            }
        }
        path
    }

    /// The byte of the message at which the value starts or the syntax breaks; `None` for a value that is no longer,
    /// or never was, in a message.
    pub fn offset(&self) -> Option<usize> {
        self.0.offset
    }

    /// About 80 bytes of the message around [`offset`](Self::offset).
    pub fn snippet(&self) -> Option<&str> {
        self.0.snippet.as_deref()
    }

    /// What is wrong, without the place.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// The same error without anything that came from the message: no snippet, no map keys but plain names, no
    /// reason that quotes a value. For replies that hold secrets, such as those to a login.
    #[must_use]
    pub fn redacted(mut self) -> Self {
        self.0.snippet = None;
        if self.0.quotes {
            "the value is refused (hidden, it may be secret)".clone_into(&mut self.0.reason);
        }
        for segment in &mut self.0.path {
            match segment {
                Segment::Member(key) if !is_name(key) => *key = "…".into(),
                _ => {}
            }
        }
        self
    }

    /// A breach of syntax at a byte.
    #[cold]
    pub(super) fn at(offset: usize, reason: impl Into<String>) -> Self {
        Self::build(reason.into(), false, Some(offset))
    }

    /// A value of the wrong kind.
    #[cold]
    pub(super) fn mismatch(expected: &str, found: &str) -> Self {
        Self::build(format!("expected {expected}, found {found}"), false, None)
    }

    fn build(reason: String, quotes: bool, offset: Option<usize>) -> Self {
        Self(Box::new(Inner {
            reason,
            quotes,
            path: Vec::new(),
            offset,
            snippet: None,
        }))
    }

    /// Notes, on the way out, which step led to the failure.
    #[cold]
    pub(super) fn inside(mut self, segment: Segment) -> Self {
        self.0.path.push(segment);
        self
    }

    /// Sets the offset where the failure itself had none.
    #[cold]
    pub(super) fn or_at(mut self, offset: usize) -> Self {
        self.0.offset.get_or_insert(offset);
        self
    }

    /// Cuts the snippet out of the message.
    #[cold]
    pub(super) fn in_message(mut self, message: &[u8]) -> Self {
        if let Some(offset) = self.0.offset {
            let offset = offset.min(message.len());
            let (start, end) = (
                offset.saturating_sub(BEFORE),
                offset.saturating_add(AFTER).min(message.len()),
            );
            let text = message.get(start..end).map(String::from_utf8_lossy).unwrap_or_default();
            let lead = if start > 0 { "…" } else { "" };
            let tail = if end < message.len() { "…" } else { "" };
            self.0.snippet = Some(format!("{lead}{}{tail}", text.trim_matches('\u{fffd}')));
        }
        self
    }

    /// The steps from the outermost value to the one that failed.
    pub(super) fn steps(&self) -> impl Iterator<Item = &Segment> {
        self.0.path.iter().rev()
    }
}

impl Segment {
    pub(super) fn member(key: &str) -> Self {
        match key.char_indices().nth(LONGEST_KEY) {
            Some((end, _)) => Self::Member(format!("{}…", &key[..end]).into()),
            None => Self::Member(key.into()),
        }
    }
}

/// Whether a key looks like the name of a field, so that a dot before it reads well.
fn is_name(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        f.write_str(&self.0.reason)?;
        if let Some(offset) = self.0.offset {
            write!(f, " at byte {offset}")?;
        }
        match &self.0.snippet {
            Some(snippet) => write!(f, ", where the message reads {snippet:?}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecodeError({self})")
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        let reason = match message.char_indices().nth(LONGEST_REASON) {
            Some((end, _)) => format!("{}…", &message[..end]),
            None => message,
        };
        Self::build(reason, true, None)
    }

    #[cold]
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::mismatch(&expected.to_string(), &kind(found))
    }

    #[cold]
    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::mismatch(&expected.to_string(), &kind(found))
    }
}

/// The kind of a value, in the words of XenAPI; text is not quoted, it may be secret.
fn kind(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(truth) => format!("the boolean {truth}"),
        Unexpected::Unsigned(number) => format!("the integer {number}"),
        Unexpected::Signed(number) => format!("the integer {number}"),
        Unexpected::Float(number) => format!("the float {number}"),
        Unexpected::Str(_) | Unexpected::Char(_) => "text".to_owned(),
        Unexpected::Bytes(_) => "a time".to_owned(),
        Unexpected::Unit | Unexpected::Option => "no value".to_owned(),
        Unexpected::Seq => "a set".to_owned(),
        Unexpected::Map => "a map or record".to_owned(),
        other => other.to_string(),
    }
}
