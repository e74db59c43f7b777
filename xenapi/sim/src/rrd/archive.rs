//! The archives that every metric has.

/// How the samples of a row are brought down to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Average,
    Min,
    Max,
}

impl Function {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Average => "AVERAGE",
            Self::Min => "MIN",
            Self::Max => "MAX",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Average, Self::Min, Self::Max]
            .into_iter()
            .find(|function| function.name().eq_ignore_ascii_case(name))
    }

    /// What it makes of a curve around its middle.
    pub(crate) fn apply(self, value: f64) -> f64 {
        match self {
            Self::Average => value,
            Self::Min => value * 0.9,
            Self::Max => value * 1.1,
        }
    }
}

/// One archive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Archive {
    pub(crate) function: Function,
    /// Seconds between two rows.
    pub(crate) step: i64,
    pub(crate) rows: i64,
    /// How much of a row may be unknown.
    pub(crate) unknown: &'static str,
}

const fn archive(function: Function, step: i64, rows: i64, unknown: &'static str) -> Archive {
    Archive {
        function,
        step,
        rows,
        unknown,
    }
}

/// Seconds between two samples.
pub(crate) const STEP: i64 = 5;

pub(crate) const ARCHIVES: [Archive; 10] = [
    archive(Function::Average, STEP, 120, "0.5"),
    archive(Function::Average, 60, 120, "1"),
    archive(Function::Min, 60, 120, "1"),
    archive(Function::Max, 60, 120, "1"),
    archive(Function::Average, 3600, 168, "1"),
    archive(Function::Min, 3600, 168, "1"),
    archive(Function::Max, 3600, 168, "1"),
    archive(Function::Average, 86_400, 366, "1"),
    archive(Function::Min, 86_400, 366, "1"),
    archive(Function::Max, 86_400, 366, "1"),
];

impl Archive {
    /// The time of its newest row.
    pub(crate) fn newest(&self, now: i64) -> i64 {
        now - now.rem_euclid(self.step)
    }

    /// The times of its rows, newest first.
    pub(crate) fn times(&self, now: i64) -> impl Iterator<Item = i64> {
        let (newest, step) = (self.newest(now), self.step);
        (0..self.rows).map(move |row| newest - row * step)
    }
}
