//! The time for entries of FAT directories, in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

use fatfs::{Date, DateTime, Time, TimeProvider};

/// 1980-01-01, before which FAT has no time, and the last second of 2107, behind which it has none.
const FIRST: u64 = 315_532_800;
const LAST: u64 = 4_354_819_199;

#[derive(Debug)]
pub(super) struct Clock;

impl TimeProvider for Clock {
    fn get_current_date(&self) -> Date {
        self.get_current_date_time().date
    }

    fn get_current_date_time(&self) -> DateTime {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        date_time(now.as_secs().clamp(FIRST, LAST))
    }
}

fn date_time(seconds: u64) -> DateTime {
    // Years that start in March end in the leap day: the calendar of Howard Hinnant's `civil_from_days`.
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let second_of_day = seconds % 86_400;
    DateTime {
        date: Date {
            year: (era * 400 + year_of_era + u64::from(month <= 2)) as u16,
            month: month as u16,
            day: (day_of_year - (153 * from_march + 2) / 5 + 1) as u16,
        },
        time: Time {
            hour: (second_of_day / 3600) as u16,
            min: (second_of_day / 60 % 60) as u16,
            sec: (second_of_day % 60) as u16,
            millis: 0,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_dates() {
        for (seconds, expected) in [
            (FIRST, (1980, 1, 1, 0, 0, 0)),
            (951_782_399, (2000, 2, 28, 23, 59, 59)),
            (951_782_400, (2000, 2, 29, 0, 0, 0)),
            (951_868_800, (2000, 3, 1, 0, 0, 0)),
            (1_735_689_599, (2024, 12, 31, 23, 59, 59)),
            (LAST, (2107, 12, 31, 23, 59, 59)),
        ] {
            let DateTime { date, time } = date_time(seconds);
            assert_eq!(
                (date.year, date.month, date.day, time.hour, time.min, time.sec),
                expected
            );
        }
    }
}
