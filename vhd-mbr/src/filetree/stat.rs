use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, a pipe, a socket or the like.
    Other,
}

/// What is known of a file without its content. A time is missing where the file system does not keep it, or where the
/// standard library cannot count so far.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// The length of a file's content in bytes; what a directory or link takes is up to the file system.
    pub size: u64,
    /// When the content changed last. FAT keeps local time, which is taken for UTC.
    pub modified: Option<SystemTime>,
    /// When the content was read last, as far as that is noted.
    pub accessed: Option<SystemTime>,
    /// When anything changed last, including names and permissions.
    pub changed: Option<SystemTime>,
    /// When it was made.
    pub created: Option<SystemTime>,
    /// Where a symbolic link leads to.
    pub target: Option<String>,
}

impl Stat {
    pub(crate) fn new(kind: Kind, size: u64) -> Self {
        Self {
            kind,
            size,
            modified: None,
            accessed: None,
            changed: None,
            created: None,
            target: None,
        }
    }
}

/// A time in seconds since 1970.
pub(crate) fn unix_time(seconds: i64, nanoseconds: u32) -> Option<SystemTime> {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let second = if seconds < 0 {
        UNIX_EPOCH.checked_sub(whole)
    } else {
        UNIX_EPOCH.checked_add(whole)
    };
    second?.checked_add(Duration::from_nanos(nanoseconds.into()))
}

/// The number of the day since 1970-01-01, by the Gregorian calendar.
pub(crate) fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // Years from March on have their extra day at the end.
    let (years, months) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    years * 365 + years / 4 - years / 100 + years / 400 + (months * 153 + 2) / 5 + day - 719_469
}
