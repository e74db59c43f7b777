//! How fine values are kept, and for how long.

use std::time::Duration;

/// How far apart the points of a series are. The finer, the shorter the server keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Resolution {
    /// Every five seconds, for ten minutes; averages only.
    FiveSeconds,
    /// Every minute, for two hours.
    Minute,
    /// Every hour, for a week.
    Hour,
    /// Every day, for a year.
    Day,
}

impl Resolution {
    const ALL: [Self; 4] = [Self::FiveSeconds, Self::Minute, Self::Hour, Self::Day];

    /// Seconds between two points.
    pub const fn seconds(self) -> i64 {
        match self {
            Self::FiveSeconds => 5,
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => 86_400,
        }
    }

    /// How far back the points reach.
    pub const fn span(self) -> Duration {
        const HOUR: u64 = 3600;
        Duration::from_secs(match self {
            Self::FiveSeconds => 600,
            Self::Minute => 2 * HOUR,
            Self::Hour => 7 * 24 * HOUR,
            Self::Day => 366 * 24 * HOUR,
        })
    }

    /// The finest that reaches this far back, and the coarsest for what none does.
    pub fn reaching(past: Duration) -> Self {
        let found = Self::ALL.into_iter().find(|resolution| resolution.span() >= past);
        found.unwrap_or(Self::Day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finest_that_reaches_back_is_taken() {
        for (seconds, resolution) in [
            (0, Resolution::FiveSeconds),
            (600, Resolution::FiveSeconds),
            (601, Resolution::Minute),
            (7201, Resolution::Hour),
            (700_000, Resolution::Day),
            (u64::MAX, Resolution::Day),
        ] {
            assert_eq!(
                Resolution::reaching(Duration::from_secs(seconds)),
                resolution,
                "{seconds}"
            );
        }
    }
}
