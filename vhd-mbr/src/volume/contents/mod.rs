//! What a volume or a whole disk holds.

mod detect;
mod kind;
mod label;
mod marks;

use std::fmt;

pub(crate) use self::detect::is_raid_member;
pub use self::kind::ContentKind;
use crate::filetree::{ReadError, Source};
use xen_disk::ReadAt;

/// What a volume or a whole disk holds, by the marks at its start and, where there are none, at its end.
///
/// ```
/// use vhd_mbr::volume::{ContentKind, Contents};
///
/// let mut disk = vec![0; 1 << 20];
/// assert_eq!(Contents::detect(&disk)?.to_string(), "nothing: zeros wherever something would begin");
///
/// disk[4086..4096].copy_from_slice(b"SWAPSPACE2");
/// disk[1052..1056].copy_from_slice(b"swap");
/// let contents = Contents::detect(&disk)?;
/// assert_eq!(contents.kind, ContentKind::Swap);
/// assert_eq!(contents.to_string(), "Linux swap space, label \"swap\"");
/// # Ok::<(), vhd_mbr::volume::ReadError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contents {
    /// What it is.
    pub kind: ContentKind,
    /// Its label, where that stands in the same place.
    pub label: Option<String>,
    /// What tells it from others of its kind, written as `blkid` does: a UUID or a serial number.
    pub id: Option<String>,
}

impl Contents {
    /// Looks at the first 68 KiB, and further only where they tell nothing.
    ///
    /// The superblocks of some RAIDs are at the end of their disks, so a member of a mirror may look like what it
    /// mirrors.
    ///
    /// # Errors
    /// If the disk cannot be read.
    pub fn detect(disk: &(impl ReadAt + ?Sized)) -> Result<Self, ReadError> {
        detect::detect(&Source::new(&disk)?)
    }
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        if let Some(label) = &self.label {
            write!(f, ", label {label:?}")?;
        }
        match &self.id {
            Some(id) => write!(f, ", {id}"),
            None => Ok(()),
        }
    }
}
