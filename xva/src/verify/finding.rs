//! What can be wrong with an archive.

use std::fmt;
use std::ops::Range;

use crate::ova::OvaError;
use crate::{Digest, Error, LooksLike};

/// Where something is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The bytes of the archive, decompressed, that it is about. A damaged block and its checksum lie in one range, for
    /// nothing tells which of the two was changed.
    pub archive: Range<u64>,
    /// The folder of the disk.
    pub disk: Option<String>,
    /// The number in the block's name.
    pub number: Option<u64>,
    /// The bytes of the disk.
    pub on_disk: Option<Range<u64>>,
}

impl Place {
    pub(crate) fn new(archive: Range<u64>) -> Self {
        Self {
            archive,
            ..Self::default()
        }
    }

    pub(crate) fn disk(mut self, id: &str) -> Self {
        self.disk = Some(id.to_owned());
        self
    }

    pub(crate) fn block(mut self, id: &str, number: u64, on_disk: Option<Range<u64>>) -> Self {
        (self.number, self.on_disk) = (Some(number), on_disk);
        self.disk(id)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}", self.archive.start)?;
        match (&self.disk, self.number) {
            (Some(disk), Some(number)) => write!(f, ", {disk}/{number:08}")?,
            (Some(disk), None) => write!(f, ", disk {disk}")?,
            _ => {}
        }
        match &self.on_disk {
            Some(range) => write!(f, " ({} bytes at {} of the disk)", range.end - range.start, range.start),
            None => Ok(()),
        }
    }
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Nothing is lost, and xapi does not mind as far as is known.
    Note,
    /// Everything is there, but not as xapi writes it.
    Form,
    /// Something is damaged or missing.
    Damage,
}

macro_rules! findings {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* }),* $(,)?) => {
        /// Something that is not as it should be.
        #[derive(Debug)]
        #[non_exhaustive]
        pub enum Finding {
            $($(#[$doc])* #[non_exhaustive] $name {
                /// Where it is.
                place: Place,
                $($(#[$field_doc])* $field: $type,)*
            },)*
        }

        impl Finding {
            /// Where it is.
            pub fn place(&self) -> &Place {
                match self { $(Self::$name { place, .. } => place,)* }
            }
        }
    };
}

findings! {
    /// A tar header does not hold: its own checksum differs, or its fields cannot be.
    DamagedHeader {
        /// What stands there instead.
        looks_like: LooksLike
    },
    /// Bytes that belong to no entry, passed over in search of the next header.
    PassedOver { },
    /// A tar header writes its checksum in an unusual way. Seen nowhere else, it is a changed byte.
    HeaderForm { },
    /// The bytes that fill an entry up to 512 are not zero.
    Padding { },
    /// An entry that is neither metadata nor a block nor a checksum. Folders are no findings.
    UnexpectedEntry {
        /// Its name.
        name: String
    },
    /// An entry is longer than [`Options`](crate::Options) allows and was not read.
    TooLarge {
        /// Its name.
        name: String,
        /// Its length in bytes.
        size: u64
    },
    /// The archive breaks off inside a header or an entry.
    Truncated {
        /// What it breaks off in.
        inside: crate::Place
    },
    /// The two zero blocks that end an archive are not there.
    NoEndBlocks { },
    /// A single zero block stands between entries.
    LoneZeroBlock { },
    /// Zero blocks as they end an archive, and more of it behind.
    EndInTheMiddle { },
    /// Bytes other than zero behind the end.
    TrailingBytes { },
    /// The compressed stream around the archive is damaged. The position is where the archive's bytes end.
    Compression {
        /// What the decoder said.
        error: Error
    },
    /// The compressed stream breaks off, so that its own checksum was not reached.
    CompressionCutOff { },
    /// There is no `ova.xml`.
    MetadataMissing { },
    /// `ova.xml` is not the first entry.
    MetadataNotFirst { },
    /// There is another `ova.xml`. Only the first counts.
    MetadataAgain { },
    /// `ova.xml` cannot be understood.
    MetadataUnreadable {
        /// What is wrong with it.
        error: OvaError
    },
    /// Something in `ova.xml` makes no sense.
    MetadataOdd {
        /// What it is. Values are not quoted.
        what: String
    },
    /// The archive holds metadata and no disk, as `/export_metadata` gives it, though the metadata names disks.
    MetadataOnly { },
    /// The metadata has a layout that today's xapi does not import.
    OldLayout {
        /// The layout, `export_vsn`.
        export_vsn: i64
    },
    /// A block differs from its checksum.
    Damaged {
        /// The checksum that the archive records.
        expected: Digest,
        /// The checksum of the bytes that are there.
        found: Digest
    },
    /// A block without a checksum.
    ChecksumMissing { },
    /// A checksum entry that holds no checksum.
    ChecksumMalformed { },
    /// A checksum in the wrong case or with white space, which xapi takes for another one.
    ChecksumForm { },
    /// The table of checksums at the end of an old archive cannot be read.
    TableUnreadable {
        /// What is wrong with it.
        error: OvaError
    },
    /// A checksum without its block.
    BlockMissing { },
    /// The length of a block is no multiple of 512, or the disk's first block, which sets the width of all gaps, is not
    /// as long as that of the first disk. xapi loses its place there.
    BlockLength { },
    /// A disk does not begin with the block 0.
    FirstBlockMissing { },
    /// A block's number is below the one before it. xapi writes such an archive when it begins a disk anew.
    Backwards {
        /// The number before it.
        previous: u64
    },
    /// A block has the number of the one before it.
    Duplicate { },
    /// A block ends beyond the end of its disk.
    BeyondEnd {
        /// The disk's length in bytes.
        virtual_size: u64
    },
    /// An empty entry behind a disk's last byte, where xapi has stopped reading the disk.
    BehindEnd { },
    /// The disk is not covered to its end.
    DiskShort {
        /// The disk's length in bytes.
        virtual_size: u64
    },
    /// A disk that the metadata promises is not there.
    DiskMissing { },
    /// A disk that the metadata does not know, or not as one that is exported.
    DiskUnexpected { },
    /// A disk comes behind one whose id is above its own, byte by byte.
    DiskOrder {
        /// The disk before it.
        previous: String
    },
    /// A disk comes back after another one had begun.
    DiskReturned { },
    /// The metadata does not tell how long a disk is.
    SizeUnknown { },
}

impl Finding {
    /// How much it matters.
    pub fn severity(&self) -> Severity {
        match self {
            Self::HeaderForm { .. }
            | Self::Padding { .. }
            | Self::NoEndBlocks { .. }
            | Self::TrailingBytes { .. }
            | Self::MetadataOdd { .. } => Severity::Note,
            Self::UnexpectedEntry { .. }
            | Self::LoneZeroBlock { .. }
            | Self::MetadataMissing { .. }
            | Self::MetadataNotFirst { .. }
            | Self::MetadataAgain { .. }
            | Self::MetadataOnly { .. }
            | Self::OldLayout { .. }
            | Self::ChecksumMissing { .. }
            | Self::ChecksumForm { .. }
            | Self::BlockLength { .. }
            | Self::BehindEnd { .. }
            | Self::DiskOrder { .. }
            | Self::SizeUnknown { .. } => Severity::Form,
            _ => Severity::Damage,
        }
    }

    /// Whether xapi refuses an archive for it, or imports something else than the archive holds.
    pub fn prevents_import(&self) -> bool {
        self.severity() > Severity::Note
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place())?;
        match self {
            Self::DamagedHeader {
                looks_like: LooksLike::Unknown,
                ..
            } => f.write_str("damaged tar header"),
            Self::DamagedHeader { looks_like, .. } => write!(f, "no tar header: {looks_like}"),
            Self::PassedOver { place } => {
                let len = place.archive.end - place.archive.start;
                write!(f, "{len} bytes passed over up to the next header")
            }
            Self::HeaderForm { .. } => f.write_str("the header's checksum is written in an unusual way"),
            Self::Padding { .. } => f.write_str("the padding of an entry is not zero"),
            Self::UnexpectedEntry { name, .. } => write!(f, "unexpected entry {name:?}"),
            Self::TooLarge { name, size, .. } => write!(f, "entry {name:?} of {size} bytes is above the limit"),
            Self::Truncated { inside, .. } => write!(f, "the archive is cut off: {inside}"),
            Self::NoEndBlocks { .. } => f.write_str("the two zero blocks at the end are missing"),
            Self::LoneZeroBlock { .. } => f.write_str("a single zero block between entries"),
            Self::EndInTheMiddle { .. } => f.write_str("the archive ends here, and more of it follows"),
            Self::TrailingBytes { .. } => f.write_str("bytes other than zero behind the end"),
            Self::Compression { error, .. } => write!(f, "{error}"),
            Self::CompressionCutOff { .. } => f.write_str("the compressed stream is cut off"),
            Self::MetadataMissing { .. } => f.write_str("ova.xml is missing"),
            Self::MetadataNotFirst { .. } => f.write_str("ova.xml is not the first entry"),
            Self::MetadataAgain { .. } => f.write_str("another ova.xml"),
            Self::MetadataUnreadable { error, .. } => write!(f, "ova.xml cannot be read: {error}"),
            Self::MetadataOdd { what, .. } => write!(f, "in ova.xml, {what}"),
            Self::MetadataOnly { .. } => f.write_str("metadata without the disks it names"),
            Self::OldLayout { export_vsn, .. } => {
                write!(
                    f,
                    "the layout is version {export_vsn}, which today's xapi does not import"
                )
            }
            Self::Damaged { expected, found, .. } => {
                write!(f, "damaged: the checksum is {found}, recorded is {expected}")
            }
            Self::ChecksumMissing { .. } => f.write_str("no checksum follows the block"),
            Self::ChecksumMalformed { .. } => f.write_str("the checksum entry holds no checksum"),
            Self::ChecksumForm { .. } => f.write_str("the checksum is not written as xapi writes it"),
            Self::TableUnreadable { error, .. } => write!(f, "the table of checksums cannot be read: {error}"),
            Self::BlockMissing { .. } => f.write_str("the block is missing, only its checksum is there"),
            Self::BlockLength { .. } => f.write_str("xapi loses its place behind a block of this length"),
            Self::FirstBlockMissing { .. } => f.write_str("the disk does not begin with its first block"),
            Self::Backwards { previous, .. } => write!(f, "the number goes backwards after {previous:08}"),
            Self::Duplicate { .. } => f.write_str("the number comes twice"),
            Self::BeyondEnd { virtual_size, .. } => write!(f, "beyond the end of the disk at {virtual_size}"),
            Self::BehindEnd { .. } => f.write_str("an empty entry behind the end of the disk"),
            Self::DiskShort { virtual_size, .. } => write!(f, "missing up to the end of the disk at {virtual_size}"),
            Self::DiskMissing { .. } => f.write_str("the disk is missing"),
            Self::DiskUnexpected { .. } => f.write_str("the metadata expects no such disk"),
            Self::DiskOrder { previous, .. } => write!(f, "the disk should come before {previous}"),
            Self::DiskReturned { .. } => f.write_str("the disk comes back after another one"),
            Self::SizeUnknown { .. } => f.write_str("the metadata does not give the disk's size"),
        }
    }
}
