//! Numbers as metrics spell them.

use super::MetricsError;
use super::error::excerpt;

/// `0.5`, `1e-05`, `NaN`, `nan`, `-Infinity`, `inf`.
pub(super) fn float(place: &'static str, text: &str) -> Result<f64, MetricsError> {
    text.trim_ascii().parse().map_err(|_| refused(place, text))
}

/// A whole number, which some releases write with a fraction.
pub(super) fn integer(place: &'static str, text: &str) -> Result<i64, MetricsError> {
    let text = text.trim_ascii();
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    whole(float(place, text)?).ok_or_else(|| refused(place, text))
}

/// A duration in seconds, at least one.
pub(super) fn step(place: &'static str, text: &str) -> Result<i64, MetricsError> {
    let step = integer(place, text)?;
    if step > 0 { Ok(step) } else { Err(refused(place, text)) }
}

/// The whole part of a number that a time can be.
pub(super) fn whole(number: f64) -> Option<i64> {
    const MOST: f64 = 9e15;
    (number.abs() < MOST).then_some(number as i64)
}

fn refused(place: &'static str, text: &str) -> MetricsError {
    MetricsError::Number {
        place,
        text: excerpt(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_a_number_are_read() {
        for (text, number) in [
            ("0.0", 0.0),
            ("972104", 972_104.0),
            (" 1e-05\n", 1e-5),
            ("Infinity", f64::INFINITY),
            ("-inf", f64::NEG_INFINITY),
        ] {
            assert_eq!(float("v", text), Ok(number), "{text}");
        }
        for text in ["NaN", "nan", "-nan"] {
            assert!(float("v", text).unwrap().is_nan(), "{text}");
        }
        assert!(float("v", "").is_err() && float("v", "1,5").is_err());
    }

    #[test]
    fn a_time_is_whole_and_finite() {
        assert_eq!(integer("t", "1795374255"), Ok(1_795_374_255));
        assert_eq!(integer("t", "1795374255.75"), Ok(1_795_374_255));
        for text in ["NaN", "1e300", "Infinity", "now"] {
            assert!(integer("t", text).is_err(), "{text}");
        }
        assert!(step("step", "0").is_err() && step("step", "-5").is_err());
    }
}
