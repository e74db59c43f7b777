use std::collections::VecDeque;

use crate::packet::{Ack, WINDOW};

/// Puts payloads in order, each once. Holds [`WINDOW`] of them at most.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    next: u64,
    /// What came after the first missing payload: the one at `next + 1 + n`.
    beyond: VecDeque<Option<Vec<u8>>>,
    latest: u64,
    pub(crate) repeated: u64,
}

impl Receiver {
    pub(crate) fn heard(&mut self, order: u64) {
        self.latest = self.latest.max(order);
    }

    /// Takes a payload and hands on what is now in order.
    pub(crate) fn take(&mut self, number: u64, payload: &[u8], mut deliver: impl FnMut(&[u8])) {
        let Some(distance) = number.checked_sub(self.next) else {
            self.repeated += 1;
            return;
        };
        if distance == 0 {
            deliver(payload);
            self.next += 1;
            while let Some(slot) = self.beyond.pop_front() {
                let Some(payload) = slot else { break };
                deliver(&payload);
                self.next += 1;
            }
            return;
        }
        if distance >= WINDOW {
            return;
        }
        let at = usize::try_from(distance - 1).unwrap_or(usize::MAX);
        if at >= self.beyond.len() {
            self.beyond.resize(at + 1, None);
        }
        match &mut self.beyond[at] {
            Some(_) => self.repeated += 1,
            slot => *slot = Some(payload.to_vec()),
        }
    }

    pub(crate) fn misses_something(&self) -> bool {
        !self.beyond.is_empty()
    }

    pub(crate) fn ack(&self) -> Ack {
        let mut beyond = [0; 4];
        for (at, _) in self.beyond.iter().enumerate().filter(|(_, slot)| slot.is_some()) {
            beyond[at / 64] |= 1 << (at % 64);
        }
        Ack {
            next: self.next,
            beyond,
            latest: self.latest,
        }
    }
}
