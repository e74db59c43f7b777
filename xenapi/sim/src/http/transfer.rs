//! A body that is sent piece by piece, and what goes wrong with it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;

use super::access::Access;
use super::message::{BodyStream, Broken};
use super::pages;
use crate::behaviour::vm;
use crate::error::{ApiError, Result};
use crate::faults::Effect;
use crate::state::Shared;

/// What a body is made of.
pub(super) type Pieces = Box<dyn Iterator<Item = io::Result<Bytes>> + Send>;

enum Step {
    Piece(Bytes),
    Last(Bytes),
    Broken(Broken),
    Stalled,
    End,
}

/// A body under way. Dropping it early is what happens when the client goes away: the task fails.
pub(super) struct Transfer {
    shared: Arc<Shared>,
    access: Access,
    vm: Option<String>,
    pieces: Pieces,
    sent: u64,
    ended: bool,
}

impl Transfer {
    /// Starts a transfer, during which `vm` is being exported.
    pub(super) fn new(shared: &Arc<Shared>, access: Access, vm: Option<String>, pieces: Pieces) -> Self {
        shared.with(|state| {
            let counters = &mut state.counters;
            counters.exports += u64::from(access.is_export());
            counters.most_exports = counters.most_exports.max(counters.exports);
        });
        Self {
            shared: Arc::clone(shared),
            access,
            vm,
            pieces,
            sent: 0,
            ended: false,
        }
    }

    pub(super) fn into_stream(self) -> BodyStream {
        Box::pin(stream::unfold(Some(self), async |transfer| {
            let mut transfer = transfer?;
            tokio::task::yield_now().await;
            match transfer.next_piece() {
                Step::Piece(piece) => Some((Ok(piece), Some(transfer))),
                Step::Last(piece) => Some((Ok(piece), None)),
                Step::Broken(broken) => Some((Err(broken), None)),
                Step::Stalled => {
                    std::future::pending::<()>().await;
                    None
                }
                Step::End => None,
            }
        }))
    }

    fn next_piece(&mut self) -> Step {
        if let Err(cancelled) = self.shared.with(|state| state.check_cancelled(&self.access.task)) {
            self.end(&Err(cancelled));
            return Step::Broken(Broken::Closed);
        }
        if self.shared.with(|state| self.access.is_lost(state)) {
            self.end(&Err(ApiError::internal("End_of_file")));
            return Step::Broken(Broken::Reset);
        }
        let piece = match self.pieces.next() {
            Some(Ok(piece)) => piece,
            Some(Err(error)) => return self.fail(error),
            None => {
                self.end(&Ok(String::new()));
                return Step::End;
            }
        };
        let room = self
            .access
            .effect
            .as_ref()
            .and_then(Effect::cut)
            .map(|cut| cut.saturating_sub(self.sent));
        self.sent += piece.len() as u64;
        match room {
            Some(room) if room <= piece.len() as u64 => self.cut(piece.slice(..room as usize)),
            _ => Step::Piece(piece),
        }
    }

    /// Fails in the middle: a refusal that comes this late stands in the body, a disk that fails just ends it.
    fn fail(&mut self, error: io::Error) -> Step {
        match error.downcast::<ApiError>() {
            Ok(error) => {
                self.end(&Err(error.clone()));
                Step::Last(second_response(&error))
            }
            Err(error) => {
                self.end(&Err(ApiError::new("VDI_IO_ERROR", [&error.to_string()])));
                Step::Broken(Broken::Closed)
            }
        }
    }

    /// Commits a fault after the last bytes that are sent.
    fn cut(&mut self, last: Bytes) -> Step {
        let error = ApiError::device();
        match self.access.effect {
            Some(Effect::Stall(_)) if last.is_empty() => return Step::Stalled,
            Some(Effect::Stall(_)) => return Step::Piece(last),
            _ => self.end(&Err(error.clone())),
        }
        match self.access.effect {
            Some(Effect::ErrorInBody(_)) => Step::Last([last, second_response(&error)].concat().into()),
            Some(Effect::Reset) => Step::Broken(Broken::Reset),
            _ => Step::Last(last),
        }
    }

    fn end(&mut self, outcome: &Result<String>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.shared.with(|state| {
            let counted = u64::from(self.access.is_export());
            state.counters.exports = state.counters.exports.saturating_sub(counted);
            if let Some(vm) = &self.vm {
                state.db.remove_entry("VM", vm, "current_operations", &self.access.task);
                vm::refresh(state, vm);
            }
            self.access.end(state, outcome);
        });
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.end(&Err(ApiError::internal("Unix.Unix_error(Unix.EPIPE, \"write\", \"\")")));
    }
}

/// What xapi writes where it fails after it has said 200.
pub(super) fn second_response(error: &ApiError) -> Bytes {
    pages::internal_error(&error.page_text()).into_text()
}
