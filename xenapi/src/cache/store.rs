//! The tables of a cache, and what fills them.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use tokio::sync::watch;
use xenapi_connection::{Delta, Feed, Identity};

use super::row::{Shared, Table};
use crate::{AnyRecord, Class, Error, Value};

/// What the readers of a cache share with what fills it.
#[derive(Default)]
pub(crate) struct Store {
    tables: RwLock<HashMap<Class, Table>>,
    dropped: HashMap<Class, Vec<String>>,
    state: watch::Sender<State>,
}

/// How far a cache is.
#[derive(Clone, Default)]
pub(crate) struct State {
    /// Counts the batches of changes that were taken in.
    pub(crate) version: u64,
    /// Counts the full lists: after the first one, the cache holds everything.
    pub(crate) lists: u64,
    /// Up to where the server's changes are in.
    pub(crate) token: String,
    /// The session and the host that the token is from: each host counts for itself.
    pub(crate) origin: Option<Identity>,
    /// Why nothing comes any more.
    pub(crate) end: Option<Arc<str>>,
}

impl Store {
    pub(crate) fn new(dropped: HashMap<Class, Vec<String>>) -> Self {
        Self {
            dropped,
            ..Self::default()
        }
    }

    pub(crate) fn tables(&self) -> RwLockReadGuard<'_, HashMap<Class, Table>> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Takes in changes until there will be no more. Answers why.
    pub(crate) async fn fill(&self, mut feed: Feed) -> Error {
        loop {
            match feed.next().await {
                Ok(deltas) => {
                    let arrived = Instant::now();
                    let listed = self.take_in(deltas);
                    let (token, origin) = (feed.token().to_owned(), feed.origin().clone());
                    self.state.send_modify(|state| {
                        state.version += 1;
                        state.lists += u64::from(listed);
                        state.token = token;
                        state.origin = Some(origin);
                    });
                    feed.health().send_modify(|health| health.lag = arrived.elapsed());
                }
                Err(error) => {
                    self.state
                        .send_modify(|state| state.end = Some(error.to_string().into()));
                    return error;
                }
            }
        }
    }

    /// Applies a batch as a whole, so that no reader sees half of it. Answers whether it was a full list.
    fn take_in(&self, deltas: Vec<Delta>) -> bool {
        let prepared: Vec<_> = deltas.into_iter().map(|delta| self.prepare(delta)).collect();
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        let mut listed = false;
        for step in prepared {
            match step {
                Step::Put(class, reference, record, snapshot) => {
                    tables.entry(class).or_default().put(reference, record, &snapshot);
                }
                Step::Remove(class, reference) => {
                    if let Some(table) = tables.get_mut(&class) {
                        table.remove(&reference);
                    }
                }
                Step::Listed => listed = true,
                Step::Nothing => {}
            }
        }
        listed
    }

    /// The costly part, which needs no lock.
    fn prepare(&self, delta: Delta) -> Step {
        match delta {
            Delta::Init => Step::Nothing,
            Delta::InitDone => Step::Listed,
            Delta::Delete { class, reference } => Step::Remove(class, reference),
            Delta::Apply {
                class,
                reference,
                mut snapshot,
            } => {
                if let (Some(dropped), Value::Struct(members)) = (self.dropped.get(&class), &mut snapshot) {
                    members.retain(|(name, _)| !dropped.contains(name));
                }
                let record = match AnyRecord::decode(&class, &snapshot) {
                    Ok(record) => record.shared(),
                    Err(error) => {
                        tracing::warn!(class = class.as_str(), %error, "a record cannot be read");
                        None
                    }
                };
                Step::Put(class, reference, record, snapshot)
            }
        }
    }
}

enum Step {
    Put(Class, Box<str>, Option<Shared>, Value),
    Remove(Class, Box<str>),
    Listed,
    Nothing,
}
