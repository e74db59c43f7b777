use std::io::{self, Read};

use xen_disk::ReadAt;

use super::Plan;
use super::emit::Emitter;

/// A VHD that is made as it is read: the body of an upload whose length is known beforehand.
///
/// Errors of the disk come wrapped: [`io::Error::get_ref`] gives the [`Error`](super::super::Error).
#[derive(Debug)]
pub struct PlanReader<S> {
    plan: Plan<S>,
    emitter: Emitter,
    /// How much of the piece at hand was read.
    start: usize,
    position: u64,
}

impl<S: ReadAt> PlanReader<S> {
    pub(super) fn new(plan: Plan<S>) -> Self {
        Self {
            plan,
            emitter: Emitter::default(),
            start: 0,
            position: 0,
        }
    }

    /// How many bytes are still to be read.
    pub fn remaining(&self) -> u64 {
        self.plan.size().saturating_sub(self.position)
    }

    /// Gives the plan back, so that the file can be read again from its start.
    pub fn into_plan(self) -> Plan<S> {
        self.plan
    }
}

impl<S: ReadAt> Read for PlanReader<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.start == self.emitter.piece().len() {
            self.start = 0;
            if self.emitter.next(&self.plan)?.is_none() {
                return Ok(0);
            }
        }
        let piece = &self.emitter.piece()[self.start..];
        let n = piece.len().min(buffer.len());
        buffer[..n].copy_from_slice(&piece[..n]);
        self.start += n;
        self.position += n as u64;
        Ok(n)
    }
}
