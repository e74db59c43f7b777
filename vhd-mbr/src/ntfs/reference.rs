use std::fmt;

/// Which file record, and of which file that has used it.
///
/// Prints as `record:sequence`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileReference {
    /// The number of the record.
    pub record: u64,
    /// How often the record has been used; 0 stands for any.
    pub sequence: u16,
}

impl FileReference {
    /// The root directory of every volume.
    pub const ROOT: Self = Self::any(5);

    /// Whatever file is in this record.
    pub const fn any(record: u64) -> Self {
        Self { record, sequence: 0 }
    }

    pub(super) const fn from_raw(raw: u64) -> Self {
        Self {
            record: raw & 0xffff_ffff_ffff,
            sequence: (raw >> 48) as u16,
        }
    }

    /// Whether both are the same file, as far as they say.
    pub(super) const fn agrees(self, other: Self) -> bool {
        self.record == other.record && (self.sequence == other.sequence || self.sequence == 0 || other.sequence == 0)
    }
}

impl fmt::Display for FileReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.record, self.sequence)
    }
}
