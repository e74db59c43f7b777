use std::fmt;

use crate::bytes::u16_at;

/// A name as NTFS keeps it: UTF-16 that nobody has checked.
///
/// Prints as text, in which a half of a surrogate pair that stands alone becomes `\u{fffd}`.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u16]>);

impl Name {
    /// The name of these UTF-16 units.
    pub fn from_units(units: impl Into<Box<[u16]>>) -> Self {
        Self(units.into())
    }

    /// Its UTF-16 units.
    pub fn units(&self) -> &[u16] {
        &self.0
    }

    /// Whether it is empty, as that of a file's content.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The name in these bytes of UTF-16, little-endian.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.chunks_exact(2).map(|unit| u16_at(unit, 0)).collect())
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(text.encode_utf16().collect())
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, text: &str) -> bool {
        self.0.iter().copied().eq(text.encode_utf16())
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, text: &&str) -> bool {
        *self == **text
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf16_lossy(&self.0))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf16_lossy(&self.0), f)
    }
}
