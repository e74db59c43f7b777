//! The other hosts of the pool: where to go when the coordinator is out of reach.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::session::at_host;
use super::{Connection, Session};
use crate::transport::Fingerprint;
use crate::wire::enums::certificate::CertificateType;
use crate::wire::{ErrorCode, Map, ToValue, Value};
use crate::{Call, Result};

/// How long a host may take to say who the coordinator is.
const PROBE_LIMIT: Duration = Duration::from_secs(10);

/// How long the list of hosts is good for.
const LONGEST_KNOWN: Duration = Duration::from_secs(600);

impl Connection {
    /// Learns the pool's hosts and their certificates, in the background: while the pool is well, a trusted host says
    /// which certificate each of the others shows.
    pub(super) fn refresh_members(&self) {
        if !self.inner.failover || !self.is_of_the_pool() {
            return;
        }
        *self.members_learned() = Instant::now();
        tokio::spawn(self.unguarded().try_to_learn_members());
    }

    /// Learns them again where that is long ago: hosts join, leave and get other certificates.
    pub(super) fn keep_members_fresh(&self) {
        if self.members_learned().elapsed() > LONGEST_KNOWN {
            self.refresh_members();
        }
    }

    fn members_learned(&self) -> MutexGuard<'_, Instant> {
        self.inner
            .members_learned
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn try_to_learn_members(self) {
        if let Err(error) = self.learn_members().await {
            tracing::debug!(%error, "the pool's hosts stay unknown");
        }
    }

    async fn learn_members(&self) -> Result<()> {
        let hosts: Objects = Call::new(self, "host.get_all_records").await?;
        let session = self.current_session();
        let bases: Vec<_> = hosts
            .values()
            .filter_map(|host| at_host(&session.base, text(host, "address")).ok())
            .collect();
        let others = bases.len() > 1;
        *self.inner.members.write().unwrap_or_else(|poison| poison.into_inner()) = bases;
        if others && session.base.scheme_str() == Some("https") {
            self.vouch_for_all(&session, &hosts).await;
        }
        Ok(())
    }

    async fn vouch_for_all(&self, session: &Session, hosts: &Objects) {
        let known: Objects = Call::new(self, "Certificate.get_all_records").await.unwrap_or_default();
        for (reference, host) in hosts {
            let Ok(base) = at_host(&session.base, text(host, "address")) else {
                continue;
            };
            let shown = known.values().find(|certificate| {
                text(certificate, "host") == reference && text(certificate, "type") == CertificateType::Host.as_str()
            });
            let fingerprint = match shown.and_then(|certificate| text(certificate, "fingerprint_sha256").parse().ok()) {
                Some(fingerprint) => Some(fingerprint),
                None => self.certificate_of(reference).await,
            };
            self.vouch(&base, fingerprint);
        }
    }

    /// Has the coordinator, which is trusted, say which certificate a host shows.
    pub(crate) async fn certificate_of(&self, host: &str) -> Option<Fingerprint> {
        let pem: Result<String> = Call::new(self, "host.get_server_certificate").arg(host).await;
        Fingerprint::of_pem(&pem.ok()?)
    }

    /// Asks all hosts at once who the coordinator is, and goes there. Answers whether the next attempt has a better
    /// chance than the last.
    pub(super) async fn fail_over(&self, stale: &Arc<Session>) -> bool {
        let _one_at_a_time = self.inner.failing_over.lock().await;
        if !self.current_session().is_same(stale) {
            return true;
        }
        let members = self
            .inner
            .members
            .read()
            .unwrap_or_else(|poison| poison.into_inner())
            .clone();
        let mut probes: FuturesUnordered<_> = members
            .into_iter()
            .filter(|base| *base != stale.base)
            .map(|base| self.coordinator_by(stale, base))
            .collect();
        while let Some(found) = probes.next().await {
            if let Some(base) = found.filter(|base| *base != stale.base) {
                tracing::debug!(
                    host = base.host(),
                    "the coordinator is out of reach: another host took over"
                );
                self.move_to(stale, base);
                self.refresh_members();
                return true;
            }
        }
        false
    }

    /// The coordinator as a host knows it: itself, or the one it names, if that one answers as such.
    async fn coordinator_by(&self, session: &Session, base: http::Uri) -> Option<http::Uri> {
        match self.role_of(session, &base).await? {
            Role::Coordinator => Some(base),
            Role::MemberOf(coordinator, fingerprint) => {
                let base = at_host(&base, &coordinator).ok()?;
                self.vouch(&base, fingerprint);
                matches!(self.role_of(session, &base).await?, Role::Coordinator).then_some(base)
            }
        }
    }

    async fn role_of(&self, session: &Session, base: &http::Uri) -> Option<Role> {
        const METHOD: &str = "pool.get_all";
        let params = [session.reference.expose().to_value()];
        let asked = self.exchange(base, session.encoding, METHOD, &params);
        let sent = tokio::time::timeout(PROBE_LIMIT, asked).await.ok()?.ok()?;
        let fingerprint = sent.coordinator_fingerprint();
        match sent.reply(METHOD, Vec::new()).ok()?.refusal() {
            None | Some((ErrorCode::SessionInvalid, _)) => Some(Role::Coordinator),
            Some((ErrorCode::HostIsSlave, coordinator)) => Some(Role::MemberOf(coordinator, fingerprint)),
            Some(_) => None,
        }
    }
}

/// The records of a class by reference.
pub(crate) type Objects = Map<String, Value>;

/// A field of a record that holds text; a server that does not know it sends none.
pub(crate) fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record.get(field).and_then(Value::as_str).unwrap_or_default()
}

enum Role {
    Coordinator,
    MemberOf(String, Option<Fingerprint>),
}
