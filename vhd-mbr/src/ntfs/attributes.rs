use std::fmt;

/// The attributes of a file that Windows shows: read-only, hidden and so on.
///
/// Prints as the letters of `attrib`, in this order: `RHSDALCEPO`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct FileAttributes(
    /// The bits.
    pub u32,
);

impl FileAttributes {
    /// Not to be written.
    pub const READ_ONLY: Self = Self(1);
    /// Not shown.
    pub const HIDDEN: Self = Self(2);
    /// Part of the system.
    pub const SYSTEM: Self = Self(4);
    /// To be archived.
    pub const ARCHIVE: Self = Self(0x20);
    /// Has ranges without clusters.
    pub const SPARSE: Self = Self(0x200);
    /// Has a reparse point.
    pub const REPARSE_POINT: Self = Self(0x400);
    /// Compressed by NTFS, or a directory whose new files will be.
    pub const COMPRESSED: Self = Self(0x800);
    /// Its content is not here now.
    pub const OFFLINE: Self = Self(0x1000);
    /// Encrypted by Windows.
    pub const ENCRYPTED: Self = Self(0x4000);
    /// Fetched from elsewhere when it is opened.
    pub const RECALL_ON_OPEN: Self = Self(0x4_0000);
    /// Fetched from elsewhere when it is read.
    pub const RECALL_ON_DATA_ACCESS: Self = Self(0x40_0000);
    /// A directory, in the copy of the attributes that a directory keeps.
    pub const DIRECTORY: Self = Self(0x1000_0000);

    /// Whether it has all of these.
    pub const fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Whether it has any of these.
    pub const fn intersects(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }
}

impl std::ops::BitOr for FileAttributes {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

const LETTERS: [(FileAttributes, char); 10] = [
    (FileAttributes::READ_ONLY, 'R'),
    (FileAttributes::HIDDEN, 'H'),
    (FileAttributes::SYSTEM, 'S'),
    (FileAttributes::DIRECTORY, 'D'),
    (FileAttributes::ARCHIVE, 'A'),
    (FileAttributes::REPARSE_POINT, 'L'),
    (FileAttributes::COMPRESSED, 'C'),
    (FileAttributes::ENCRYPTED, 'E'),
    (FileAttributes::SPARSE, 'P'),
    (FileAttributes::OFFLINE, 'O'),
];

impl fmt::Display for FileAttributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters: String = LETTERS
            .iter()
            .filter(|(attribute, _)| self.contains(*attribute))
            .map(|(_, letter)| letter)
            .collect();
        f.pad(&letters)
    }
}
