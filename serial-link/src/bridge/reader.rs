use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use super::event::Event;
use super::shared::{Place, Progress, Shared};

/// What a new reader gets first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Replay {
    /// What comes from now on.
    #[default]
    Nothing,
    /// The last lines; one that is not finished counts.
    Lines(usize),
    /// All that is kept.
    All,
    /// What comes from a position on: where the same reader was before.
    From(u64),
}

/// Bytes of the port.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Piece {
    /// How many bytes before these the reader did not get, because it was too slow.
    pub lost: u64,
    /// The position of the first of these bytes.
    pub position: u64,
    /// The bytes.
    pub bytes: Bytes,
}

/// One of many readers, at its own pace.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    id: u64,
    progress: watch::Receiver<Progress>,
}

const LARGEST_PIECE: usize = 64 << 10;

impl Reader {
    pub(super) fn new(shared: &Arc<Shared>, name: String, replay: Replay) -> Self {
        let mut state = shared.state();
        let position = match replay {
            Replay::Nothing => state.ring.end(),
            Replay::Lines(lines) => state.ring.last_lines(lines),
            Replay::All => state.ring.start(),
            Replay::From(position) => position.min(state.ring.end()),
        };
        let id = state.id();
        let place = Place {
            name,
            position,
            holds_back: false,
        };
        state.readers.insert(id, place);
        drop(state);
        Self {
            progress: shared.progress.subscribe(),
            shared: shared.clone(),
            id,
        }
    }

    /// Loses nothing from here on: when this reader is a whole ring behind, the bridge stops reading, and QEMU and the guest
    /// wait. All other readers wait with it.
    pub fn hold_back(self, yes: bool) -> Self {
        if let Some(place) = self.shared.state().readers.get_mut(&self.id) {
            place.holds_back = yes;
        }
        self.shared.released.send_replace(());
        self
    }

    /// The next bytes, as soon as there are any; none when the bridge is gone. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Piece> {
        loop {
            let closed = self.progress.borrow_and_update().closed;
            if let Some(piece) = self.take() {
                return Some(piece);
            }
            if closed || self.progress.changed().await.is_err() {
                return None;
            }
        }
    }

    fn take(&mut self) -> Option<Piece> {
        let mut state = self.shared.state();
        let state = &mut *state;
        let place = state.readers.get_mut(&self.id)?;
        let position = place.position.max(state.ring.start());
        let lost = position - place.position;
        let bytes = Bytes::copy_from_slice(state.ring.piece(position, LARGEST_PIECE));
        if bytes.is_empty() {
            return None;
        }
        place.position = position + bytes.len() as u64;
        if lost > 0 {
            self.shared.tell(Event::Lost {
                reader: place.name.clone(),
                bytes: lost,
            });
        }
        if place.holds_back {
            self.shared.released.send_replace(());
        }
        Some(Piece { lost, position, bytes })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.state().readers.remove(&self.id);
        self.shared.released.send_replace(());
    }
}
