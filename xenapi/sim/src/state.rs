//! Everything that a pool is, behind one lock.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;
use xenapi::{ToValue, Value};

use crate::behaviour::console;
use crate::certificate::Certificate;
use crate::clock::Clock;
use crate::config::Config;
use crate::counters::Counters;
use crate::db::Database;
use crate::disk_image::DiskImage;
use crate::error::{ApiError, Result};
use crate::events::Subscription;
use crate::faults::Fault;
use crate::ids::Ids;
use crate::outside::Outside;
use crate::schema::NULL;

/// The pool and what wakes those who wait for it to change.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// The generation of the database, and what else waiters have to look at.
    changed: watch::Sender<(u64, u64)>,
    /// One certificate a host, in the order of [`State::hosts`].
    pub(crate) certificates: Vec<Certificate>,
}

impl Shared {
    pub(crate) fn new(state: State, certificates: Vec<Certificate>) -> Self {
        Self {
            state: Mutex::new(state),
            changed: watch::Sender::new((0, 0)),
            certificates,
        }
    }

    /// Looks at the pool or changes it, and tells those who wait.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = act(&mut state);
        let now = (state.db.generation(), state.wakes);
        drop(state);
        self.changed
            .send_if_modified(|known| std::mem::replace(known, now) != now);
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees every later change of the database, and everything else that waiters have to look at.
    pub(crate) fn watch(&self) -> watch::Receiver<(u64, u64)> {
        self.changed.subscribe()
    }
}

/// The pool.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) db: Database,
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    /// References of the hosts.
    pub(crate) hosts: Vec<String>,
    /// Their certificates.
    pub(crate) certificates: Vec<Certificate>,
    /// Where their NBD servers listen; nowhere yet where this is empty.
    pub(crate) nbd_ports: Vec<SocketAddr>,
    /// Which of them is the coordinator.
    pub(crate) coordinator: usize,
    /// Which of them nobody can reach.
    pub(crate) unreachable: HashSet<usize>,
    /// How often waiters had to look without a change of the database.
    pub(crate) wakes: u64,
    /// Until when hosts are starting.
    pub(crate) booting: HashMap<usize, Instant>,
    /// Members that have lost their coordinator.
    pub(crate) in_emergency: HashSet<usize>,
    /// How often the toolstack of the coordinator has started.
    pub(crate) starts: u64,
    /// What is on the disks, by the VDI's reference; a VDI that is not here is all zeros.
    pub(crate) images: HashMap<String, Arc<DiskImage>>,
    /// What is on the storage that hosts reach.
    pub(crate) outside: Outside,
    /// What clients keep with the pool, by the blob's reference.
    pub(crate) blobs: HashMap<String, Bytes>,
    pub(crate) subscriptions: HashMap<String, Subscription>,
    /// Tasks that were asked to stop.
    pub(crate) cancelled: HashSet<String>,
    /// Running tasks that were destroyed and go when they end.
    pub(crate) doomed: HashSet<String>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) counters: Counters,
    pub(crate) last_domid: i64,
    /// When guests' agents were asked for something, by the VM's reference.
    pub(crate) plugin_calls: HashMap<String, Instant>,
}

impl State {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            db: Database::new(),
            clock: Clock::default(),
            ids: Ids::new(config.seed),
            hosts: Vec::new(),
            certificates: Vec::new(),
            nbd_ports: Vec::new(),
            coordinator: 0,
            unreachable: HashSet::new(),
            wakes: 0,
            booting: HashMap::new(),
            in_emergency: HashSet::new(),
            starts: 0,
            images: HashMap::new(),
            outside: Outside::new(),
            blobs: HashMap::new(),
            subscriptions: HashMap::new(),
            cancelled: HashSet::new(),
            doomed: HashSet::new(),
            faults: Vec::new(),
            counters: Counters::default(),
            last_domid: 0,
            plugin_calls: HashMap::new(),
            config,
        }
    }

    /// Makes an object with a new reference and a new UUID.
    pub(crate) fn create(&mut self, class: &str, fields: &[(&str, Value)]) -> String {
        let reference = self.ids.reference();
        let uuid = self.ids.uuid();
        self.create_as(class, &reference, &uuid, fields);
        reference
    }

    pub(crate) fn create_as(&mut self, class: &str, reference: &str, uuid: &str, fields: &[(&str, Value)]) {
        let mut fields = fields.to_vec();
        fields.push(("uuid", uuid.to_value()));
        self.db.insert(class, reference, &fields);
    }

    /// Has clients reach a host, and the consoles on it, at another address.
    pub(crate) fn set_address(&mut self, host: &str, address: &str) {
        self.db.set("host", host, "address", address);
        for vm in self.db.list("host", host, "resident_VMs") {
            console::locate(self, &vm);
        }
    }

    /// Makes the object of a host's certificate, or has the one that there is tell of this certificate.
    pub(crate) fn set_certificate(&mut self, host: &str, certificate: &Certificate) {
        let fields = certificate.fields(host);
        let mut known = self.db.list("host", host, "certificates").into_iter();
        match known.find(|known| self.db.is("Certificate", known, "type", "host")) {
            Some(known) => {
                for (field, value) in fields {
                    self.db.refresh("Certificate", &known, field, value);
                }
            }
            None => {
                self.create("Certificate", &fields);
            }
        }
    }

    /// Complains unless the object exists.
    pub(crate) fn require(&self, class: &str, reference: &str) -> Result<()> {
        if self.db.exists(class, reference) {
            Ok(())
        } else {
            Err(ApiError::handle_invalid(class, reference))
        }
    }

    pub(crate) fn uuid(&self, class: &str, reference: &str) -> String {
        self.db.text(class, reference, "uuid")
    }

    /// The only pool.
    pub(crate) fn pool(&self) -> String {
        self.db
            .refs("pool")
            .into_iter()
            .next()
            .unwrap_or_else(|| NULL.to_owned())
    }

    pub(crate) fn coordinator(&self) -> String {
        self.hosts
            .get(self.coordinator)
            .cloned()
            .unwrap_or_else(|| NULL.to_owned())
    }

    /// Leaves a message about an object.
    pub(crate) fn message(&mut self, name: &str, priority: i64, class: &str, uuid: &str, body: &str) -> String {
        let timestamp = Value::DateTime(self.clock.now());
        let fields = [
            ("name", name.to_value()),
            ("priority", Value::Int(priority)),
            ("cls", class.to_value()),
            ("obj_uuid", uuid.to_value()),
            ("timestamp", timestamp),
            ("body", body.to_value()),
        ];
        self.create("message", &fields)
    }
}
