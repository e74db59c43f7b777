//! Metrics of hosts, VMs and SRs: what is measured, and the archives that keep it.
//!
//! Nothing is measured. Each source has a curve of its own, the same for every query, that starts a day before the
//! pool was built; before that there is `NaN`.

mod archive;
mod dump;
mod sources;
mod updates;

use self::archive::{ARCHIVES, Archive};

pub(crate) use self::archive::Function;
pub(crate) use self::dump::Dump;
pub(crate) use self::sources::{Source, of_host, of_sr, of_vm};
pub(crate) use self::updates::{Query, Updates};

/// A number as xapi writes it: 15 digits, and zero with a fraction.
fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else if value == 0.0 {
        "0.0".to_owned()
    } else {
        let short = format!("{value:.14e}").parse::<f64>().unwrap_or(value);
        short.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_recorded() {
        for (value, text) in [
            (0.0, "0.0"),
            (972_104.0, "972104"),
            (0.717_633_724_212_646, "0.717633724212646"),
            (1.0 / 3.0, "0.333333333333333"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
