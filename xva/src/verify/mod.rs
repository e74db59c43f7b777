//! Checks a whole archive and tells everything that is wrong with it, and where.
//!
//! Reading an archive through [`Reader`](crate::Reader) stops at the first thing that is wrong. [`Verifier`] goes on to
//! the end: one pass over the source, compressed or not, a few blocks in memory, the checksums computed on a second
//! thread.
//!
//! ```no_run
//! let report = xva::verify::archive(std::fs::File::open("machine.xva.zst")?)?;
//! for finding in &report.findings {
//!     println!("{finding}");
//! }
//! println!("whole: {}, can be imported: {}", report.is_sound(), report.would_import());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is found
//! Any changed byte in a block, in a checksum, in a tar header or in the zero blocks at the end: blocks have checksums
//! of their own, and so have headers. Where the change is in a block or in its checksum, nothing tells which of the two
//! it was.
//!
//! # What cannot be found
//! - Nothing covers `ova.xml`. A change there is found where the text no longer parses, where a field has a value that
//!   cannot be, or where it no longer fits the disks; a changed letter in a name or another digit in an amount of memory
//!   is not. Most of the text is tags and references, so most changes show: of single bytes replaced at random in the
//!   metadata of a real pool, 96 in 100. What is odd there and nowhere else is only a note ([`Finding::MetadataOdd`]).
//! - Extended tar headers (pax, GNU long names), which xapi does not write, have no checksum of their contents either.
//!   There only names and sizes matter.
//! - Blocks of zeros are left out of archives. So a block that was taken out together with its checksum, and was neither
//!   the first nor the last of its disk, reads as zeros.
//! - Archives without checksums ([`Finding::ChecksumMissing`]) show no damage within blocks. See
//!   [`DiskCheck::unverified`].
//! - Nothing but zeros should stand in the padding of entries. Other bytes there are found, and are only a note.

mod check;
mod finding;
pub(crate) mod metadata;
mod report;

use std::fmt;
use std::io::Read;

pub use finding::{Finding, Place, Severity};
pub use report::{DiskCheck, Report};

pub(crate) use check::algorithm;
pub(crate) use report::Findings;

use crate::{Options, Result};

/// As many findings are kept unless said otherwise.
const FINDINGS_LIMIT: usize = 10_000;

/// Checks an archive with limits and a callback of the caller's choice.
///
/// ```no_run
/// let source = std::fs::File::open("machine.xva")?;
/// let size = source.metadata()?.len();
/// let report = xva::verify::Verifier::new()
///     .progress(|bytes| eprint!("\r{} %", bytes * 100 / size))
///     .run(source)?;
/// assert!(report.is_sound());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Verifier<'a> {
    options: Options,
    findings_limit: usize,
    progress: Box<dyn FnMut(u64) + 'a>,
}

impl Default for Verifier<'_> {
    fn default() -> Self {
        Self {
            options: Options::default(),
            findings_limit: FINDINGS_LIMIT,
            progress: Box::new(|_| {}),
        }
    }
}

impl fmt::Debug for Verifier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("options", &self.options)
            .field("findings_limit", &self.findings_limit)
            .finish_non_exhaustive()
    }
}

impl<'a> Verifier<'a> {
    /// Checks with the default limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// The limits on what is held in memory. Whether checksums are computed is not among the choices here.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// How many findings are kept, 10,000 unless set. The rest are counted.
    #[must_use]
    pub fn findings_limit(mut self, limit: usize) -> Self {
        self.findings_limit = limit;
        self
    }

    /// Calls back with the bytes of the decompressed archive that are done, at every entry.
    #[must_use]
    pub fn progress(mut self, callback: impl FnMut(u64) + 'a) -> Self {
        self.progress = Box::new(callback);
        self
    }

    /// Checks an archive.
    ///
    /// # Errors
    /// Where the source fails, or is compressed in a way that this build does not read. Whatever is wrong with the
    /// archive itself is a finding.
    pub fn run(self, source: impl Read) -> Result<Report> {
        check::run(source, self.options, self.findings_limit, self.progress)
    }
}

/// Checks an archive with the default limits.
///
/// # Errors
/// As [`Verifier::run`].
pub fn archive(source: impl Read) -> Result<Report> {
    Verifier::new().run(source)
}
