//! The pool's own clock, which tests can put forward.

use std::time::{Duration, SystemTime};

use xenapi::DateTime;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    ahead: Duration,
}

impl Clock {
    /// The current time, in whole seconds as the database keeps it.
    pub(crate) fn now(&self) -> DateTime {
        DateTime::from_unix_seconds(DateTime::from(SystemTime::now() + self.ahead).unix_seconds())
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.ahead = self.ahead.saturating_add(by);
    }
}
