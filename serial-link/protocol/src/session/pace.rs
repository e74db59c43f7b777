use std::time::Duration;

use crate::packet::WINDOW;

/// So few frames may always be on their way.
const LEAST: f64 = 4.0;
/// Fewer than so many waiting somewhere on the way: send more at a time.
const FEW: f64 = 8.0;
/// More than so many waiting: send fewer. They would only delay what comes next.
const MANY: f64 = 16.0;
/// Until the first measurement.
const FIRST_PATIENCE: Duration = Duration::from_millis(250);
/// Whatever was measured: a line that is back must be noticed soon, and a question is short.
const MOST_PATIENCE: Duration = Duration::from_millis(400);
/// For the scheduling at both ends.
const SLACK: Duration = Duration::from_millis(20);

/// How many frames may be on their way, and how long an answer may take.
///
/// Losses say nothing about a serial line's load, but the round trip does: what it takes longer than at best, frames
/// spend waiting in buffers.
#[derive(Debug)]
pub(crate) struct Pace {
    window: f64,
    starting: bool,
    best: Option<Duration>,
    smooth: Duration,
    deviation: Duration,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self {
            window: LEAST,
            starting: true,
            best: None,
            smooth: Duration::ZERO,
            deviation: Duration::ZERO,
        }
    }

    pub(crate) fn window(&self) -> u64 {
        // Between LEAST and WINDOW, so nothing is lost.
        self.window as u64
    }

    /// How long to wait before asking what has arrived.
    pub(crate) fn patience(&self) -> Duration {
        match self.best {
            None => FIRST_PATIENCE,
            Some(_) => (self.smooth + 4 * self.deviation + SLACK).min(MOST_PATIENCE),
        }
    }

    /// An answer took `trip`, and says that so many frames arrived; `used` if the window was
    /// what kept more from being sent, more or less.
    pub(crate) fn measured(&mut self, trip: Duration, arrived: u64, used: bool) {
        let best = *self.best.get_or_insert(trip);
        if self.smooth.is_zero() {
            (self.smooth, self.deviation) = (trip, trip / 2);
        } else {
            self.deviation = (3 * self.deviation + self.smooth.abs_diff(trip)) / 4;
            self.smooth = (7 * self.smooth + trip) / 8;
        }
        let best = best.min(trip);
        self.best = Some(best);

        let waiting = self.window * (1.0 - best.as_secs_f64() / trip.as_secs_f64().max(1e-9));
        let arrived = arrived.min(WINDOW) as f64;
        if waiting > MANY {
            self.starting = false;
            self.window -= arrived / self.window;
        } else if waiting < FEW && used {
            self.window += if self.starting { arrived } else { arrived / self.window };
        } else if waiting >= FEW {
            self.starting = false;
        }
        self.window = self.window.clamp(LEAST, WINDOW as f64);
    }
}
