//! One object in the cache.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::{Object, Value};

/// A record of whichever class. That it may be shared between threads is known without a look at every field.
pub(super) type Shared = Arc<dyn Any + Send + Sync>;

/// An object: its record, and what it is found by.
struct Row {
    /// `None` where it could not be read as its type.
    record: Option<Shared>,
    uuid: Box<str>,
    name: Box<str>,
}

/// The objects of one class.
#[derive(Default)]
pub(super) struct Table {
    rows: HashMap<Box<str>, Row>,
    by_uuid: HashMap<Box<str>, Box<str>>,
    by_name: HashMap<Box<str>, HashSet<Box<str>>>,
}

impl Table {
    pub(super) fn put(&mut self, reference: Box<str>, record: Option<Shared>, snapshot: &Value) {
        let text = |name| snapshot.get(name).and_then(Value::as_str).unwrap_or_default();
        let (uuid, name): (Box<str>, Box<str>) = (text("uuid").into(), text("name_label").into());
        self.remove(&reference);
        if !uuid.is_empty() {
            self.by_uuid.insert(uuid.clone(), reference.clone());
        }
        if !name.is_empty() {
            self.by_name.entry(name.clone()).or_default().insert(reference.clone());
        }
        self.rows.insert(reference, Row { record, uuid, name });
    }

    pub(super) fn remove(&mut self, reference: &str) {
        let Some(row) = self.rows.remove(reference) else {
            return;
        };
        if self.by_uuid.get(&row.uuid).is_some_and(|holder| **holder == *reference) {
            self.by_uuid.remove(&row.uuid);
        }
        if let Some(same) = self.by_name.get_mut(&row.name) {
            same.remove(reference);
            if same.is_empty() {
                self.by_name.remove(&row.name);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn references(&self) -> impl Iterator<Item = &str> {
        self.rows.keys().map(|reference| &**reference)
    }

    pub(super) fn get<T: Object>(&self, reference: &str) -> Option<Arc<T::Record>> {
        self.rows.get(reference)?.record.clone()?.downcast().ok()
    }

    pub(super) fn with_uuid(&self, uuid: &str) -> Option<&str> {
        self.by_uuid.get(uuid).map(|reference| &**reference)
    }

    pub(super) fn with_name(&self, name: &str) -> impl Iterator<Item = &str> {
        self.by_name
            .get(name)
            .into_iter()
            .flatten()
            .map(|reference| &**reference)
    }
}
