//! Reading a cache.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;
use xenapi_connection::{Background, Selection};

use super::row::Table;
use super::store::{State, Store};
use crate::{Class, Client, Health, Object, Record, Ref};

/// A copy of the pool's objects that follows the pool; see [`Client::cache`]. Clones are the same copy, and it is
/// followed until the last of them is dropped.
///
/// Records are shared, so reading costs no copy, and one that was read stays as it was. Changes come in batches: what
/// one call reads belongs together.
#[derive(Clone)]
pub struct Cache {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    selection: Selection,
    store: Arc<Store>,
    health: watch::Receiver<Health>,
    _work: Background,
}

impl Cache {
    pub(super) fn new(
        client: Client,
        selection: Selection,
        store: Arc<Store>,
        health: watch::Receiver<Health>,
        work: Background,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                client,
                selection,
                store,
                health,
                _work: work,
            }),
        }
    }

    /// The record of an object; `None` where there is no such object (any more).
    pub fn get<T: Object>(&self, reference: Ref<T>) -> Option<Arc<T::Record>> {
        self.with::<T, _>(|table| table.get::<T>(&reference.to_wire()))?
    }

    /// The object with this UUID.
    pub fn by_uuid<T: Object>(&self, uuid: &str) -> Option<(Ref<T>, Arc<T::Record>)> {
        self.with::<T, _>(|table| entry::<T>(table, table.with_uuid(uuid)?))?
    }

    /// The objects with this `name_label`, which need not be unique, in no order.
    pub fn by_name<T: Object>(&self, name: &str) -> Vec<(Ref<T>, Arc<T::Record>)> {
        let found = self.with::<T, _>(|table| {
            let same = table.with_name(name);
            same.filter_map(|reference| entry::<T>(table, reference)).collect()
        });
        found.unwrap_or_default()
    }

    /// All objects of a class, in no order.
    pub fn all<T: Object>(&self) -> Vec<(Ref<T>, Arc<T::Record>)> {
        let found = self.with::<T, _>(|table| {
            let all = table.references();
            all.filter_map(|reference| entry::<T>(table, reference)).collect()
        });
        found.unwrap_or_default()
    }

    /// How many objects of a class there are.
    pub fn count<T: Object>(&self) -> usize {
        self.with::<T, _>(Table::len).unwrap_or_default()
    }

    /// How the watch behind it fares, now and as it changes: whether what the cache holds is the present.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.shared.health.clone()
    }

    /// The connection that it was made with.
    pub fn client(&self) -> &Client {
        &self.shared.client
    }

    pub(super) fn state(&self) -> watch::Receiver<State> {
        self.shared.store.state()
    }

    /// Whether objects of a class are kept at all.
    pub(super) fn holds(&self, class: &Class) -> bool {
        self.shared.selection.holds(class)
    }

    fn with<T: Object, R>(&self, read: impl FnOnce(&Table) -> R) -> Option<R> {
        let class = Class::from(<T::Record as Record>::CLASS);
        self.shared.store.tables().get(&class).map(read)
    }
}

fn entry<T: Object>(table: &Table, reference: &str) -> Option<(Ref<T>, Arc<T::Record>)> {
    Some((reference.parse().ok()?, table.get::<T>(reference)?))
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("health", &*self.shared.health.borrow())
            .finish_non_exhaustive()
    }
}
