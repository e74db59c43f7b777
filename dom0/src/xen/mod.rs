//! Xen as its control domain sees it: the domains that run, and xenstore.
//!
//! What the programs there print is read by plain functions without I/O; [`Dom0::domains`](crate::Dom0::domains) and
//! [`Dom0::xenstore`](crate::Dom0::xenstore) run the programs. [`Store`] speaks xenstore's own protocol, which [`wire`] has.

mod domain;
mod escape;
mod store;
mod xenstore;

pub use domain::{Domain, parse_domains};
pub use escape::{escape, unescape};
pub use store::{Store, StoreError, StoreEvent, Transaction};
pub use xenstore_wire::{self as wire, PathError, XenStorePath};

pub use self::xenstore::{Entry, Watch, XenStore, parse_list, parse_tree};

/// Something of Xen's is not as it has to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XenError {
    /// Paths begin with a slash, and are made of ASCII letters, digits and `-/_@`.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Larger values are refused by xenstore, and wedge the connection of some programs.
    #[error("a value of {size} bytes for {path}: xenstore takes 2048")]
    ValueSize {
        /// Where it was to be written.
        path: XenStorePath,
        /// Its size.
        size: usize,
    },
    /// A program of Xen's printed something else than it does elsewhere.
    #[error("{program} printed a line that means nothing here: {line:?}")]
    Line {
        /// The program.
        program: &'static str,
        /// The line, shortened.
        line: String,
    },
}

impl XenError {
    fn line(program: &'static str, line: &[u8]) -> Self {
        let line = String::from_utf8_lossy(line).chars().take(200).collect();
        Self::Line { program, line }
    }
}
