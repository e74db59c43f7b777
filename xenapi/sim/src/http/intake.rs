//! The work that a handler does with an upload, after it has said 200.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};

use super::access::Access;
use super::message::{Body, Broken, Reply};
use super::transfer::second_response;
use super::upload::Upload;
use crate::error::{ApiError, Result};
use crate::faults::Effect;
use crate::state::Shared;

/// What a handler does with an upload; it answers with the task's result.
pub(super) type Work<'a> = BoxFuture<'a, Result<String>>;

/// An upload whose task can be cancelled and whose connection can break.
pub(super) struct Intake {
    shared: Arc<Shared>,
    access: Access,
    path: String,
    upload: Upload,
    taken: u64,
    /// How the connection ends where the work says so itself.
    broken: Option<Broken>,
    ended: bool,
}

impl Intake {
    pub(super) fn new(shared: &Arc<Shared>, access: Access, path: &str, upload: Upload) -> Self {
        shared.with(|state| {
            let counters = &mut state.counters;
            counters.imports += 1;
            counters.most_imports = counters.most_imports.max(counters.imports);
        });
        Self {
            shared: Arc::clone(shared),
            access,
            path: path.to_owned(),
            upload,
            taken: 0,
            broken: None,
            ended: false,
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn task(&self) -> &str {
        &self.access.task
    }

    pub(super) fn length(&self) -> Option<u64> {
        self.upload.length()
    }

    /// How many bytes were taken up to now.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// The next bytes, at most `most`; none where the client has stopped sending.
    ///
    /// # Errors
    /// Where the task was cancelled, or a fault strikes.
    pub(super) async fn next(&mut self, most: u64) -> Result<Option<Bytes>> {
        self.shared.with(|state| state.check_cancelled(&self.access.task))?;
        if self.shared.with(|state| self.access.is_lost(state)) {
            self.broken = Some(Broken::Reset);
            return Err(ApiError::internal("End_of_file"));
        }
        let room = self.access.effect.as_ref().and_then(Effect::cut);
        let room = room.map(|cut| cut.saturating_sub(self.taken));
        if room == Some(0) {
            return Err(self.cut().await);
        }
        let Some(piece) = self.upload.take(room.map_or(most, |room| room.min(most))).await else {
            return Ok(None);
        };
        self.taken += piece.len() as u64;
        self.shared.with(|state| {
            *state.counters.received.entry(self.path.clone()).or_default() += piece.len() as u64;
        });
        Ok(Some(piece))
    }

    /// Reads the body, as far as it is announced, and keeps nothing of it.
    pub(super) async fn drain(&mut self) -> Result<()> {
        let length = self.length().unwrap_or(u64::MAX);
        while self.taken < length && self.next(length - self.taken).await?.is_some() {}
        Ok(())
    }

    /// The whole body, as far as it is announced, of at most `limit` bytes.
    pub(super) async fn all(&mut self, limit: u64) -> Result<Vec<u8>> {
        let length = self.length().unwrap_or(u64::MAX);
        let mut content = Vec::new();
        while self.taken < length {
            let Some(piece) = self.next(length - self.taken).await? else {
                break;
            };
            if self.taken > limit {
                return Err(ApiError::internal("Http.Too_large"));
            }
            content.extend_from_slice(&piece);
        }
        Ok(content)
    }

    /// Commits a fault in the middle of the body.
    async fn cut(&mut self) -> ApiError {
        match self.access.effect {
            Some(Effect::Stall(_)) => std::future::pending().await,
            Some(Effect::Reset) => self.broken = Some(Broken::Reset),
            Some(Effect::Truncate(_)) => self.broken = Some(Broken::Closed),
            _ => {}
        }
        ApiError::device()
    }

    /// Says that of what was taken something was not wanted: a server would not have read it.
    pub(super) fn leave_rest(&mut self) {
        self.upload.leave_rest();
    }

    /// Has the connection be reset, without a word about what went wrong.
    pub(super) fn reset(&mut self) {
        self.broken = Some(Broken::Reset);
    }

    /// Answers 200 at once, works while the body arrives, and ends the task. What went wrong stands behind the first
    /// response; a connection on which something was left unread is reset.
    pub(super) fn answer(self, work: impl for<'a> FnOnce(&'a mut Self) -> Work<'a> + Send + 'static) -> Reply {
        let task = self.access.task.clone();
        let body = stream::once(async move {
            let mut intake = self;
            let outcome = work(&mut intake).await;
            intake.end(&outcome);
            stream::iter(intake.last_words(outcome.err()))
        });
        let reply = Reply {
            body: Body::Stream(body.flatten().boxed()),
            close: true,
            ..Reply::full(200, "")
        };
        reply
            .with("connection", "close")
            .with("cache-control", "no-cache, no-store")
            .with("task-id:", task)
    }

    fn last_words(&mut self, error: Option<ApiError>) -> Vec<Result<Bytes, Broken>> {
        let left = self.upload.has_more().then_some(Broken::Reset);
        let page = error.filter(|_| self.broken.is_none());
        let page = page.map(|error| Ok(second_response(&error)));
        page.into_iter().chain(self.broken.or(left).map(Err)).collect()
    }

    fn end(&mut self, outcome: &Result<String>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.shared.with(|state| {
            state.counters.imports = state.counters.imports.saturating_sub(1);
            self.access.end(state, outcome);
        });
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        let error = if self.path == "/import_raw_vdi" {
            ApiError::device()
        } else {
            ApiError::new("IMPORT_ERROR_PREMATURE_EOF", [])
        };
        self.end(&Err(error));
    }
}
