//! How far a transfer is.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use vhd_mbr::Size;

/// What is known of how much there will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    /// So many bytes, exactly.
    Known(u64),
    /// About so many bytes, and maybe more.
    Estimated(u64),
    /// Nothing.
    Unknown,
}

/// Shows on standard error, if that is a terminal, how far a transfer is, how fast, and what is left. Clones are the
/// same display; it goes away with the last of them.
#[derive(Clone, Debug)]
pub struct Meter {
    bar: ProgressBar,
    total: Total,
    began: Instant,
}

impl Meter {
    /// Begins to show.
    pub fn new(total: Total) -> Self {
        let bar = match total {
            Total::Known(bytes) | Total::Estimated(bytes) => ProgressBar::new(bytes),
            Total::Unknown => ProgressBar::no_length(),
        };
        let meter = Self {
            bar: bar.with_finish(ProgressFinish::AndClear),
            total,
            began: Instant::now(),
        };
        meter.dress(match total {
            Total::Known(_) => "{bar:30} {binary_bytes} of {binary_total_bytes} at {binary_bytes_per_sec}, {eta} left",
            Total::Estimated(_) => {
                "{bar:30} {binary_bytes} of an estimated {binary_total_bytes} at {binary_bytes_per_sec}, about {eta} left"
            }
            Total::Unknown => ALONE,
        });
        meter
    }

    /// So many bytes are done.
    pub fn set(&self, done: u64) {
        if matches!(self.total, Total::Estimated(estimate) if done > estimate) && self.bar.length().is_some() {
            // The estimate was too low: no promise is better than a broken one.
            self.bar.unset_length();
            self.dress(ALONE);
        }
        self.bar.set_position(done);
    }

    /// How many bytes are done.
    pub fn done(&self) -> u64 {
        self.bar.position()
    }

    /// How it went: "1.2 GiB in 3.1s, 400 MiB/s".
    pub fn summary(&self, bytes: u64) -> String {
        let took = self.began.elapsed();
        let rate = u128::from(bytes) * 1000 / took.as_millis().max(1);
        let rate = Size(u64::try_from(rate).unwrap_or(u64::MAX));
        format!("{} in {took:.1?}, {rate}/s", Size(bytes))
    }

    fn dress(&self, template: &str) {
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
    }
}

/// The display where nobody knows how much is left.
const ALONE: &str = "{spinner} {binary_bytes} at {binary_bytes_per_sec}";
