//! The objects of one class, found by their reference, by their texts and by when they changed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use xenapi::Value;

use crate::schema::ClassInfo;

/// The most deletions that a table remembers: on reaching this it forgets the older half, silently.
pub(crate) const DELETED_LIMIT: usize = 512;
const DELETED_KEPT: usize = 256;

/// The fields by which objects are found without looking at all of them.
const INDEXED: [&str; 2] = ["uuid", "name_label"];

/// One object.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The generation of its creation.
    pub(crate) created: u64,
    /// The generation of its last write.
    pub(crate) modified: u64,
    pub(super) values: Vec<Value>,
    reference: Arc<str>,
}

impl Row {
    /// The values of the fields, in the order of the datamodel.
    pub(crate) fn values(&self) -> &[Value] {
        &self.values
    }
}

/// A deletion that the database still remembers.
#[derive(Clone, Debug)]
pub(crate) struct Deleted {
    pub(crate) created: u64,
    pub(crate) deleted: u64,
    pub(crate) reference: Arc<str>,
}

/// The objects of one class.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    rows: BTreeMap<Arc<str>, Row>,
    deleted: VecDeque<Deleted>,
    /// Which row was written last in which generation.
    changes: BTreeSet<(u64, Arc<str>)>,
    texts: Vec<TextIndex>,
}

/// Which rows hold a text in one field.
#[derive(Clone, Debug)]
struct TextIndex {
    field: usize,
    entries: BTreeSet<(Arc<str>, Arc<str>)>,
}

impl TextIndex {
    /// The rows with this text, in the order of their references.
    fn find(&self, text: &str) -> impl Iterator<Item = &Arc<str>> {
        let first = (Arc::from(text), Arc::from(""));
        let from = (Bound::Included(first), Bound::Unbounded);
        self.entries
            .range(from)
            .take_while(move |(known, _)| **known == *text)
            .map(|(_, reference)| reference)
    }
}

fn text_of(value: Option<&Value>) -> Arc<str> {
    value.and_then(Value::as_str).unwrap_or_default().into()
}

impl Table {
    pub(super) fn new(info: &ClassInfo) -> Self {
        let indexed = INDEXED.iter().filter_map(|name| info.field(name));
        Self {
            rows: BTreeMap::new(),
            deleted: VecDeque::new(),
            changes: BTreeSet::new(),
            texts: indexed
                .map(|field| TextIndex {
                    field,
                    entries: BTreeSet::new(),
                })
                .collect(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn get(&self, reference: &str) -> Option<&Row> {
        self.rows.get(reference)
    }

    /// The references, in an order without meaning.
    pub(crate) fn refs(&self) -> impl Iterator<Item = &Arc<str>> {
        self.rows.keys()
    }

    /// The rows that were written after a generation, by their reference; all of them where there is none.
    pub(crate) fn changed_since(&self, known: Option<u64>) -> Vec<(&Arc<str>, &Row)> {
        let Some(known) = known else {
            return self.rows.iter().collect();
        };
        let later = self.changes.range((known.saturating_add(1), Arc::from(""))..);
        let mut rows: Vec<_> = later
            .filter_map(|(_, reference)| self.rows.get_key_value(reference))
            .collect();
        rows.sort_by_key(|(reference, _)| *reference);
        rows
    }

    /// The deletions that are still remembered and happened after a generation.
    pub(crate) fn deleted_since(&self, known: u64) -> impl Iterator<Item = &Deleted> {
        let old = self.deleted.partition_point(|gone| gone.deleted <= known);
        self.deleted.range(old..)
    }

    /// The rows with a text in a field, in the order of their references.
    pub(super) fn find<'a>(&'a self, field: usize, text: &'a str) -> Box<dyn Iterator<Item = &'a Arc<str>> + 'a> {
        match self.texts.iter().find(|index| index.field == field) {
            Some(index) => Box::new(index.find(text)),
            None => {
                let holds = move |row: &Row| row.values.get(field).and_then(Value::as_str) == Some(text);
                Box::new(self.rows.iter().filter(move |(_, row)| holds(row)).map(|(key, _)| key))
            }
        }
    }

    pub(super) fn insert(&mut self, reference: &str, values: Vec<Value>, generation: u64) {
        self.take(reference);
        let reference: Arc<str> = reference.into();
        for index in &mut self.texts {
            let text = text_of(values.get(index.field));
            index.entries.insert((text, Arc::clone(&reference)));
        }
        self.changes.insert((generation, Arc::clone(&reference)));
        let row = Row {
            created: generation,
            modified: generation,
            values,
            reference: Arc::clone(&reference),
        };
        self.rows.insert(reference, row);
    }

    /// A row that is about to be written.
    pub(super) fn touch(&mut self, reference: &str, generation: u64) -> Option<&mut Row> {
        let row = self.rows.get_mut(reference)?;
        if row.modified != generation {
            self.changes.remove(&(row.modified, Arc::clone(&row.reference)));
            self.changes.insert((generation, Arc::clone(&row.reference)));
            row.modified = generation;
        }
        Some(row)
    }

    /// Writes a field; answers with what it held before.
    pub(super) fn write(&mut self, reference: &str, field: usize, value: Value, generation: u64) -> Option<Value> {
        let new = self
            .texts
            .iter()
            .any(|index| index.field == field)
            .then(|| text_of(Some(&value)));
        let row = self.touch(reference, generation)?;
        let reference = Arc::clone(&row.reference);
        let old = std::mem::replace(row.values.get_mut(field)?, value);
        if let (Some(index), Some(new)) = (self.texts.iter_mut().find(|index| index.field == field), new) {
            index.entries.remove(&(text_of(Some(&old)), Arc::clone(&reference)));
            index.entries.insert((new, reference));
        }
        Some(old)
    }

    /// Takes a row out and remembers that it was deleted.
    pub(super) fn remove(&mut self, reference: &str, generation: u64) -> Option<Row> {
        let row = self.take(reference)?;
        self.deleted.push_back(Deleted {
            created: row.created,
            deleted: generation,
            reference: Arc::clone(&row.reference),
        });
        if self.deleted.len() >= DELETED_LIMIT {
            self.deleted.drain(..DELETED_LIMIT - DELETED_KEPT);
        }
        Some(row)
    }

    /// Forgets the last deletion.
    pub(super) fn forget_deletion(&mut self) {
        self.deleted.pop_back();
    }

    fn take(&mut self, reference: &str) -> Option<Row> {
        let row = self.rows.remove(reference)?;
        self.changes.remove(&(row.modified, Arc::clone(&row.reference)));
        for index in &mut self.texts {
            let text = text_of(row.values.get(index.field));
            index.entries.remove(&(text, Arc::clone(&row.reference)));
        }
        Some(row)
    }

    /// Forgets all deletions, and when anything changed.
    pub(super) fn rewind(&mut self, generation: u64) {
        self.deleted.clear();
        self.changes.clear();
        for (reference, row) in &mut self.rows {
            row.created = generation;
            row.modified = generation;
            self.changes.insert((generation, Arc::clone(reference)));
        }
    }
}
