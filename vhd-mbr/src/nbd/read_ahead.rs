//! Reading a disk from one end to the other, over all connections at once.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use xen_disk::ReadAt;

use super::disk::Nbd;
use super::transfer::{self, DEPTH, Job};

/// How many pieces of the disk are known ahead to be read next.
const PLANNED: usize = 64;

pub(super) fn run(
    disk: &Nbd,
    ranges: Vec<Range<u64>>,
    each: impl FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let ways = disk.pool().most();
    let belt = Belt {
        state: Mutex::default(),
        changed: Condvar::new(),
        most: ways.saturating_mul(DEPTH).saturating_add(DEPTH),
        chunk: disk.chunk(),
    };
    thread::scope(|scope| {
        // Whatever ends this, a panic of the caller's too, ends the other threads.
        let _end = EndOnDrop(&belt);
        scope.spawn(|| belt.plan(disk, ranges));
        for _ in 0..ways {
            scope.spawn(|| belt.fill(disk));
        }
        belt.empty(each)
    })
}

/// The pieces of the disk in their order, from those to be read to those that have been.
struct Belt {
    state: Mutex<State>,
    changed: Condvar,
    /// How many pieces are on the belt at most.
    most: usize,
    chunk: usize,
}

#[derive(Default)]
struct State {
    /// Data that nobody has begun to read: whole blocks, and which part of them is wanted.
    planned: VecDeque<Piece>,
    is_all_planned: bool,
    /// What is being read or has been, in the order of the disk.
    pieces: VecDeque<Option<Read>>,
    /// How many pieces have left the belt.
    gone: usize,
    /// Space for the pieces to come.
    free: Vec<Vec<u8>>,
    failure: Option<io::Error>,
    is_over: bool,
}

#[derive(Clone, Debug)]
struct Piece {
    blocks: Range<u64>,
    wanted: Range<u64>,
}

struct Read {
    bytes: Vec<u8>,
    piece: Piece,
}

/// Space for a piece, and the piece's place on the belt.
struct Space {
    bytes: Vec<u8>,
    piece: Piece,
    place: usize,
}

impl transfer::Place for Space {
    fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Belt {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds out what there is to be read.
    fn plan(&self, disk: &Nbd, ranges: Vec<Range<u64>>) {
        for range in ranges {
            let mut at = range.start;
            while at < range.end {
                let data = match disk.next_data(at) {
                    Ok(Some(data)) if data.start < range.end => data.start.max(at)..data.end.min(range.end),
                    Ok(_) => break,
                    Err(error) => return self.fail(error),
                };
                at = data.end;
                if !self.add(disk, data) {
                    return;
                }
            }
        }
        self.state().is_all_planned = true;
        self.changed.notify_all();
    }

    /// Plans a stretch of data, piece by piece. False where nobody wants it any more.
    fn add(&self, disk: &Nbd, data: Range<u64>) -> bool {
        let mut at = data.start;
        while at < data.end {
            let mut state = self.state();
            while state.planned.len() >= PLANNED && !state.is_over {
                state = self.wait(state);
            }
            if state.is_over {
                return false;
            }
            while at < data.end && state.planned.len() < PLANNED {
                let blocks = disk.blocks_around(at..data.end);
                let end = blocks.end.min(blocks.start + self.chunk as u64);
                let wanted = at..end.min(data.end);
                at = wanted.end;
                state.planned.push_back(Piece {
                    blocks: blocks.start..end,
                    wanted,
                });
            }
            drop(state);
            self.changed.notify_all();
        }
        true
    }

    /// Reads what is planned. It holds a connection only while it has something to read: the caller may read as well.
    fn fill(&self, disk: &Nbd) {
        while let Some(first) = self.first_job() {
            let mut first = Some(first);
            let outcome = transfer::read(
                disk.pool(),
                || first.take().or_else(|| self.next_job(&mut self.state())),
                |job| self.put(job.place),
            );
            if let Err(error) = outcome {
                return self.fail(error.into());
            }
        }
    }

    /// Waits for something to read.
    fn first_job(&self) -> Option<Job<Space>> {
        let mut state = self.state();
        loop {
            if let Some(job) = self.next_job(&mut state) {
                return Some(job);
            }
            if state.is_over || state.is_all_planned && state.planned.is_empty() {
                return None;
            }
            state = self.wait(state);
        }
    }

    fn next_job(&self, state: &mut State) -> Option<Job<Space>> {
        if state.is_over || state.pieces.len() >= self.most {
            return None;
        }
        let piece = state.planned.pop_front()?;
        if state.planned.len() == PLANNED / 2 {
            self.changed.notify_all();
        }
        let place = state.gone + state.pieces.len();
        state.pieces.push_back(None);
        let mut bytes = state.free.pop().unwrap_or_default();
        bytes.resize((piece.blocks.end - piece.blocks.start) as usize, 0);
        Some(Job {
            offset: piece.blocks.start,
            place: Space { bytes, piece, place },
        })
    }

    fn put(&self, space: Space) {
        let Space { bytes, piece, place } = space;
        let mut state = self.state();
        let at = place - state.gone;
        if let Some(free) = state.pieces.get_mut(at) {
            *free = Some(Read { bytes, piece });
        }
        drop(state);
        if at == 0 {
            self.changed.notify_all();
        }
    }

    /// Hands over what has been read.
    fn empty(&self, mut each: impl FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut state = self.state();
        loop {
            if let Some(error) = state.failure.take() {
                return Err(error);
            }
            if let Some(Some(_)) = state.pieces.front()
                && let Some(Some(Read { bytes, piece })) = state.pieces.pop_front()
            {
                state.gone += 1;
                drop(state);
                self.changed.notify_all();
                let start = (piece.wanted.start - piece.blocks.start) as usize;
                let end = (piece.wanted.end - piece.blocks.start) as usize;
                each(piece.wanted.start, &bytes[start..end])?;
                state = self.state();
                state.free.push(bytes);
            } else if state.is_all_planned && state.planned.is_empty() && state.pieces.is_empty() {
                return Ok(());
            } else {
                state = self.wait(state);
            }
        }
    }

    fn fail(&self, error: io::Error) {
        let mut state = self.state();
        state.is_over = true;
        state.failure.get_or_insert(error);
        drop(state);
        self.changed.notify_all();
    }
}

struct EndOnDrop<'a>(&'a Belt);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.state().is_over = true;
        self.0.changed.notify_all();
    }
}
