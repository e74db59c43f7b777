//! Sending a call: the only place that does.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_core::future::BoxFuture;
use tokio::sync::SemaphorePermit;
use tracing::Instrument;

use super::reply::Reply;
use super::session::at_host;
use super::{Connection, Session};
use crate::request::Request;
use crate::transport::Fingerprint;
use crate::wire::{ErrorCode, ToValue};
use crate::{Error, Result};

/// How often a call logs in again or moves to another host before its error is believed.
const MOST_MOVES: usize = 3;
/// How often one call repeats a login whose answer was lost: the session that it may have made is ended by nobody.
const MOST_REPEATED_LOGINS: usize = 1;
/// The pause before a call is repeated for the first time; the next ones are four times as long each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

impl Connection {
    pub(crate) fn execute(&self, request: Request) -> BoxFuture<'_, Result<Reply>> {
        Box::pin(self.send(request))
    }

    async fn send(&self, request: Request) -> Result<Reply> {
        let limit = request.timeout.unwrap_or(self.inner.timeout);
        let span = tracing::debug_span!("call", method = &*request.method, error = tracing::field::Empty);
        let begun = Instant::now();
        let answered = async {
            let _turn = self.turn(&request.method).await;
            self.attempt(&request).await
        };
        let result = match tokio::time::timeout(limit, answered.instrument(span.clone())).await {
            Ok(result) => result,
            Err(_) => Err(Error::timed_out(&request.method, limit)),
        };
        if let Err(error) = &result {
            span.record("error", tracing::field::display(error));
        }
        span.in_scope(|| tracing::debug!(milliseconds = begun.elapsed().as_millis() as u64, "answered"));
        result
    }

    /// Waits until few enough calls are under way. One that the server holds open on purpose counts for none.
    async fn turn(&self, method: &str) -> Option<SemaphorePermit<'_>> {
        if method == "event.from" || method == "event.next" {
            return None;
        }
        // The semaphore is never closed.
        self.inner.turns.acquire().await.ok()
    }

    /// Holds what is no call of the user's to the connection's own limit.
    pub(super) async fn limited<T>(&self, method: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let limit = self.inner.timeout;
        tokio::time::timeout(limit, work)
            .await
            .unwrap_or_else(|_| Err(Error::timed_out(method, limit)))
    }

    async fn attempt(&self, request: &Request) -> Result<Reply> {
        let mut moves = 0;
        let mut failures = 0;
        let mut lost_logins = 0;
        let mut seen = None;
        loop {
            let session = self.current_session();
            let attempted = self.attempt_at(&session, request, moves, seen).await;
            lost_logins += attempted.as_ref().err().map_or(0, |error| is_lost_login(error).into());
            match attempted {
                Ok(Attempt::Answered(reply)) => {
                    self.keep_members_fresh();
                    return Ok(reply);
                }
                Ok(Attempt::Moved) => moves += 1,
                Err(error)
                    if failures < self.inner.retries
                        && lost_logins <= MOST_REPEATED_LOGINS
                        && may_be_repeated(&error) =>
                {
                    seen = Some(self.failed_logins());
                    tracing::debug!(method = &*request.method, %error, "trying again");
                    if !self.fail_over(&session).await {
                        tokio::time::sleep(FIRST_PAUSE * 4u32.saturating_pow(failures)).await;
                    }
                    failures += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn attempt_at(
        &self,
        session: &Arc<Session>,
        request: &Request,
        moves: usize,
        seen: Option<u64>,
    ) -> Result<Attempt> {
        let method = &*request.method;
        let mut params = Vec::with_capacity(request.params.len() + 1);
        if takes_session(method) {
            params.push(session.reference.expose().to_value());
        }
        params.extend(request.params.iter().cloned());
        let sent = self.exchange(&session.base, session.encoding, method, &params).await?;
        self.settle(session, sent.encoding);
        let fingerprint = sent.coordinator_fingerprint();
        let secrets = request.secrets.iter().chain([&session.reference]).cloned().collect();
        let reply = sent.reply(method, secrets)?;
        match reply.refusal() {
            Some((ErrorCode::SessionInvalid, which))
                if moves < MOST_MOVES && session.is(&which) && self.can_log_in_again() =>
            {
                tracing::debug!(method, "the session is gone: logging in again");
                self.login(session, seen).await?;
                Ok(Attempt::Moved)
            }
            Some((ErrorCode::HostIsSlave, coordinator))
                if moves < MOST_MOVES && self.is_of_the_pool() && !concerns_another_pool(method) =>
            {
                tracing::debug!(coordinator, "the coordinator moved");
                self.follow(session, &coordinator, fingerprint, seen).await?;
                Ok(Attempt::Moved)
            }
            refusal => {
                if let Some((code, _)) = refusal {
                    if means_unknown(&code) {
                        self.forget_method(method);
                    }
                    tracing::Span::current().record("error", tracing::field::display(code));
                }
                Ok(Attempt::Answered(reply))
            }
        }
    }

    /// After HOST_IS_SLAVE: a login at the coordinator, or the foreign session taken there.
    async fn follow(
        &self,
        session: &Arc<Session>,
        coordinator: &str,
        fingerprint: Option<Fingerprint>,
        seen: Option<u64>,
    ) -> Result<()> {
        let base = at_host(&session.base, coordinator)?;
        self.vouch(&base, fingerprint);
        if self.can_log_in_again() {
            self.login(session, seen).await
        } else {
            self.move_to(session, base);
            Ok(())
        }
    }

    /// What a trusted member says about another host's certificate.
    pub(crate) fn vouch(&self, base: &http::Uri, fingerprint: Option<Fingerprint>) {
        if let Some(fingerprint) = fingerprint {
            self.transport().vouch(base.host().unwrap_or_default(), fingerprint);
        }
    }
}

enum Attempt {
    Answered(Reply),
    /// There is a new session, or another host.
    Moved,
}

/// Whether a call can be sent again: nothing of it arrived, or it changes nothing.
fn may_be_repeated(error: &Error) -> bool {
    matches!(error, Error::Connect { .. } | Error::Interrupted(_))
}

/// Whether a login was sent and not answered.
fn is_lost_login(error: &Error) -> bool {
    matches!(error, Error::Interrupted(lost) if lost.method().starts_with("session."))
}

/// Messages that talk to a second pool, whose refusals are not about this connection.
fn concerns_another_pool(method: &str) -> bool {
    ["pool.join", "migrate_send", "migrate_receive"]
        .iter()
        .any(|part| method.contains(part))
}

/// Whether an error means that the server does not know the message.
fn means_unknown(code: &ErrorCode) -> bool {
    matches!(code, ErrorCode::MessageMethodUnknown | ErrorCode::MessageRemoved)
}

/// All messages take the session first but those that make one.
fn takes_session(method: &str) -> bool {
    let name = method.strip_prefix("session.").unwrap_or_default();
    !method.starts_with("system.") && !name.starts_with("login_with") && !name.starts_with("slave_")
}
