use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time as Windows counts: steps of 100 nanoseconds since 1601.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileTime(
    /// The number of steps.
    pub u64,
);

/// From 1601 to 1970.
const UNIX: u64 = 11_644_473_600;

impl FileTime {
    /// The whole seconds since 1970.
    pub const fn unix_seconds(self) -> i64 {
        (self.0 / 10_000_000) as i64 - UNIX as i64
    }

    /// What comes after the whole seconds, in nanoseconds.
    pub const fn nanoseconds(self) -> u32 {
        (self.0 % 10_000_000) as u32 * 100
    }

    /// The time for the standard library; none where that cannot count so far.
    pub fn to_system_time(self) -> Option<SystemTime> {
        let since_1601 = Duration::new(self.0 / 10_000_000, self.nanoseconds());
        UNIX_EPOCH
            .checked_sub(Duration::from_secs(UNIX))?
            .checked_add(since_1601)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_of_unix() {
        let time = FileTime(116_444_736_001_234_567);
        assert_eq!((time.unix_seconds(), time.nanoseconds()), (0, 123_456_700));
        assert_eq!(
            time.to_system_time(),
            Some(UNIX_EPOCH + Duration::from_nanos(123_456_700))
        );
        assert_eq!(FileTime(0).unix_seconds(), -11_644_473_600);
        assert!(FileTime(u64::MAX).to_system_time().is_some());
    }
}
