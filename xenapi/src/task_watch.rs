//! One watch of the pool's tasks for all who wait for one: the server answers it sooner than any other, within 50 ms.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;

use crate::cache::{State, Store};
use crate::watch::{Background, Feed, Health, Selection};
use crate::{Class, Client, Ref, Task, TaskRecord};

/// How long the watch goes on when nobody waits any more: starting it anew costs a connection.
const LINGER: Duration = Duration::from_secs(10);

/// The watch of a client, where one is under way.
#[derive(Default)]
pub(crate) struct TaskWatch {
    current: Mutex<Weak<Hub>>,
}

struct Hub {
    store: Arc<Store>,
    health: watch::Receiver<Health>,
    _work: Background,
}

impl TaskWatch {
    pub(crate) fn seat(&self, client: &Client) -> Seat {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hub) = current.upgrade().filter(|hub| hub.store.state().borrow().end.is_none()) {
            return Seat { hub };
        }
        let mut tasks = Selection::default();
        tasks.add(&Class::Task);
        let feed = Feed::new(client.unguarded(), tasks);
        let health = feed.health().subscribe();
        let store = Arc::new(Store::default());
        let work = Background::spawn(keep_filled(store.clone(), feed));
        let hub = Arc::new(Hub {
            store,
            health,
            _work: work,
        });
        *current = Arc::downgrade(&hub);
        Seat { hub }
    }
}

async fn keep_filled(store: Arc<Store>, feed: Feed) {
    let error = store.fill(feed).await;
    tracing::debug!(%error, "tasks are looked at one by one");
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
    /// What is known of a task.
    pub(crate) fn record(&self, task: Ref<Task>) -> Option<Arc<TaskRecord>> {
        self.hub.store.tables().get(&Class::Task)?.get::<Task>(&task.to_wire())
    }

    pub(crate) fn state(&self) -> watch::Receiver<State> {
        self.hub.store.state()
    }

    /// Whether what is known is the present.
    pub(crate) fn is_live(&self) -> bool {
        self.hub.health.borrow().is_live
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let hub = self.hub.clone();
        crate::running_task::spawn(linger(hub));
    }
}
