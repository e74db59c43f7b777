//! Logging in and out, limits and expiry.

use std::collections::BTreeSet;

use xenapi::{ToValue, Value};

use crate::error::{ApiError, Result};
use crate::roles::Role;
use crate::schema::NULL;
use crate::state::State;

impl State {
    /// Checks a name and a password and makes a session.
    pub(crate) fn login(&mut self, user: &str, password: &str, originator: &str, host: usize) -> Result<String> {
        if !self.config.knows(user, password) {
            return Err(ApiError::new(
                "SESSION_AUTHENTICATION_FAILED",
                [user, "Authentication failure"],
            ));
        }
        Ok(self.open_session(user, originator, host))
    }

    /// Makes a session of a user whose password was right.
    fn open_session(&mut self, user: &str, originator: &str, host: usize) -> String {
        self.make_room(originator);
        let now = Value::DateTime(self.clock.now());
        let role = self.config.role_of(user);
        let subject = self.db.find("subject", "subject_identifier", user);
        let fields = [
            (
                "this_host",
                self.hosts.get(host).map_or(NULL, String::as_str).to_value(),
            ),
            ("this_user", NULL.to_value()),
            ("last_active", now.clone()),
            ("validation_time", now),
            ("pool", Value::Bool(true)),
            ("is_local_superuser", Value::Bool(role.is_none())),
            ("subject", subject.unwrap_or_else(|| NULL.to_owned()).to_value()),
            ("auth_user_name", user.to_value()),
            (
                "rbac_permissions",
                role.map_or_else(Vec::new, Role::permissions).to_value(),
            ),
            ("originator", originator.to_value()),
            ("client_certificate", Value::Bool(false)),
        ];
        self.create("session", &fields)
    }

    /// Ends the oldest sessions of an originator that has too many.
    fn make_room(&mut self, originator: &str) {
        let mut sessions: BTreeSet<_> = self
            .db
            .refs("session")
            .into_iter()
            .filter(|session| self.db.is("session", session, "originator", originator))
            .map(|session| (self.db.time("session", &session, "last_active"), session))
            .collect();
        while sessions.len() >= self.config.session_limit.max(1) {
            if let Some((_, oldest)) = sessions.pop_first() {
                self.close_session(&oldest);
            }
        }
    }

    /// Complains unless the session lives; otherwise it counts as active.
    pub(crate) fn check_session(&mut self, session: &str) -> Result<()> {
        self.drop_expired_sessions();
        if !self.db.exists("session", session) {
            return Err(ApiError::new("SESSION_INVALID", [session]));
        }
        self.db.refresh("session", session, "last_active", self.clock.now());
        Ok(())
    }

    /// The role of a session's user; the superuser's has none and may do everything.
    pub(crate) fn role_of(&self, session: &str) -> Option<Role> {
        self.config.role_of(&self.db.text("session", session, "auth_user_name"))
    }

    /// Whether the session was opened for the pool, not for one host.
    pub(crate) fn is_pool_session(&self, session: &str) -> bool {
        self.db.flag("session", session, "pool")
    }

    pub(crate) fn close_session(&mut self, session: &str) -> bool {
        self.subscriptions.remove(session);
        self.db.remove("session", session)
    }

    pub(crate) fn drop_expired_sessions(&mut self) {
        let timeout = i64::try_from(self.config.session_timeout.as_secs()).unwrap_or(i64::MAX);
        let oldest = self.clock.now().unix_seconds().saturating_sub(timeout);
        for session in self.db.refs("session") {
            if self.db.time("session", &session, "last_active").unix_seconds() < oldest {
                self.close_session(&session);
            }
        }
    }
}
