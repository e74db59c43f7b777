//! Starts of the toolstack, and what does not survive them; the change from one coordinator to another.

use std::time::Duration;

use tokio::time::Instant;
use xenapi::{ToValue, Value};

use crate::error::{ApiError, Result};
use crate::state::State;

impl State {
    /// Makes a host the coordinator. Its toolstack starts for that, with the database that is on disk.
    pub(crate) fn promote(&mut self, host: &str) -> Result<()> {
        let at = self.hosts.iter().position(|known| known == host);
        self.coordinator = at.ok_or_else(|| ApiError::handle_invalid("host", host))?;
        self.in_emergency.clear();
        let pool = self.pool();
        self.db.set("pool", &pool, "master", host);
        self.lose_memory();
        Ok(())
    }

    /// Starts a host's toolstack anew; it answers again after a while.
    pub(crate) fn restart(&mut self, host: usize, takes: Duration) {
        self.booting.insert(host, Instant::now() + takes);
        if host == self.coordinator {
            self.lose_memory();
        } else {
            let own = self.hosts.get(host).cloned().unwrap_or_default();
            for session in self.db.refs("session") {
                if !self.is_pool_session(&session) && self.db.is("session", &session, "this_host", &own) {
                    self.close_session(&session);
                }
            }
        }
        if let Some(reference) = self.hosts.get(host).cloned() {
            let now = format!("{}.", self.clock.now().unix_seconds());
            self.db
                .set_entry("host", &reference, "other_config", "agent_start_time", now);
        }
    }

    /// Nobody reaches a host any more; those who wait for its answer see the connection break.
    pub(crate) fn cut_off(&mut self, host: usize) {
        self.unreachable.insert(host);
        self.wakes += 1;
    }

    /// Complains where the host was cut off; nobody hears that.
    pub(crate) fn check_reachable(&self, host: usize) -> Result<()> {
        if self.unreachable.contains(&host) {
            Err(ApiError::internal("End_of_file"))
        } else {
            Ok(())
        }
    }

    /// Cuts a host off for good, as the others see it after a while.
    pub(crate) fn kill(&mut self, host: usize) {
        self.cut_off(host);
        if host == self.coordinator {
            return;
        }
        if let Some(reference) = self.hosts.get(host).cloned() {
            let metrics = self.db.text("host", &reference, "metrics");
            self.db.refresh("host_metrics", &metrics, "live", false);
            self.db.refresh("host", &reference, "enabled", Value::Bool(false));
        }
    }

    /// Sessions and tasks are kept in memory only; nothing tells that they are gone. What runs will not end.
    fn lose_memory(&mut self) {
        self.starts += 1;
        self.db.forget("session");
        self.db.forget("task");
        self.subscriptions.clear();
        self.cancelled.clear();
        self.doomed.clear();
        self.drop_operations();
        self.db.reload();
    }

    /// Operations end with their tasks.
    pub(crate) fn drop_operations(&mut self) {
        for class in ["VM", "VBD", "VIF", "VDI", "SR", "host", "network"] {
            for reference in self.db.refs(class) {
                self.db.refresh(
                    class,
                    &reference,
                    "current_operations",
                    Value::Struct(Vec::new()).to_value(),
                );
                crate::behaviour::refresh(self, class, &reference);
            }
        }
    }

    /// What a host says to all calls, if it is in no state to look at them.
    pub(crate) fn unavailable(&mut self, host: usize, method: &str) -> Option<ApiError> {
        self.booting.retain(|_, until| *until > Instant::now());
        if self.booting.contains_key(&host) {
            return Some(ApiError::new("HOST_STILL_BOOTING", []));
        }
        // These are for this very case.
        let local = method.contains("local_log") || method.starts_with("pool.emergency_");
        let lost = self.in_emergency.contains(&host) && host != self.coordinator && !local;
        lost.then(|| ApiError::new("HOST_IN_EMERGENCY_MODE", []))
    }
}
