/// What is to become of some bytes of a file.
///
/// ```
/// use vhd_mbr::patch::{Change, Padding};
///
/// let in_place = Change::write(1200, "ttyS0").expecting("tty0 ");
/// let whole = Change::replace("set timeout=1\n", Padding::Newlines);
/// # let _ = (in_place, whole);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) expected: Option<Vec<u8>>,
    /// How to fill the rest of the file, where all of it is replaced.
    pub(super) padding: Option<Padding>,
}

/// What fills the rest of a file whose new content is shorter: its length stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Padding {
    /// Nothing: the new content has to be as long as the old.
    Exact,
    /// Line feeds, as text and scripts bear them.
    Newlines,
    /// Spaces.
    Spaces,
    /// Zeros.
    Zeros,
}

impl Change {
    /// Puts `bytes` at byte `offset` of the file.
    pub fn write(offset: u64, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            offset,
            bytes: bytes.into(),
            expected: None,
            padding: None,
        }
    }

    /// Makes `content` all of the file, filled up to its length.
    pub fn replace(content: impl Into<Vec<u8>>, padding: Padding) -> Self {
        Self {
            padding: Some(padding),
            ..Self::write(0, content)
        }
    }

    /// Only if these bytes stand there now.
    #[must_use]
    pub fn expecting(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.expected = Some(bytes.into());
        self
    }
}

impl Padding {
    pub(super) fn byte(self) -> Option<u8> {
        match self {
            Self::Exact => None,
            Self::Newlines => Some(b'\n'),
            Self::Spaces => Some(b' '),
            Self::Zeros => Some(0),
        }
    }
}
