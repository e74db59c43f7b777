//! Times as XenAPI writes them.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// A point in time as the server wrote it.
///
/// XenAPI sends `20240131T12:00:00Z`; some servers and calls send dashes, fractions, another offset, or no zone at
/// all (`host.get_server_localtime`). All of these are read. An absent zone stays absent: such a time is local to the
/// host, and [`unix_seconds`](DateTime::unix_seconds) counts it as if it were UTC.
///
/// The epoch stands for "never" in fields such as `task.finished`: [`DateTime::NEVER`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateTime {
    seconds: i64,
    nanoseconds: u32,
    offset_minutes: Option<i16>,
}

impl DateTime {
    /// 1970-01-01 00:00:00 UTC, which XenAPI uses for "has not happened".
    pub const NEVER: Self = Self {
        seconds: 0,
        nanoseconds: 0,
        offset_minutes: Some(0),
    };

    /// The time that many seconds after 1970-01-01 00:00:00 UTC.
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self {
            seconds,
            nanoseconds: 0,
            offset_minutes: Some(0),
        }
    }

    /// Whole seconds since 1970-01-01 00:00:00 UTC.
    pub const fn unix_seconds(&self) -> i64 {
        self.seconds
    }

    /// The part below a second, in nanoseconds.
    pub const fn subsec_nanoseconds(&self) -> u32 {
        self.nanoseconds
    }

    /// Minutes east of UTC; `None` where the server named no zone.
    pub const fn offset_minutes(&self) -> Option<i16> {
        self.offset_minutes
    }

    /// Whether this is the epoch, XenAPI's "never".
    pub const fn is_never(&self) -> bool {
        self.seconds == 0 && self.nanoseconds == 0
    }
}

impl Default for DateTime {
    fn default() -> Self {
        Self::NEVER
    }
}

impl fmt::Display for DateTime {
    /// The form that XenAPI writes and accepts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self
            .seconds
            .saturating_add(i64::from(self.offset_minutes.unwrap_or(0)) * 60);
        let (year, month, day) = civil(local.div_euclid(86_400));
        let clock = local.rem_euclid(86_400);
        write!(
            f,
            "{year:04}{month:02}{day:02}T{:02}:{:02}:{:02}",
            clock / 3600,
            clock / 60 % 60,
            clock % 60
        )?;
        if self.nanoseconds != 0 {
            let fraction = format!("{:09}", self.nanoseconds);
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        match self.offset_minutes {
            None => Ok(()),
            Some(0) => f.write_str("Z"),
            Some(minutes) => {
                let sign = if minutes < 0 { '-' } else { '+' };
                write!(
                    f,
                    "{sign}{:02}:{:02}",
                    minutes.unsigned_abs() / 60,
                    minutes.unsigned_abs() % 60
                )
            }
        }
    }
}

impl fmt::Debug for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no time in any form XenAPI is known to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time: expected a form like 20240131T12:00:00Z or 2024-01-31T12:00:00.5+01:00")]
pub struct DateTimeError(String);

impl FromStr for DateTime {
    type Err = DateTimeError;

    fn from_str(text: &str) -> Result<Self, DateTimeError> {
        Parser { rest: text.trim() }
            .date_time()
            .ok_or_else(|| DateTimeError(text.chars().take(64).collect()))
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn date_time(mut self) -> Option<DateTime> {
        let year = self.digits(4)?;
        self.skip('-');
        let month = self.digits(2).filter(|month| (1..=12).contains(month))?;
        self.skip('-');
        let day = self
            .digits(2)
            .filter(|&day| (1..=days_in(year, month)).contains(&day))?;
        if !(self.skip('T') || self.skip('t') || self.skip(' ')) {
            return None;
        }
        let hour = self.digits(2).filter(|&hour| hour < 24)?;
        self.skip(':');
        let minute = self.digits(2).filter(|&minute| minute < 60)?;
        self.skip(':');
        let second = self.digits(2).filter(|&second| second <= 60)?;
        let nanoseconds = if self.skip('.') { self.fraction()? } else { 0 };
        let offset_minutes = self.offset()?;
        if !self.rest.is_empty() {
            return None;
        }
        let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second
            - i64::from(offset_minutes.unwrap_or(0)) * 60;
        Some(DateTime {
            seconds,
            nanoseconds,
            offset_minutes,
        })
    }

    fn skip(&mut self, wanted: char) -> bool {
        let stripped = self.rest.strip_prefix(wanted);
        self.rest = stripped.unwrap_or(self.rest);
        stripped.is_some()
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        let digits = self
            .rest
            .get(..count)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        self.rest = &self.rest[count..];
        digits.parse().ok()
    }

    fn fraction(&mut self) -> Option<u32> {
        let length = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(length);
        self.rest = rest;
        format!(
            "{:0<9}",
            digits.get(..length.min(9)).filter(|digits| !digits.is_empty())?
        )
        .parse()
        .ok()
    }

    fn offset(&mut self) -> Option<Option<i16>> {
        if self.skip('Z') || self.skip('z') {
            return Some(Some(0));
        }
        let sign = match self.rest.chars().next() {
            None => return Some(None),
            Some('+') => 1,
            Some('-') => -1,
            Some(_) => return None,
        };
        self.rest = &self.rest[1..];
        let hours = self.digits(2).filter(|&hours| hours < 24)?;
        self.skip(':');
        let minutes = if self.rest.is_empty() {
            0
        } else {
            self.digits(2).filter(|&minutes| minutes < 60)?
        };
        i16::try_from(sign * (hours * 60 + minutes)).ok().map(Some)
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar (years counted from March, eras of 400 years).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days`].
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

impl From<SystemTime> for DateTime {
    fn from(time: SystemTime) -> Self {
        let whole = |length: Duration| i64::try_from(length.as_secs()).unwrap_or(i64::MAX);
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => Self {
                seconds: whole(after),
                nanoseconds: after.subsec_nanos(),
                offset_minutes: Some(0),
            },
            Err(before) => Self::from_unix_seconds(-whole(before.duration())),
        }
    }
}

impl From<DateTime> for SystemTime {
    /// A time without zone is taken as UTC.
    fn from(time: DateTime) -> Self {
        let length = Duration::from_secs(time.seconds.unsigned_abs());
        let whole = if time.seconds < 0 {
            Self::UNIX_EPOCH.checked_sub(length)
        } else {
            Self::UNIX_EPOCH.checked_add(length)
        };
        whole.unwrap_or(Self::UNIX_EPOCH) + Duration::from_nanos(time.nanoseconds.into())
    }
}

impl<'de> Deserialize<'de> for DateTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = DateTime;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<DateTime, E> {
                if text.is_empty() {
                    Ok(DateTime::NEVER)
                } else {
                    text.parse().map_err(E::custom)
                }
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_that_servers_write() {
        let noon = DateTime::from_unix_seconds(1_706_702_400);
        for text in [
            "20240131T12:00:00Z",
            "2024-01-31T12:00:00Z",
            "20240131T120000Z",
            "2024-01-31 12:00:00.000Z",
        ] {
            assert_eq!(text.parse(), Ok(noon), "{text}");
        }
        let zoned: DateTime = "2024-01-31T13:30:00.25+01:30".parse().unwrap();
        assert_eq!(
            (zoned.unix_seconds(), zoned.subsec_nanoseconds()),
            (noon.unix_seconds(), 250_000_000)
        );
        assert_eq!(zoned.to_string(), "20240131T13:30:00.25+01:30");
        let local: DateTime = "20240131T12:00:00".parse().unwrap();
        assert_eq!(
            (local.offset_minutes(), local.to_string().as_str()),
            (None, "20240131T12:00:00")
        );
        assert!("19700101T00:00:00Z".parse::<DateTime>().unwrap().is_never());
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "now",
            "20241331T12:00:00Z",
            "20230229T12:00:00Z",
            "20240131T25:00:00Z",
            "20240131T12:00:00Zx",
            "2024013é",
        ] {
            assert!(text.parse::<DateTime>().is_err(), "{text}");
        }
    }

    #[test]
    fn days_and_civil_are_inverse() {
        for day in (-800_000..800_000).step_by(37) {
            let (year, month, date) = civil(day);
            assert_eq!(days(year, month, date), day);
        }
    }
}
