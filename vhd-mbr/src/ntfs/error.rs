use std::io;

/// Why something on an NTFS volume cannot be read. Positions are bytes from the start of the volume.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk could not be read.
    #[error("cannot read {len} bytes at byte {offset} of the volume")]
    Read {
        /// Where reading started.
        offset: u64,
        /// How many bytes were wanted.
        len: u64,
        /// What the disk reported.
        source: io::Error,
    },
    /// The first sector is not that of an NTFS volume.
    #[error("not an NTFS volume: bytes 3 to 10 are \"{}\" instead of \"NTFS    \"", .found.escape_ascii())]
    NotNtfs {
        /// The bytes where the name of the file system stands.
        found: [u8; 8],
    },
    /// The volume is encrypted as a whole.
    #[error("the volume is encrypted by BitLocker; unlock it in Windows and turn BitLocker off to read it")]
    BitLocker,
    /// The boot sector has a number that no volume can have.
    #[error("the boot sector of the NTFS volume is damaged: at byte {offset}, {field} is {value}")]
    BootSector {
        /// What the number is.
        field: &'static str,
        /// Where it stands.
        offset: u64,
        /// What it is.
        value: u64,
    },
    /// A record was not written in one piece: its sectors do not end in the same update sequence number.
    #[error(
        "the NTFS record at byte {offset} is torn: its sector {sector} is of another write than its first; \
         run chkdsk in Windows"
    )]
    Torn {
        /// Where the record starts.
        offset: u64,
        /// Which of its sectors, counted from 0.
        sector: usize,
    },
    /// Something on the volume cannot be as it is.
    #[error("the NTFS volume is damaged at byte {offset}: {what}")]
    Damaged {
        /// Where the damaged structure is.
        offset: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// There is no such record.
    #[error("the NTFS volume has no file record {record}: it has {records}")]
    NoSuchRecord {
        /// The number asked for.
        record: u64,
        /// How many there are.
        records: u64,
    },
    /// The record is not that of a file any more, or of another one.
    #[error("file record {record} is not in use for that file; it has been deleted")]
    Stale {
        /// Its number.
        record: u64,
    },
    /// There is nothing of that name.
    #[error("there is no {path}")]
    NotFound {
        /// The path up to the name that is missing.
        path: String,
    },
    /// Something else than a directory was to be listed or passed through.
    #[error("{path} is no directory")]
    NotADirectory {
        /// Its path, or the number of its record.
        path: String,
    },
    /// The way leads through a reparse point, which is not followed.
    #[error("{path} is a reparse point (tag {tag:#010x}){}", match .target {
        Some(target) => format!(" to {target}; look there"),
        None => String::new(),
    })]
    ThroughReparsePoint {
        /// Its path.
        path: String,
        /// Its tag.
        tag: u32,
        /// Where it leads, for a symbolic link or a junction.
        target: Option<String>,
    },
    /// The file has no stream of that name.
    #[error("file record {record} has no {}", if .stream.is_empty() {
        "content: it is no file".to_owned()
    } else {
        format!("stream {}", .stream)
    })]
    NoSuchStream {
        /// The number of the file's record.
        record: u64,
        /// The name of the stream; empty for the file's content.
        stream: String,
    },
    /// The content is encrypted.
    #[error("file record {record} is encrypted by Windows (EFS); only its owner can read it there")]
    Encrypted {
        /// The number of the file's record.
        record: u64,
    },
    /// The content is compressed by Windows' overlay filter.
    #[error(
        "file record {record} is compressed by Windows (WOF, reparse tag 0x80000017); \
         `compact /u /exe` in Windows turns it back into a plain file"
    )]
    SystemCompressed {
        /// The number of the file's record.
        record: u64,
    },
    /// The content is kept elsewhere by a filter of Windows: deduplicated, archived or in a cloud.
    #[error(
        "the content of file record {record} is kept elsewhere (reparse tag {tag:#010x}), not on this volume as a file"
    )]
    Elsewhere {
        /// The number of the file's record.
        record: u64,
        /// The tag of its reparse point.
        tag: u32,
    },
    /// A directory is reached on two ways, as no directory can be.
    #[error("{path} is a directory that has been seen under another path (file record {record})")]
    DirectoryLoop {
        /// The second path.
        path: String,
        /// The number of its record.
        record: u64,
    },
    /// A path is longer than Windows can name.
    #[error("a path is longer than 32767 characters at file record {record}")]
    PathTooLong {
        /// The number of the record where it became too long.
        record: u64,
    },
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Read { source, .. } => source.kind(),
            Error::NotFound { .. } | Error::NoSuchStream { .. } | Error::NoSuchRecord { .. } => io::ErrorKind::NotFound,
            Error::NotADirectory { .. } => io::ErrorKind::NotADirectory,
            Error::Encrypted { .. } | Error::BitLocker | Error::SystemCompressed { .. } | Error::Elsewhere { .. } => {
                io::ErrorKind::Unsupported
            }
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
