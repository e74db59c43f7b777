//! `ova.xml`: the records of a VM and all that hangs on it, as an export carries them.

use std::collections::HashMap;

use xenapi::{ToValue, Value};

use crate::datamodel::Type;
use crate::error::Result;
use crate::schema::{self, NULL};
use crate::state::State;

/// The classes in the order in which they stand in the list.
const ORDER: [&str; 8] = [
    "VM",
    "VM_metrics",
    "VM_guest_metrics",
    "VBD",
    "VIF",
    "network",
    "VDI",
    "SR",
];

/// A description and the disks that follow it.
#[derive(Debug)]
pub(crate) struct Ova {
    pub(crate) xml: String,
    /// Folder in the archive and reference of each disk, in the order of the archive: by the folder's text.
    pub(crate) disks: Vec<(String, String)>,
}

/// The short names by which the objects of one archive know each other.
#[derive(Debug, Default)]
struct Ids {
    by_reference: HashMap<String, String>,
    objects: Vec<(&'static str, String)>,
}

impl Ids {
    fn add(&mut self, class: &'static str, reference: &str) {
        if reference != NULL && !self.by_reference.contains_key(reference) {
            self.objects.push((class, reference.to_owned()));
            self.name(reference);
        }
    }

    fn name(&mut self, reference: &str) {
        let next = self.by_reference.len();
        self.by_reference.insert(reference.to_owned(), format!("Ref:{next}"));
    }
}

impl Ova {
    /// Describes VMs. With `snapshots`, those of the VMs too.
    pub(crate) fn describe(state: &State, vms: &[String], snapshots: bool, keep_power_state: bool) -> Result<Self> {
        let mut ids = Ids::default();
        for vm in vms {
            state.require("VM", vm)?;
            collect(state, &mut ids, vm, keep_power_state);
            if snapshots {
                for snapshot in state.db.list("VM", vm, "snapshots") {
                    collect(state, &mut ids, &snapshot, keep_power_state);
                }
            }
        }
        // Nothing has a name as well, though no object answers to it.
        ids.name(NULL);
        let mut objects = Vec::new();
        for class in ORDER {
            for (_, reference) in ids.objects.iter().filter(|(of, _)| *of == class) {
                objects.extend(object(state, &ids, class, reference, keep_power_state));
            }
        }
        let ova = Value::Struct(vec![
            ("version".to_owned(), version(state)),
            ("objects".to_owned(), Value::Array(objects)),
        ]);
        let mut disks: Vec<_> = ids
            .objects
            .iter()
            .filter(|(class, reference)| *class == "VDI" && is_streamed(state, reference))
            .filter_map(|(_, reference)| Some((ids.by_reference.get(reference)?.clone(), reference.clone())))
            .collect();
        disks.sort();
        Ok(Self {
            xml: xenapi::wire::xml::value_text(&ova),
            disks,
        })
    }
}

fn collect(state: &State, ids: &mut Ids, vm: &str, keep_power_state: bool) {
    ids.add("VM", vm);
    for vif in state.db.list("VM", vm, "VIFs") {
        ids.add("VIF", &vif);
        ids.add("network", &state.db.text("VIF", &vif, "network"));
    }
    let mut disks = Vec::new();
    for vbd in state.db.list("VM", vm, "VBDs") {
        ids.add("VBD", &vbd);
        disks.push(state.db.text("VBD", &vbd, "VDI"));
    }
    if keep_power_state {
        disks.push(state.db.text("VM", vm, "suspend_VDI"));
    }
    for disk in disks {
        ids.add("VDI", &disk);
        if state.db.exists("VDI", &disk) {
            ids.add("SR", &state.db.text("VDI", &disk, "SR"));
        }
    }
    ids.add("VM_metrics", &state.db.text("VM", vm, "metrics"));
    ids.add("VM_guest_metrics", &state.db.text("VM", vm, "guest_metrics"));
}

/// Whether a disk's content is in the archive: CDs and what lies in an ISO library is not.
fn is_streamed(state: &State, vdi: &str) -> bool {
    let sr = state.db.text("VDI", vdi, "SR");
    let on_cd_only = state
        .db
        .list("VDI", vdi, "VBDs")
        .iter()
        .all(|vbd| state.db.is("VBD", vbd, "type", "CD"));
    let suspended = state.db.is("VDI", vdi, "type", "suspend");
    !state.db.is("SR", &sr, "content_type", "iso") && (!on_cd_only || suspended)
}

fn object(state: &State, ids: &Ids, class: &'static str, reference: &str, keep_power_state: bool) -> Option<Value> {
    let info = schema::class(class)?;
    let Value::Struct(mut members) = state.db.record(info, reference)? else {
        return None;
    };
    for (name, value) in &mut members {
        let ty = info.fields()[info.field(name)?].ty;
        match (name.as_str(), ty) {
            ("allowed_operations", _) => *value = Value::Array(Vec::new()),
            ("current_operations", _) => *value = Value::Struct(Vec::new()),
            ("power_state", _) if !keep_power_state => *value = "Halted".to_value(),
            ("VDIs" | "VIFs" | "PIFs" | "PBDs", Type::Set(Type::Ref(_))) if class != "VM" => {
                *value = renamed_set(ids, value, true);
            }
            (_, Type::Set(Type::Ref(_))) => *value = renamed_set(ids, value, false),
            (_, Type::Ref(to)) => *value = renamed(ids, value, ORDER.contains(&to) || to == "host"),
            _ => {}
        }
    }
    Some(Value::Struct(vec![
        ("class".to_owned(), class.to_value()),
        ("id".to_owned(), ids.by_reference.get(reference)?.to_value()),
        ("snapshot".to_owned(), Value::Struct(members)),
    ]))
}

/// The short name of what a field refers to; no reference at all where the archive does not hold it.
fn renamed(ids: &Ids, value: &Value, known_class: bool) -> Value {
    let name = value.as_str().and_then(|reference| ids.by_reference.get(reference));
    name.filter(|_| known_class)
        .map_or_else(|| NULL.to_value(), ToValue::to_value)
}

fn renamed_set(ids: &Ids, value: &Value, only_known: bool) -> Value {
    let items = value.as_array().unwrap_or_default().iter().filter_map(|item| {
        let name = item.as_str().and_then(|reference| ids.by_reference.get(reference));
        name.map(ToValue::to_value)
            .or_else(|| (!only_known).then(|| item.clone()))
    });
    Value::Array(items.collect())
}

fn version(state: &State) -> Value {
    let host = state.coordinator();
    let software = |name: &str| {
        state
            .db
            .entry("host", &host, "software_version", name)
            .unwrap_or_default()
            .to_value()
    };
    Value::Struct(vec![
        (
            "hostname".to_owned(),
            state.db.text("host", &host, "hostname").to_value(),
        ),
        ("date".to_owned(), software("date")),
        ("product_version".to_owned(), software("product_version")),
        ("product_brand".to_owned(), software("product_brand")),
        ("build_number".to_owned(), software("build_number")),
        ("xapi_major".to_owned(), Value::Int(26)),
        ("xapi_minor".to_owned(), Value::Int(17)),
        ("export_vsn".to_owned(), Value::Int(2)),
    ])
}
