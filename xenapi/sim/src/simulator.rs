//! The pool as a library sees it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use xenapi::{ToValue, Value};

use crate::builder::{BuildError, Builder};
use crate::counters::Counters;
use crate::faults::Fault;
use crate::inventory;
use crate::inventory_file::{self, InventoryError};
use crate::server::{self, Server};
use crate::spec::VmSpec;
use crate::state::Shared;
use crate::transport::SimTransport;

/// A pool that answers as xapi does. Clones are the same pool.
#[derive(Clone, Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
    addresses: Arc<[String]>,
}

/// Why something could not be done to a pool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the simulated pool refused: {code} {params:?}")]
pub struct Refused {
    /// XenAPI's code of the error.
    pub code: String,
    /// Its parameters.
    pub params: Vec<String>,
}

impl From<crate::error::ApiError> for Refused {
    fn from(error: crate::error::ApiError) -> Self {
        Self {
            code: error.code.into_owned(),
            params: error.params,
        }
    }
}

impl Simulator {
    /// Starts building a pool.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(shared: Shared, addresses: Vec<String>) -> Self {
        Self {
            shared: Arc::new(shared),
            addresses: addresses.into(),
        }
    }

    /// A transport whose requests never leave the process: it knows the hosts by the addresses in their records,
    /// `10.0.0.1` and so on. Its futures must be polled inside a Tokio runtime.
    pub fn transport(&self) -> SimTransport {
        SimTransport {
            shared: Arc::clone(&self.shared),
            addresses: Arc::clone(&self.addresses),
        }
    }

    /// The coordinator's URL for [`transport`](Self::transport).
    pub fn url(&self) -> String {
        let coordinator = self.shared.with(|state| state.coordinator);
        format!("https://{}", self.addresses.get(coordinator).map_or("", String::as_str))
    }

    /// The hosts' addresses for [`transport`](Self::transport), in the order of their numbers.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Answers over plain HTTP. The first host gets this address, the others free ports of the same IP address; the
    /// hosts' `address` fields change to match, with the port behind a colon.
    ///
    /// # Errors
    /// Where a port cannot be opened.
    pub async fn listen(&self, address: impl AsRef<str>) -> Result<Server, BuildError> {
        server::listen(self.clone(), Arc::clone(&self.shared), address.as_ref(), false).await
    }

    /// Answers over TLS, with a self-signed certificate for each host; otherwise like [`listen`](Self::listen).
    ///
    /// # Errors
    /// Where a port cannot be opened.
    pub async fn listen_tls(&self, address: impl AsRef<str>) -> Result<Server, BuildError> {
        server::listen(self.clone(), Arc::clone(&self.shared), address.as_ref(), true).await
    }

    /// Adds a VM and answers with its reference.
    ///
    /// # Errors
    /// Where its SR has no room for its disks, or does not exist.
    pub fn add_vm(&self, spec: VmSpec) -> Result<String, Refused> {
        Ok(self.shared.with(|state| {
            let pool = state.pool();
            let sr = spec
                .sr
                .clone()
                .unwrap_or_else(|| state.db.text("pool", &pool, "default_SR"));
            let network = state.db.find("network", "bridge", "xenbr0").unwrap_or_default();
            let host = spec.host;
            inventory::add_vm(state, spec, &sr, &network, host)
        })?)
    }

    /// Writes all objects to a file of JSON, from which [`Builder::load`] makes the same pool again.
    ///
    /// The order of everything is stable, so two files can be compared line by line. Fields with their default value
    /// are left out, and so are sets that mirror references, like a VM's `VBDs`. The content of a disk that nobody has
    /// written is described; what was written goes to a raw image with holes, in a folder beside the file with the
    /// ending `disks`. Sessions, tasks, passwords and the content of blobs are not saved.
    ///
    /// # Errors
    /// Where a file cannot be written, or the image of a disk cannot be read.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), InventoryError> {
        inventory_file::save(&self.shared, path.as_ref())
    }

    /// The references of all objects of a class, spelled as in calls (`VM`).
    pub fn refs(&self, class: &str) -> Vec<String> {
        self.shared.with(|state| state.db.refs(class))
    }

    /// The object of a class with this `name_label`.
    pub fn find(&self, class: &str, name: &str) -> Option<String> {
        crate::schema::class(class)?.field("name_label")?;
        self.shared.with(|state| state.db.find(class, "name_label", name))
    }

    /// What a field holds, without a call that would be counted.
    pub fn get(&self, class: &str, reference: &str, field: &str) -> Option<Value> {
        crate::schema::class(class)?.field(field)?;
        self.shared.with(|state| state.db.get(class, reference, field).cloned())
    }

    /// Writes a field, whoever may write it in xapi; listeners hear of it. Nothing happens where there is no such
    /// object or field. The type is the caller's to get right.
    pub fn set(&self, class: &str, reference: &str, field: &str, value: impl ToValue) {
        if crate::schema::class(class).is_some_and(|info| info.field(field).is_some()) {
            self.shared.with(|state| state.db.set(class, reference, field, value));
        }
    }

    /// Removes an object, as something outside of the API would; listeners hear of it.
    pub fn remove(&self, class: &str, reference: &str) -> bool {
        self.shared.with(|state| state.db.remove(class, reference))
    }

    /// Has the pool commit a fault from now on. Of several that fit, the first one set strikes.
    pub fn fault(&self, fault: Fault) {
        self.shared.with(|state| state.faults.push(fault));
    }

    /// Has it commit no more faults.
    pub fn clear_faults(&self) {
        self.shared.with(|state| state.faults.clear());
    }

    /// What it was asked for up to now.
    pub fn counters(&self) -> Counters {
        self.shared.with(|state| state.counters.clone())
    }

    /// Puts the pool's clock forward: sessions expire, and tasks that ended long ago go.
    pub fn advance(&self, by: Duration) {
        self.shared.with(|state| {
            state.clock.advance(by);
            state.drop_expired_sessions();
            state.collect_tasks();
        });
    }

    /// Ends all sessions, as a restart of the toolstack does.
    pub fn expire_sessions(&self) {
        self.shared.with(|state| {
            for session in state.db.refs("session") {
                state.close_session(&session);
            }
        });
    }

    /// Removes all tasks without a trace, as a restart of the toolstack does; those that run never end.
    pub fn drop_tasks(&self) {
        self.shared.with(|state| {
            state.db.forget("task");
        });
    }

    /// The number of the coordinator.
    pub fn coordinator(&self) -> usize {
        self.shared.with(|state| state.coordinator)
    }

    /// Makes host number `host` the coordinator; the others answer with `HOST_IS_SLAVE`. All that
    /// [`restart_toolstack`](Self::restart_toolstack) loses is lost, as the new coordinator starts with the database
    /// that is on its disk.
    pub fn promote(&self, host: usize) {
        self.shared.with(|state| {
            if let Some(reference) = state.hosts.get(host).cloned() {
                // It exists, so this cannot fail.
                let _ = state.promote(&reference);
            }
        });
    }

    /// Starts the toolstack of host number `host` anew. Until it is up, after `takes`, calls to the host fail with
    /// `HOST_STILL_BOOTING`.
    ///
    /// Where the host is the coordinator, sessions and tasks are gone without events, operations that ran never end,
    /// and the generations in the tokens of events go back: who asks with an older token hears nothing until they have
    /// caught up, and can tell only by the lower token that comes back.
    pub fn restart_toolstack(&self, host: usize, takes: Duration) {
        self.shared.with(|state| state.restart(host, takes));
    }

    /// Has host number `host` die: nobody reaches it, what it was answering breaks off, and the coordinator, if that is
    /// another host, notes it.
    /// [`set_reachable`](Self::set_reachable) brings it back.
    pub fn kill(&self, host: usize) {
        self.shared.with(|state| state.kill(host));
    }

    /// Has member number `host` notice that it has lost its coordinator, or that all is well again. Until then it
    /// answers with `HOST_IN_EMERGENCY_MODE`, except to local logins and `pool.emergency_transition_to_master`.
    pub fn set_emergency(&self, host: usize, lost: bool) {
        self.shared.with(|state| {
            if lost {
                state.in_emergency.insert(host);
            } else {
                state.in_emergency.remove(&host);
            }
        });
    }

    /// Removes an object so that no event ever tells, as happens to deletions that the server has forgotten about:
    /// only `valid_ref_counts` shows it.
    pub fn remove_silently(&self, class: &str, reference: &str) -> bool {
        self.shared.with(|state| state.db.remove_silently(class, reference))
    }

    /// Has the queues of all who called `event.register` overflow: their next `event.next` fails with `EVENTS_LOST`.
    pub fn lose_events(&self) {
        self.shared.with(|state| {
            for subscription in state.subscriptions.values_mut() {
                subscription.overflowed = true;
            }
            state.wakes += 1;
        });
    }

    /// Cuts host number `host` off the network, or brings it back. What it was answering breaks off.
    pub fn set_reachable(&self, host: usize, reachable: bool) {
        self.shared.with(|state| {
            if reachable {
                state.unreachable.remove(&host);
                let metrics = state.hosts.get(host).map(|host| state.db.text("host", host, "metrics"));
                if let Some(metrics) = metrics {
                    state.db.refresh("host_metrics", &metrics, "live", true);
                }
            } else {
                state.cut_off(host);
            }
        });
    }

    /// How long operations take from now on: so many steps of this length, each with progress.
    pub fn set_pace(&self, steps: u32, delay: Duration) {
        self.shared.with(|state| {
            state.config.task_steps = steps;
            state.config.task_delay = delay;
        });
    }

    /// SHA-256 of a host's certificate: 32 hexadecimal bytes with colons between them.
    pub fn fingerprint_sha256(&self, host: usize) -> Option<&str> {
        self.shared
            .certificates
            .get(host)
            .map(crate::certificate::Certificate::fingerprint)
    }

    pub(crate) fn set_addresses(&self, addresses: &[SocketAddr]) {
        self.shared.with(|state| {
            for (host, address) in state.hosts.clone().iter().zip(addresses) {
                state.set_address(host, &address.to_string());
            }
        });
    }
}
