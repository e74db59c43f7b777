use crate::bytes::{u16_at, u32_at};

/// What a reparse point says: that what is meant is elsewhere, or to be read in another way.
///
/// The layouts are those of the Windows SDK (`REPARSE_DATA_BUFFER`) and of \[MS-FSCC\] 2.1.2.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reparse {
    /// A symbolic link.
    Symlink {
        /// Where it leads, as Windows shows it.
        target: String,
        /// Where it leads, as Windows resolves it.
        substitute: String,
        /// Whether that is relative to the link's directory.
        relative: bool,
    },
    /// A directory that stands for another one, or for a volume.
    Junction {
        /// Where it leads, as Windows shows it.
        target: String,
        /// Where it leads, as Windows resolves it.
        substitute: String,
    },
    /// A symbolic link made by Linux under Windows (WSL).
    LinuxSymlink {
        /// Where it leads.
        target: String,
    },
    /// A file that Windows' overlay filter (WOF) has compressed.
    SystemCompressed {
        /// 1 where it is in an image (WIM), 2 where it is in the stream `WofCompressedData`.
        provider: u32,
    },
    /// Anything else.
    Other {
        /// Its tag.
        tag: u32,
    },
}

const JUNCTION: u32 = 0xa000_0003;
const SYMLINK: u32 = 0xa000_000c;
const LINUX_SYMLINK: u32 = 0xa000_001d;
const SYSTEM_COMPRESSED: u32 = 0x8000_0017;
/// Hierarchical storage (twice), single instance storage, images (WIM), deduplication.
const REPLACE_CONTENT: [u32; 5] = [0xc000_0004, 0x8000_0006, 0x8000_0007, 0x8000_0008, 0x8000_0013];

impl Reparse {
    /// Windows makes no longer ones.
    pub(super) const LONGEST: u64 = 16 << 10;

    /// Reads the attribute's value. A known tag with a value that does not fit it is any other.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < 8 {
            return None;
        }
        let tag = u32_at(bytes, 0);
        Some(Self::known(tag, &bytes[8..]).unwrap_or(Self::Other { tag }))
    }

    fn known(tag: u32, data: &[u8]) -> Option<Self> {
        match tag {
            SYMLINK => Some(Self::Symlink {
                target: printed_or_substitute(data, 12)?,
                substitute: text(data, 12, 0)?,
                relative: u32_at(data, 8) & 1 != 0,
            }),
            JUNCTION => Some(Self::Junction {
                target: printed_or_substitute(data, 8)?,
                substitute: text(data, 8, 0)?,
            }),
            LINUX_SYMLINK => Some(Self::LinuxSymlink {
                target: String::from_utf8_lossy(data.get(4..)?).into_owned(),
            }),
            SYSTEM_COMPRESSED => Some(Self::SystemCompressed {
                provider: u32_at(data, 4),
            }),
            _ => None,
        }
    }

    /// Its tag.
    pub const fn tag(&self) -> u32 {
        match self {
            Self::Symlink { .. } => SYMLINK,
            Self::Junction { .. } => JUNCTION,
            Self::LinuxSymlink { .. } => LINUX_SYMLINK,
            Self::SystemCompressed { .. } => SYSTEM_COMPRESSED,
            Self::Other { tag } => *tag,
        }
    }

    /// Where it leads, where it is a link.
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::Symlink { target, .. } | Self::Junction { target, .. } | Self::LinuxSymlink { target } => {
                Some(target)
            }
            _ => None,
        }
    }

    /// Whether the content of the file is not what it stands for.
    pub(super) fn replaces_content(&self) -> bool {
        matches!(self, Self::Other { tag } if REPLACE_CONTENT.contains(tag))
    }
}

/// The name to print, which some programs leave empty.
fn printed_or_substitute(data: &[u8], names: usize) -> Option<String> {
    let printed = text(data, names, 4)?;
    if printed.is_empty() {
        text(data, names, 0)
    } else {
        Some(printed)
    }
}

/// The text whose position and length stand at `at`, in the names that start at `names`.
fn text(data: &[u8], names: usize, at: usize) -> Option<String> {
    let start = names + usize::from(u16_at(data, at));
    let bytes = data.get(start..start + usize::from(u16_at(data, at + 2)))?;
    let units: Vec<u16> = bytes.chunks_exact(2).map(|unit| u16_at(unit, 0)).collect();
    Some(String::from_utf16_lossy(&units))
}
