//! The database: tables of rows, with a generation for every write so that events can tell what changed.

mod sums;
mod table;

use std::sync::LazyLock;

use xenapi::{DateTime, ToValue, Value};

use self::sums::Sums;
pub(crate) use self::table::{Row, Table};
use crate::relations::{RELATIONS, Relation};
use crate::schema::{self, CLASS_INFOS, ClassInfo, NULL};

/// The relations that start at a field, by the numbers of its class and of the field.
static OUTGOING: LazyLock<Vec<Vec<Option<&'static Relation>>>> = LazyLock::new(|| {
    let relation = |class: &str, field: &str| {
        RELATIONS
            .iter()
            .find(|relation| relation.class == class && relation.field == field)
    };
    CLASS_INFOS
        .iter()
        .map(|info| {
            let fields = info.fields().iter();
            fields.map(|field| relation(info.name(), field.name)).collect()
        })
        .collect()
});

/// All objects of a pool.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    tables: Vec<Table>,
    sums: Sums,
    generation: u64,
}

impl Database {
    pub(crate) fn new() -> Self {
        Self {
            tables: CLASS_INFOS.iter().map(Table::new).collect(),
            sums: Sums::default(),
            generation: 0,
        }
    }

    /// The number of the last write.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn table(&self, info: &ClassInfo) -> &Table {
        &self.tables[info.index]
    }

    fn row(&self, class: &str, reference: &str) -> Option<(&'static ClassInfo, &Row)> {
        let info = schema::class(class)?;
        Some((info, self.table(info).get(reference)?))
    }

    pub(crate) fn exists(&self, class: &str, reference: &str) -> bool {
        self.row(class, reference).is_some()
    }

    pub(crate) fn get(&self, class: &str, reference: &str, field: &str) -> Option<&Value> {
        let (info, row) = self.row(class, reference)?;
        debug_assert!(info.field(field).is_some(), "{class} has no field {field}");
        row.values.get(info.field(field)?)
    }

    /// A text, enum or reference field; empty where the object is gone.
    pub(crate) fn text(&self, class: &str, reference: &str, field: &str) -> String {
        self.get(class, reference, field)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    }

    pub(crate) fn is(&self, class: &str, reference: &str, field: &str, text: &str) -> bool {
        self.get(class, reference, field).and_then(Value::as_str) == Some(text)
    }

    pub(crate) fn int(&self, class: &str, reference: &str, field: &str) -> i64 {
        self.get(class, reference, field)
            .and_then(Value::as_int)
            .unwrap_or_default()
    }

    pub(crate) fn flag(&self, class: &str, reference: &str, field: &str) -> bool {
        self.get(class, reference, field)
            .and_then(Value::as_bool)
            .unwrap_or_default()
    }

    pub(crate) fn time(&self, class: &str, reference: &str, field: &str) -> DateTime {
        match self.get(class, reference, field) {
            Some(Value::DateTime(time)) => *time,
            _ => DateTime::NEVER,
        }
    }

    /// The elements of a set of texts or references.
    pub(crate) fn list(&self, class: &str, reference: &str, field: &str) -> Vec<String> {
        let items = self
            .get(class, reference, field)
            .and_then(Value::as_array)
            .unwrap_or_default();
        items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// An entry of a map with text values.
    pub(crate) fn entry(&self, class: &str, reference: &str, field: &str, key: &str) -> Option<String> {
        Some(self.get(class, reference, field)?.get(key)?.as_str()?.to_owned())
    }

    /// The references of a class, in the database's order, which has no meaning.
    pub(crate) fn refs(&self, class: &str) -> Vec<String> {
        schema::class(class).map_or_else(Vec::new, |info| {
            self.table(info).refs().map(|key| key.to_string()).collect()
        })
    }

    pub(crate) fn count(&self, class: &str) -> usize {
        schema::class(class).map_or(0, |info| self.table(info).len())
    }

    /// The first object with this text in a field.
    pub(crate) fn find(&self, class: &str, field: &str, text: &str) -> Option<String> {
        let info = schema::class(class)?;
        let found = self.table(info).find(info.field(field)?, text).next()?;
        Some(found.to_string())
    }

    /// All objects with this text in a field.
    pub(crate) fn find_all(&self, info: &ClassInfo, field: &str, text: &str) -> Vec<String> {
        let table = self.table(info);
        info.field(field).map_or_else(Vec::new, |at| {
            table.find(at, text).map(|reference| reference.to_string()).collect()
        })
    }

    /// The sum of a field over the objects that refer to the target; see [`sums`].
    pub(crate) fn sum(&self, class: &str, field: &str, target: &str) -> i64 {
        self.sums.get(class, field, target)
    }

    /// The whole object as it goes over the wire.
    pub(crate) fn record(&self, info: &'static ClassInfo, reference: &str) -> Option<Value> {
        let row = self.table(info).get(reference)?;
        let members = info
            .fields()
            .iter()
            .zip(&row.values)
            .filter(|(field, _)| !field.internal);
        Some(Value::Struct(
            members
                .map(|(field, value)| (field.name.to_owned(), value.clone()))
                .collect(),
        ))
    }

    /// Adds an object; fields that are not given have their defaults.
    pub(crate) fn insert(&mut self, class: &str, reference: &str, given: &[(&str, Value)]) {
        let Some(info) = schema::class(class) else {
            return debug_assert!(false, "no class {class}");
        };
        self.generation += 1;
        let generation = self.generation;
        let values = info.fields().iter().map(schema::initial).collect();
        let table = &mut self.tables[info.index];
        if let Some(replaced) = table.get(reference) {
            self.sums.subtract(info, replaced);
        }
        table.insert(reference, values, generation);
        for (field, value) in given {
            self.write(info, reference, field, value.clone(), generation);
        }
    }

    /// Puts an object back as it was written to a file; [`relink`](Self::relink) makes up for the sets that mirror
    /// references.
    pub(crate) fn restore(&mut self, info: &'static ClassInfo, reference: &str, values: Vec<Value>) {
        self.generation += 1;
        let table = &mut self.tables[info.index];
        table.insert(reference, values, self.generation);
        if let Some(row) = table.get(reference) {
            self.sums.add(info, row);
        }
    }

    /// Makes the sets that mirror references.
    pub(crate) fn relink(&mut self) {
        for info in CLASS_INFOS.iter() {
            let outgoing = OUTGOING[info.index].iter().enumerate();
            for (at, relation) in outgoing.filter_map(|(at, relation)| Some((at, (*relation)?))) {
                let table = self.table(info);
                let links: Vec<_> = table
                    .refs()
                    .filter_map(|reference| {
                        let target = table.get(reference)?.values.get(at)?.as_str()?;
                        Some((reference.to_string(), target.to_owned()))
                    })
                    .collect();
                for (reference, target) in links {
                    self.link(relation, &target, &reference, self.generation);
                }
            }
        }
    }

    /// Writes one field.
    pub(crate) fn set(&mut self, class: &str, reference: &str, field: &str, value: impl ToValue) {
        let Some(info) = schema::class(class) else {
            return debug_assert!(false, "no class {class}");
        };
        self.generation += 1;
        self.write(info, reference, field, value.to_value(), self.generation);
    }

    /// Writes one field where that changes it.
    pub(crate) fn refresh(&mut self, class: &str, reference: &str, field: &str, value: impl ToValue) {
        let value = value.to_value();
        if self.get(class, reference, field).is_some_and(|known| *known != value) {
            self.set(class, reference, field, value);
        }
    }

    /// Marks an object as changed.
    pub(crate) fn touch(&mut self, info: &'static ClassInfo, reference: &str) {
        self.generation += 1;
        self.tables[info.index].touch(reference, self.generation);
    }

    fn write(&mut self, info: &'static ClassInfo, reference: &str, field: &str, value: Value, generation: u64) {
        let Some(at) = info.field(field) else {
            return debug_assert!(false, "{} has no {field}", info.name());
        };
        let table = &mut self.tables[info.index];
        let counts = Sums::depend_on(info, field);
        if counts && let Some(row) = table.get(reference) {
            self.sums.subtract(info, row);
        }
        let relation = OUTGOING[info.index][at];
        let new = relation.map(|_| value.as_str().unwrap_or(NULL).to_owned());
        let Some(old) = table.write(reference, at, value, generation) else {
            return;
        };
        if counts && let Some(row) = table.get(reference) {
            self.sums.add(info, row);
        }
        let (Some(relation), Some(new)) = (relation, new) else {
            return;
        };
        let old = old.as_str().unwrap_or(NULL);
        if new != old {
            self.unlink(relation, old, reference, generation);
            self.link(relation, &new, reference, generation);
        }
    }

    fn related(&mut self, relation: &Relation, target: &str, generation: u64) -> Option<&mut Vec<Value>> {
        let info = schema::class(relation.target)?;
        let row = self.tables[info.index].touch(target, generation)?;
        match row.values.get_mut(info.field(relation.set)?)? {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    fn link(&mut self, relation: &Relation, target: &str, reference: &str, generation: u64) {
        if target != NULL
            && let Some(items) = self.related(relation, target, generation)
        {
            items.push(reference.to_value());
        }
    }

    fn unlink(&mut self, relation: &Relation, target: &str, reference: &str, generation: u64) {
        if target != NULL
            && let Some(items) = self.related(relation, target, generation)
        {
            items.retain(|item| item.as_str() != Some(reference));
        }
    }

    /// Removes an object; references to it dangle, as they do in xapi.
    pub(crate) fn remove(&mut self, class: &str, reference: &str) -> bool {
        let Some(info) = schema::class(class) else { return false };
        self.generation += 1;
        let generation = self.generation;
        let Some(row) = self.tables[info.index].remove(reference, generation) else {
            return false;
        };
        self.sums.subtract(info, &row);
        for (relation, value) in OUTGOING[info.index].iter().zip(&row.values) {
            if let (Some(relation), Some(target)) = (relation, value.as_str()) {
                self.unlink(relation, target, reference, generation);
            }
        }
        true
    }

    /// Removes an object without remembering that it was deleted.
    pub(crate) fn remove_silently(&mut self, class: &str, reference: &str) -> bool {
        let removed = self.remove(class, reference);
        if let Some(info) = schema::class(class).filter(|_| removed) {
            self.tables[info.index].forget_deletion();
        }
        removed
    }

    /// What a start of the server makes of the database: it forgets what was deleted and when anything changed, and
    /// counts on from a lower number, as not every write had reached the disk.
    pub(crate) fn reload(&mut self) {
        let rows: usize = self.tables.iter().map(Table::len).sum();
        self.generation = (rows as u64).min(self.generation);
        for table in &mut self.tables {
            table.rewind(self.generation);
        }
    }

    /// Drops all objects of a class without remembering that they were deleted.
    pub(crate) fn forget(&mut self, class: &str) {
        if let Some(info) = schema::class(class) {
            self.generation += 1;
            self.tables[info.index] = Table::new(info);
            self.sums.clear(info);
        }
    }

    /// Sets an entry of a map.
    pub(crate) fn set_entry(&mut self, class: &str, reference: &str, field: &str, key: &str, value: impl ToValue) {
        let mut entries = self
            .get(class, reference, field)
            .and_then(Value::as_struct)
            .unwrap_or_default()
            .to_vec();
        entries.retain(|(known, _)| known != key);
        entries.push((key.to_owned(), value.to_value()));
        self.set(class, reference, field, Value::Struct(entries));
    }

    /// Takes an entry out of a map; quiet where there is none.
    pub(crate) fn remove_entry(&mut self, class: &str, reference: &str, field: &str, key: &str) {
        let mut entries = self
            .get(class, reference, field)
            .and_then(Value::as_struct)
            .unwrap_or_default()
            .to_vec();
        entries.retain(|(known, _)| known != key);
        self.set(class, reference, field, Value::Struct(entries));
    }
}
