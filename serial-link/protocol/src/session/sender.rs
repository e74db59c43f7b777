use std::collections::VecDeque;
use std::time::Duration;

use crate::packet::{Ack, Kind, WINDOW};
use crate::session::pace::Pace;

/// The greatest exponent of the pause between questions that nobody answers.
const MOST_DOUBLINGS: u32 = 1;
/// Between two questions that are answers to questions.
const ECHO: Duration = Duration::from_millis(200);

/// Sends payloads until each has arrived.
///
/// A line keeps the order of what it carries. Every transmission has a number, its order, and every acknowledgement
/// names the greatest order that arrived: whatever was sent earlier and is not acknowledged is lost, at once and
/// without doubt. When no answer comes, a question goes out, which has an order too; so a timer never repeats a
/// payload, and a slow line is never filled with copies.
#[derive(Debug)]
pub(crate) struct Sender {
    /// The number of the first payload in flight.
    first: u64,
    flight: VecDeque<Flying>,
    /// The last order given out.
    order: u64,
    /// The greatest order known to have arrived.
    arrived: u64,
    /// The question that is out, and when it was asked.
    question: Option<(u64, Duration)>,
    last_question: Option<Duration>,
    /// When something was last sent or heard that gives reason to wait.
    waiting_since: Duration,
    unanswered: u32,
    pace: Pace,
    pub(crate) resent: u64,
}

#[derive(Debug)]
struct Flying {
    payload: Vec<u8>,
    order: u64,
    sent: Duration,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Sent,
    Lost,
    Arrived,
}

/// A frame to send.
pub(crate) struct Transmission<'a> {
    pub(crate) order: u64,
    pub(crate) kind: Kind,
    pub(crate) payload: &'a [u8],
}

impl Sender {
    pub(crate) fn new(now: Duration) -> Self {
        Self {
            first: 0,
            flight: VecDeque::new(),
            order: 0,
            arrived: 0,
            question: None,
            last_question: None,
            waiting_since: now,
            unanswered: 0,
            pace: Pace::new(),
            resent: 0,
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.flight.is_empty()
    }

    /// Whether a new payload may go out.
    pub(crate) fn has_room(&self) -> bool {
        self.flying() < self.pace.window() && (self.flight.len() as u64) < WINDOW
    }

    fn flying(&self) -> u64 {
        self.flight
            .iter()
            .filter(|flying| flying.state != State::Arrived)
            .count() as u64
    }

    /// Repeats the first payload that was lost.
    pub(crate) fn repeat(&mut self, now: Duration) -> Option<Transmission<'_>> {
        let at = self.flight.iter().position(|flying| flying.state == State::Lost)?;
        self.resent += 1;
        Some(self.transmit(at, now))
    }

    /// Sends a new payload; only when there is room.
    pub(crate) fn send(&mut self, payload: Vec<u8>, now: Duration) -> Transmission<'_> {
        if self.flight.is_empty() {
            self.waiting_since = now;
        }
        self.flight.push_back(Flying {
            payload,
            order: 0,
            sent: now,
            state: State::Lost,
        });
        self.transmit(self.flight.len() - 1, now)
    }

    fn transmit(&mut self, at: usize, now: Duration) -> Transmission<'_> {
        self.order += 1;
        let number = self.first + at as u64;
        let flying = &mut self.flight[at];
        (flying.order, flying.sent, flying.state) = (self.order, now, State::Sent);
        Transmission {
            order: self.order,
            kind: Kind::Data { number },
            payload: &flying.payload,
        }
    }

    /// Asks what has arrived.
    pub(crate) fn ask(&mut self, now: Duration) -> Transmission<'static> {
        self.order += 1;
        self.question = Some((self.order, now));
        self.last_question = Some(now);
        self.waiting_since = now;
        self.unanswered = self.unanswered.saturating_add(1);
        Transmission {
            order: self.order,
            kind: Kind::Ask,
            payload: &[],
        }
    }

    /// When to ask, if nothing is heard until then.
    pub(crate) fn ask_at(&self) -> Option<Duration> {
        let patience = self.pace.patience() * 2_u32.pow(self.unanswered.min(MOST_DOUBLINGS));
        self.flight
            .iter()
            .any(|flying| flying.state == State::Sent)
            .then(|| self.waiting_since.saturating_add(patience))
    }

    /// The line is back: ask at once.
    pub(crate) fn hurry(&mut self) {
        self.waiting_since = Duration::ZERO;
        self.unanswered = 0;
    }

    /// The other end asks: it may have noticed that the line was away, which this end cannot. So ask as well, but not
    /// in turns for ever.
    pub(crate) fn asked(&mut self, now: Duration) {
        if self.last_question.is_none_or(|at| now.saturating_sub(at) >= ECHO) {
            self.hurry();
        }
    }

    pub(crate) fn acknowledged(&mut self, ack: &Ack, now: Duration) {
        if ack.latest > self.order || ack.next > self.first + self.flight.len() as u64 {
            return;
        }
        let used = 2 * self.flying() > self.pace.window();
        let mut trip = None;
        let mut arrived = 0;
        for (at, flying) in self.flight.iter_mut().enumerate() {
            if flying.state != State::Arrived && ack.covers(self.first + at as u64) {
                flying.state = State::Arrived;
                arrived += 1;
                if flying.order == ack.latest {
                    trip = Some(now.saturating_sub(flying.sent));
                }
            }
        }
        while self.flight.front().is_some_and(|flying| flying.state == State::Arrived) {
            self.flight.pop_front();
            self.first += 1;
        }
        if let Some((order, asked)) = self.question
            && ack.latest >= order
        {
            if ack.latest == order {
                trip = Some(now.saturating_sub(asked));
            }
            self.question = None;
        }
        if ack.latest > self.arrived {
            self.arrived = ack.latest;
            for flying in &mut self.flight {
                if flying.state == State::Sent && flying.order <= self.arrived {
                    flying.state = State::Lost;
                }
            }
            self.waiting_since = now;
            self.unanswered = 0;
        }
        if let Some(trip) = trip {
            self.pace.measured(trip, arrived, used);
        }
    }
}

impl Ack {
    fn covers(&self, number: u64) -> bool {
        match number.checked_sub(self.next) {
            None => true,
            Some(0) => false,
            Some(distance) => {
                let bit = distance - 1;
                usize::try_from(bit / 64)
                    .ok()
                    .and_then(|word| self.beyond.get(word))
                    .is_some_and(|word| word >> (bit % 64) & 1 == 1)
            }
        }
    }
}
