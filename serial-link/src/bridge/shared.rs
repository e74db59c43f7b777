use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{broadcast, mpsc, watch};

use super::event::{Event, Status};
use super::ring::Ring;
use super::writer::Holder;

/// What the pump, the readers and the writer have in common.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Changes when bytes have come, or the bridge is gone.
    pub(super) progress: watch::Sender<Progress>,
    /// Changes when a reader that holds the guest back has read.
    pub(super) released: watch::Sender<()>,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) input: mpsc::Sender<Bytes>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    pub(super) end: u64,
    pub(super) closed: bool,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) ring: Ring,
    pub(super) readers: BTreeMap<u64, Place>,
    pub(super) holder: Option<Holder>,
    pub(super) connected: bool,
    pub(super) last_error: Option<String>,
    next_id: u64,
}

/// Where a reader is.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) position: u64,
    pub(super) holds_back: bool,
}

impl State {
    pub(super) fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

/// Pieces of input that wait for the port; then writers do.
const INPUT_QUEUE: usize = 4;

impl Shared {
    pub(super) fn new(ring: usize) -> (Self, mpsc::Receiver<Bytes>) {
        let (input, received) = mpsc::channel(INPUT_QUEUE);
        let state = State {
            ring: Ring::new(ring),
            readers: BTreeMap::new(),
            holder: None,
            connected: false,
            last_error: None,
            next_id: 0,
        };
        let shared = Self {
            state: Mutex::new(state),
            progress: watch::Sender::new(Progress::default()),
            released: watch::Sender::new(()),
            events: broadcast::Sender::new(64),
            input,
        };
        (shared, received)
    }

    /// Nothing that is done under the lock can fail half-way.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That nobody listens to events is no harm.
    pub(super) fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }

    pub(super) fn push(&self, bytes: &[u8]) {
        let end = {
            let mut state = self.state();
            state.ring.push(bytes);
            state.ring.end()
        };
        self.progress.send_modify(|progress| progress.end = end);
    }

    pub(super) fn close(&self) {
        self.progress.send_modify(|progress| progress.closed = true);
    }

    /// How many bytes may come without loss to a reader that holds the guest back.
    pub(super) fn room(&self) -> u64 {
        let state = self.state();
        let slowest = state
            .readers
            .values()
            .filter(|place| place.holds_back)
            .map(|place| place.position)
            .min();
        slowest.map_or(u64::MAX, |position| {
            (position + state.ring.capacity()).saturating_sub(state.ring.end())
        })
    }

    pub(super) fn status(&self) -> Status {
        let ended = self.progress.borrow().closed;
        let state = self.state();
        Status {
            connected: state.connected,
            ended,
            last_error: state.last_error.clone(),
            start: state.ring.start(),
            end: state.ring.end(),
            readers: state.readers.values().map(|place| place.name.clone()).collect(),
            writer: state.holder.as_ref().map(|holder| holder.name.clone()),
        }
    }
}
