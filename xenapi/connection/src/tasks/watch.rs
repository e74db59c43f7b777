//! One watch of the pool's tasks for all who wait for one: the server answers it sooner than any other, within 50 ms.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::state::TaskState;
use super::wait::spawn;
use crate::wire::{self, Class, Ref, Value};
use crate::{Background, Connection, Delta, Feed, Health, Selection, TaskClass};

/// How long the watch goes on when nobody waits any more: starting it anew costs a connection.
const LINGER: Duration = Duration::from_secs(10);

/// The watch of a connection, where one is under way.
#[derive(Default)]
pub(crate) struct TaskWatch {
    current: Mutex<Weak<Hub>>,
}

struct Hub {
    known: Arc<watch::Sender<Known>>,
    health: watch::Receiver<Health>,
    _work: Background,
}

/// What is known of the pool's tasks.
#[derive(Default)]
pub(crate) struct Known {
    tasks: HashMap<Box<str>, Arc<TaskState>>,
    /// Whether all that there are have been listed.
    pub(crate) is_listed: bool,
    /// Whether nothing more will be heard.
    has_ended: bool,
}

impl Known {
    pub(crate) fn get(&self, task: Ref<TaskClass>) -> Option<Arc<TaskState>> {
        self.tasks.get(&*task.to_wire()).cloned()
    }

    fn apply(&mut self, delta: Delta) {
        match delta {
            Delta::Init => {}
            Delta::InitDone => self.is_listed = true,
            Delta::Delete { reference, .. } => drop(self.tasks.remove(&reference)),
            Delta::Apply {
                reference, snapshot, ..
            } => self.put(reference, &snapshot),
        }
    }

    fn put(&mut self, reference: Box<str>, snapshot: &Value) {
        match wire::from_value(snapshot) {
            Ok(state) => drop(self.tasks.insert(reference, Arc::new(state))),
            Err(error) => {
                tracing::warn!(%error, "the record of a task cannot be read");
                self.tasks.remove(&reference);
            }
        }
    }
}

impl TaskWatch {
    pub(crate) fn seat(&self, connection: &Connection) -> Seat {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hub) = current.upgrade().filter(|hub| !hub.known.borrow().has_ended) {
            return Seat { hub };
        }
        let mut tasks = Selection::default();
        tasks.add(&Class::Task);
        let feed = Feed::new(connection.unguarded(), tasks);
        let health = feed.health().subscribe();
        let known = Arc::new(watch::Sender::default());
        let work = Background::spawn(keep_filled(known.clone(), feed));
        let hub = Arc::new(Hub {
            known,
            health,
            _work: work,
        });
        *current = Arc::downgrade(&hub);
        Seat { hub }
    }
}

async fn keep_filled(known: Arc<watch::Sender<Known>>, mut feed: Feed) {
    loop {
        match feed.next().await {
            Ok(deltas) => known.send_modify(|known| deltas.into_iter().for_each(|delta| known.apply(delta))),
            Err(error) => {
                tracing::debug!(%error, "tasks are looked at one by one");
                known.send_modify(|known| known.has_ended = true);
                return;
            }
        }
    }
}

async fn linger(hub: Arc<Hub>) {
    tokio::time::sleep(LINGER).await;
    drop(hub);
}

/// The place of one who waits for a task.
pub(crate) struct Seat {
    hub: Arc<Hub>,
}

impl Seat {
    /// What is known of the tasks, now and as it changes.
    pub(crate) fn known(&self) -> watch::Receiver<Known> {
        self.hub.known.subscribe()
    }

    /// Whether what is known is the present.
    pub(crate) fn is_live(&self) -> bool {
        self.hub.health.borrow().is_live
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        spawn(linger(self.hub.clone()));
    }
}
