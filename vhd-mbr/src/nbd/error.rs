//! What can go wrong between here and a server.

use std::error::Error as _;
use std::io;

use super::ExportName;
use super::protocol::{Command, answer};

/// Why a disk of an NBD server could not be reached, read or written.
///
/// No text here holds the part of an export's name that can be a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text that is no NBD URI. It is not repeated here, as it can hold a secret.
    #[error("no NBD URI: {reason}; expected nbd://HOST:PORT/EXPORT, nbds://… or nbd+unix:///EXPORT?socket=PATH")]
    BadUri {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Certificates that cannot be used.
    #[error("the certificate to trust for {purpose} cannot be used: {reason}")]
    BadCertificate {
        /// What it was to be used for.
        purpose: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS is asked for (`nbds`), and nothing says which certificate to trust.
    #[error("TLS needs a certificate to trust: pin the server's, or name authorities and the server's name")]
    NoTrust,
    /// The server cannot be reached.
    #[error("cannot connect to {address}")]
    Connect {
        /// Its address.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The connection broke or stayed silent for too long.
    #[error("the connection to the NBD server broke while {doing}")]
    Broken {
        /// What was waited for.
        doing: &'static str,
        /// What the system or TLS said.
        source: io::Error,
    },
    /// It broke, and there was no second one.
    #[error("the connection broke ({first}) and could not be made again")]
    NotAgain {
        /// How the first connection ended.
        first: String,
        /// Why there is no second one.
        source: Box<Self>,
    },
    /// Something else listens there.
    #[error("this is no NBD server: it begins with {found:02x?}, not with NBDMAGIC; check address and port")]
    NotNbd {
        /// What it sent first.
        found: [u8; 8],
    },
    /// A server that speaks the protocol of before 2011.
    #[error(
        "the NBD server speaks only the old style of the protocol, without names; export the disk with a newer one"
    )]
    OldStyle,
    /// The server does not keep to the protocol.
    #[error("the NBD server broke the protocol while {doing}: {reason}")]
    Protocol {
        /// What was going on.
        doing: &'static str,
        /// What it did.
        reason: String,
    },
    /// It talks to nobody without TLS.
    #[error("the NBD server insists on TLS: say which certificate to trust")]
    TlsRequired,
    /// It has no TLS.
    #[error("the NBD server has no TLS ({reason}); without it anybody on the way can read the disk and the session")]
    TlsRefused {
        /// Its reason.
        reason: String,
    },
    /// The server's certificate is not the expected one.
    #[error("the NBD server's certificate is not the pinned one: this is another server, or its certificate is new")]
    WrongCertificate,
    /// The TLS handshake failed.
    #[error("TLS with the NBD server failed")]
    Tls {
        /// Why.
        source: io::Error,
    },
    /// The server has no disk of this name, or not for us.
    #[error("the NBD server does not give the export {export}: {reason}")]
    NoExport {
        /// The name, without its secret part.
        export: ExportName,
        /// What it said.
        reason: String,
    },
    /// The server refused something that has no other way.
    #[error("the NBD server refused {option}: {reason}")]
    Refused {
        /// The option by its name in the protocol.
        option: &'static str,
        /// What it said.
        reason: String,
    },
    /// A command failed on the server.
    #[error("the NBD server could not {command} {length} bytes at byte {offset}: {reason}")]
    Command {
        /// What it should have done.
        command: &'static str,
        /// From which byte on.
        offset: u64,
        /// For how many bytes.
        length: u64,
        /// The error's number, one of errno's.
        code: u32,
        /// Its name, and what the server said.
        reason: String,
    },
    /// Beyond the disk's end.
    #[error("bytes {offset} to {end} are asked for, but the disk ends at byte {size}", end = .offset.saturating_add(*.length))]
    OutOfRange {
        /// From which byte on.
        offset: u64,
        /// How many bytes.
        length: u64,
        /// The disk's size.
        size: u64,
    },
    /// Writing was not asked for, or the server does not allow it.
    #[error("the disk is open for reading only: {reason}")]
    ReadOnly {
        /// Which of the two.
        reason: &'static str,
    },
    /// A connection broke between a write and the flush.
    #[error("a connection broke before what was written had been flushed: write it again")]
    UnflushedLost,
    /// A further connection shows another disk.
    #[error("the NBD server now gives {found} bytes under this name, where it gave {expected}: the export changed")]
    SizeChanged {
        /// The size at first.
        expected: u64,
        /// The size now.
        found: u64,
    },
}

impl Error {
    pub(super) fn protocol(doing: &'static str, reason: impl Into<String>) -> Self {
        Self::Protocol {
            doing,
            reason: reason.into(),
        }
    }

    /// Whether a new connection can help.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self, Self::Broken { .. })
    }

    fn kind(&self) -> io::ErrorKind {
        match self {
            Self::BadUri { .. } | Self::BadCertificate { .. } | Self::NoTrust => io::ErrorKind::InvalidInput,
            Self::Connect { source, .. } | Self::Broken { source, .. } | Self::Tls { source } => source.kind(),
            Self::NotAgain { source, .. } => source.kind(),
            Self::NotNbd { .. } | Self::OldStyle | Self::Protocol { .. } | Self::SizeChanged { .. } => {
                io::ErrorKind::InvalidData
            }
            Self::NoExport { .. } => io::ErrorKind::NotFound,
            Self::TlsRequired | Self::TlsRefused { .. } | Self::WrongCertificate | Self::ReadOnly { .. } => {
                io::ErrorKind::PermissionDenied
            }
            Self::OutOfRange { .. } => io::ErrorKind::UnexpectedEof,
            Self::Command { code, .. } => match Errno(*code) {
                Errno::PERMISSION => io::ErrorKind::PermissionDenied,
                Errno::INVALID => io::ErrorKind::InvalidInput,
                Errno::FULL => io::ErrorKind::StorageFull,
                Errno::UNSUPPORTED => io::ErrorKind::Unsupported,
                _ => io::ErrorKind::Other,
            },
            Self::Refused { .. } | Self::UnflushedLost => io::ErrorKind::Other,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error)
    }
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// What a server says instead of doing what an option asks for.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) kind: u32,
    pub(super) reason: String,
}

impl Refusal {
    pub(super) fn new(kind: u32, words: &[u8], export: &ExportName) -> Self {
        Self {
            kind,
            reason: with_words(answer::meaning(kind), &export.censor(words)),
        }
    }
}

/// An error number as it goes over the wire: Linux' errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Errno(pub(super) u32);

impl Errno {
    const PERMISSION: Self = Self(1);
    const INVALID: Self = Self(22);
    const FULL: Self = Self(28);
    const UNSUPPORTED: Self = Self(95);

    fn meaning(self) -> String {
        let name = match self.0 {
            1 => "not permitted (EPERM)",
            5 => "input/output error (EIO)",
            12 => "out of memory (ENOMEM)",
            22 => "invalid request (EINVAL)",
            28 => "no space left (ENOSPC)",
            75 => "too large (EOVERFLOW)",
            95 => "not supported (ENOTSUP)",
            108 => "the server is shutting down (ESHUTDOWN)",
            number => return format!("error {number}"),
        };
        name.to_owned()
    }

    pub(super) fn of(self, command: Command, offset: u64, length: u64, words: &str) -> Error {
        Error::Command {
            command: command.name(),
            offset,
            length,
            code: self.0,
            reason: with_words(&self.meaning(), words),
        }
    }
}

fn with_words(meaning: &str, words: &str) -> String {
    match words {
        "" => meaning.to_owned(),
        words => format!("{meaning}: {words}"),
    }
}
