//! What is new in a change: it is compared with what was known.

use std::collections::HashMap;

use xenapi::{AnyRecord, AnyRef, Change};

use crate::fields::{Fields, fields};

/// The objects as they were last told of.
#[derive(Default)]
pub(crate) struct Tail {
    known: HashMap<AnyRef, AnyRecord>,
    /// The names by references.
    names: HashMap<String, String>,
    is_listed: bool,
}

/// Something that happened to an object.
pub(crate) struct News {
    pub(crate) object: AnyRef,
    /// What people call it, if it has a name.
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    Added(Fields),
    /// The fields that differ: before and now.
    Changed(Vec<(String, serde_json::Value, serde_json::Value)>),
    Deleted,
}

impl Tail {
    /// Whether the first full list is over. What came with it is the beginning, and no news.
    pub(crate) fn is_listed(&self) -> bool {
        self.is_listed
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Takes in a change; answers with what is new. A list made anew repeats what is known, which is no news.
    pub(crate) fn take_in(&mut self, change: Change) -> Option<News> {
        let (object, kind, name) = match change {
            Change::InitDone => {
                self.is_listed = true;
                return None;
            }
            Change::Apply { reference, record } => {
                let name = name(&record).to_owned();
                self.names.insert(reference.as_str().to_owned(), name.clone());
                let before = self.known.insert(reference.clone(), record.clone());
                if !self.is_listed || before.as_ref() == Some(&record) {
                    return None;
                }
                let kind = match before {
                    Some(before) => Kind::Changed(difference(&fields(&before), fields(&record))),
                    None => Kind::Added(fields(&record)),
                };
                (reference, kind, name)
            }
            Change::Delete(reference) => {
                self.known.remove(&reference);
                let name = self.names.remove(reference.as_str()).unwrap_or_default();
                (reference, Kind::Deleted, name)
            }
            _ => return None,
        };
        Some(News { object, name, kind })
    }

    /// The name of the object with this reference, if it has one.
    pub(crate) fn name_of(&self, reference: &str) -> Option<&str> {
        let name = self.names.get(reference)?;
        (!name.is_empty()).then_some(name)
    }
}

fn name(record: &AnyRecord) -> &str {
    match record {
        AnyRecord::Host(host) => &host.name_label,
        AnyRecord::Message(message) => &message.name,
        AnyRecord::Network(network) => &network.name_label,
        AnyRecord::Pool(pool) => &pool.name_label,
        AnyRecord::Sr(sr) => &sr.name_label,
        AnyRecord::Task(task) => &task.name_label,
        AnyRecord::Vdi(vdi) => &vdi.name_label,
        AnyRecord::Vm(vm) => &vm.name_label,
        AnyRecord::VmAppliance(appliance) => &appliance.name_label,
        _ => "",
    }
}

fn difference(before: &Fields, now: Fields) -> Vec<(String, serde_json::Value, serde_json::Value)> {
    let changed = now.into_iter().filter_map(|(field, now)| {
        let before = before.get(&field).cloned().unwrap_or_default();
        (before != now).then_some((field, before, now))
    });
    changed.collect()
}
