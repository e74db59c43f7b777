//! Describing a cache, and filling it for the first time.

use std::collections::HashMap;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use xenapi_connection::{Background, Feed, Health, Selection};

use super::Cache;
use super::store::Store;
use crate::{Class, Client, Error, Result};

/// The pause between two looks at a pool that fails to send the first list.
const PAUSE: Duration = Duration::from_millis(200);

/// A cache that is being described; awaiting it fills it. See [`Client::cache`].
#[derive(Debug)]
#[must_use = "a cache is filled only when it is awaited"]
pub struct CacheCall {
    client: Client,
    selection: Selection,
    dropped: HashMap<Class, Vec<String>>,
    patience: Duration,
}

impl Client {
    /// A copy of the pool's objects in memory that follows the pool: reading it asks nobody, and what it holds is
    /// seldom older than a tenth of a second.
    ///
    /// Messages are the exception: the server keeps them in no table, lists only those that are newer than the watch
    /// itself, and counts none. `pool.messages().all_records()` reads them all.
    ///
    /// ```no_run
    /// # async fn cache(pool: xenapi::Client) -> xenapi::Result<()> {
    /// use xenapi::{Class, Vm, vm::PowerState};
    ///
    /// let cache = pool.cache().classes([Class::Vm, Class::Vbd]).await?;
    /// for (vm, record) in cache.by_name::<Vm>("web-01") {
    ///     pool.vm(vm).start(false, false).now().await?;
    ///     cache.wait_for(vm, |vm| vm.power_state == PowerState::Running).await?;
    ///     println!("{} runs", record.name_label);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn cache(&self) -> CacheCall {
        CacheCall {
            client: self.clone(),
            selection: Selection::default(),
            dropped: HashMap::new(),
            patience: Duration::from_secs(60),
        }
    }
}

impl CacheCall {
    /// Holds these classes, and the pool itself; without it, all classes.
    pub fn classes(mut self, classes: impl IntoIterator<Item = Class>) -> Self {
        self.selection.add(&Class::Pool);
        for class in classes {
            self.selection.add(&class);
        }
        self
    }

    /// Leaves these fields, by their wire names, at their defaults in all records of a class: large ones that nobody
    /// reads, such as `last_booted_record` of VMs.
    pub fn without<'a>(mut self, class: Class, fields: impl IntoIterator<Item = &'a str>) -> Self {
        let dropped = self.dropped.entry(class).or_default();
        dropped.extend(fields.into_iter().map(str::to_owned));
        self
    }

    /// How long the pool may fail to send the first list before that is an error; a minute, unless told. While a list
    /// arrives, however long it takes, this does not count. A cache that is filled never gives up.
    pub fn patience(mut self, limit: Duration) -> Self {
        self.patience = limit;
        self
    }

    async fn fill(self) -> Result<Cache> {
        let feed = Feed::new(self.client.connection().unguarded(), self.selection.clone());
        let health = feed.health().subscribe();
        let store = Arc::new(Store::new(self.dropped));
        let mut state = store.state();
        let (work, failure) = begin(store.clone(), feed);
        let mut failing = health.clone();
        let cache = Cache::new(self.client, self.selection, store, health, work);
        let unknown = || Error::unanswered("event.from", "the runtime shut down");
        let (mut is_late, mut limit) = (false, self.patience);
        let begun = loop {
            let begun = state.wait_for(|state| state.lists > 0 || state.end.is_some());
            if let Ok(begun) = tokio::time::timeout(limit, begun).await {
                break begun;
            }
            let failed = failure_since(&mut failing);
            if let Some(reason) = failed.filter(|_| is_late) {
                return Err(Error::unanswered("event.from", &*reason));
            }
            // The next failure counts: until then a list may be on its way.
            (is_late, limit) = (true, PAUSE);
        };
        let is_filled = begun.map_err(|_| unknown())?.lists > 0;
        if is_filled {
            Ok(cache)
        } else {
            Err(failure.await.unwrap_or_else(|_| unknown()))
        }
    }
}

/// What the feed has failed with since it was last asked.
fn failure_since(health: &mut watch::Receiver<Health>) -> Option<Arc<str>> {
    if !health.has_changed().unwrap_or(false) {
        return None;
    }
    let health = health.borrow_and_update();
    health.last_error.clone().filter(|_| !health.is_live)
}

/// Fills the tables in the background; the receiver hears why that ended.
fn begin(store: Arc<Store>, feed: Feed) -> (Background, oneshot::Receiver<Error>) {
    let (failed, failure) = oneshot::channel();
    (Background::spawn(keep_filled(store, feed, failed)), failure)
}

async fn keep_filled(store: Arc<Store>, feed: Feed, failed: oneshot::Sender<Error>) {
    let error = store.fill(feed).await;
    // Only the one who waits for the first list listens; later the state tells.
    let _ = failed.send(error);
}

impl IntoFuture for CacheCall {
    type Output = Result<Cache>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Cache>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.fill())
    }
}
