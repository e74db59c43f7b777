//! The objects of a description, made anew or found in the pool.

use std::collections::HashMap;

use xenapi::{ToValue, Value};

use super::objects::{Created, Disk, Options};
use crate::behaviour::{vbd, vdi, vif, vm};
use crate::datamodel::{Qualifier, Type};
use crate::error::{ApiError, Result};
use crate::schema::{self, NULL};
use crate::state::State;

/// One object of a description.
struct Object<'a> {
    class: &'a str,
    id: &'a str,
    record: &'a Value,
}

impl<'a> Object<'a> {
    fn read(value: &'a Value) -> Option<Self> {
        Some(Self {
            class: value.get("class")?.as_str()?,
            id: value.get("id")?.as_str()?,
            record: value.get("snapshot")?,
        })
    }

    fn text(&self, field: &str) -> &'a str {
        self.record.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    fn flag(&self, field: &str) -> bool {
        self.record.get(field).and_then(Value::as_bool).unwrap_or_default()
    }
}

/// All objects of a description, and what became of them.
pub(super) struct Making<'a> {
    objects: Vec<Object<'a>>,
    options: &'a Options,
    task: &'a str,
    /// The references that the names in the archive stand for now.
    known: HashMap<&'a str, String>,
    created: Created,
}

impl<'a> Making<'a> {
    pub(super) fn new(description: &'a Value, options: &'a Options, task: &'a str) -> Self {
        let objects = description.get("objects").and_then(Value::as_array).unwrap_or_default();
        Self {
            objects: objects.iter().filter_map(Object::read).collect(),
            options,
            task,
            known: HashMap::new(),
            created: Created::default(),
        }
    }

    /// Makes all objects and answers with those that were made, even where that failed in the middle.
    pub(super) fn run(mut self, state: &mut State) -> (Result<()>, Created) {
        let made = self.all(state);
        (made, self.created)
    }

    fn all(&mut self, state: &mut State) -> Result<()> {
        let objects = std::mem::take(&mut self.objects);
        let of = |class: &'static str| objects.iter().filter(move |object| object.class == class);
        for network in of("network") {
            self.network(state, network);
        }
        for disk in of("VDI") {
            let is_drive = |vbd: &Object<'_>| vbd.text("VDI") == disk.id && vbd.text("type") != "CD";
            let storage = of("SR").find(|sr| sr.id == disk.text("SR"));
            let on_iso = storage.is_some_and(|sr| sr.text("content_type") == "iso");
            let has_content = of("VBD").any(is_drive) && !on_iso || disk.text("type") == "suspend";
            self.disk(state, disk, has_content)?;
        }
        self.created.disks.sort_by(|one, two| one.folder.cmp(&two.folder));
        for vm in of("VM") {
            self.vm(state, vm);
        }
        for vm in of("VM") {
            self.place(state, vm);
        }
        for vbd in of("VBD") {
            self.vbd(state, vbd);
        }
        for vif in of("VIF") {
            self.vif(state, vif);
        }
        for vm in &self.created.vms {
            state.db.set_entry("VM", vm, "current_operations", self.task, "import");
            vm::add_metrics(state, vm);
        }
        Ok(())
    }

    /// The network of that name, or on that bridge, or a new one.
    fn network(&mut self, state: &mut State, object: &Object<'a>) {
        let found = ["name_label", "bridge"]
            .iter()
            .find_map(|field| state.db.find("network", field, object.text(field)));
        let network = found.unwrap_or_else(|| {
            let fields = [
                ("name_label", object.text("name_label").to_value()),
                ("name_description", object.text("name_description").to_value()),
                ("MTU", Value::Int(1500)),
            ];
            let network = state.create("network", &fields);
            state.db.set(
                "network",
                &network,
                "bridge",
                format!("xapi{}", state.db.count("network")),
            );
            self.created.networks.push(network.clone());
            network
        });
        self.known.insert(object.id, network);
    }

    fn disk(&mut self, state: &mut State, object: &Object<'a>, has_content: bool) -> Result<()> {
        if !has_content || self.options.metadata {
            return self.find_disk(state, object, has_content);
        }
        let size = object
            .record
            .get("virtual_size")
            .and_then(Value::as_int)
            .unwrap_or_default();
        let mut fields = self.fields(object, &[]);
        fields.extend([
            ("SR", self.options.sr.to_value()),
            ("virtual_size", Value::Int(size)),
            ("location", "".to_value()),
            ("sm_config", Value::Struct(Vec::new())),
        ]);
        let vdi = vdi::add(state, &fields, vdi::EMPTY)?;
        self.known.insert(object.id, vdi.clone());
        self.created.disks.push(Disk {
            folder: object.id.to_owned(),
            vdi,
            size: u64::try_from(size).unwrap_or_default(),
        });
        Ok(())
    }

    /// The disk in the pool that the client names, or that has this UUID, or that lies in the same place.
    fn find_disk(&mut self, state: &State, object: &Object<'a>, required: bool) -> Result<()> {
        let wanted = self.options.disks.get(object.text("uuid"));
        let named = wanted.map_or(object.text("uuid"), String::as_str);
        let found = if state.db.exists("VDI", named) {
            Some(named.to_owned())
        } else {
            let by_uuid = state.db.find("VDI", "uuid", named);
            by_uuid.or_else(|| state.db.find("VDI", "location", object.text("location")))
        };
        match found {
            Some(vdi) => {
                self.known.insert(object.id, vdi);
                Ok(())
            }
            None if required && !self.options.force => Err(ApiError::new("IMPORT_ERROR_ATTACHED_DISKS_NOT_FOUND", [])),
            None => Ok(()),
        }
    }

    fn vm(&mut self, state: &mut State, object: &Object<'a>) {
        // Every host has its control domain, every pool its templates.
        if object.flag("is_control_domain") {
            return;
        }
        if object.flag("is_default_template")
            && let Some(template) = state.db.find("VM", "name_label", object.text("name_label"))
        {
            self.known.insert(object.id, template);
            return;
        }
        let power_state = match object.text("power_state") {
            "Suspended" => "Suspended",
            _ => "Halted",
        };
        let mut fields = self.fields(
            object,
            &["is_a_snapshot", "snapshot_time", "snapshot_info", "snapshot_metadata"],
        );
        fields.extend([("power_state", power_state.to_value()), ("affinity", NULL.to_value())]);
        let uuid = object.text("uuid");
        let keeps = self.options.restore && !uuid.is_empty() && state.db.find("VM", "uuid", uuid).is_none();
        let uuid = if keeps { uuid.to_owned() } else { state.ids.uuid() };
        let vm = state.ids.reference();
        state.create_as("VM", &vm, &uuid, &fields);
        if !self.options.restore {
            let seed = state.ids.uuid();
            state.db.set_entry("VM", &vm, "other_config", "mac_seed", seed);
        }
        state.db.set_entry("VM", &vm, "other_config", "import_task", self.task);
        self.known.insert(object.id, vm.clone());
        self.created.vms.push(vm);
    }

    /// The VM that was made for one of the archive.
    fn made_vm(&self, id: &str) -> Option<&String> {
        self.known.get(id).filter(|vm| self.created.vms.contains(vm))
    }

    /// Hangs a VM and its snapshots where they hung.
    fn place(&self, state: &mut State, object: &Object<'a>) {
        let Some(vm) = self.made_vm(object.id) else { return };
        for field in ["snapshot_of", "parent", "suspend_VDI"] {
            if let Some(target) = self.known.get(object.text(field)) {
                state.db.set("VM", vm, field, target.as_str());
            }
        }
    }

    fn vbd(&self, state: &mut State, object: &Object<'a>) {
        let Some(vm) = self.made_vm(object.text("VM")) else {
            return;
        };
        let disk = self.known.get(object.text("VDI"));
        let is_cd = object.text("type") == "CD";
        if disk.is_none() && !is_cd {
            return;
        }
        let mut fields = self.fields(object, &[]);
        fields.extend([
            ("VM", vm.to_value()),
            ("VDI", disk.map_or(NULL, String::as_str).to_value()),
            ("empty", Value::Bool(disk.is_none())),
            ("device", "".to_value()),
            ("currently_attached", Value::Bool(false)),
        ]);
        vbd::add(state, &fields);
    }

    fn vif(&self, state: &mut State, object: &Object<'a>) {
        let Some(vm) = self.made_vm(object.text("VM")) else {
            return;
        };
        let mut fields = self.fields(object, &[]);
        let network = self.known.get(object.text("network"));
        fields.extend([
            ("VM", vm.to_value()),
            ("network", network.map_or(NULL, String::as_str).to_value()),
            ("currently_attached", Value::Bool(false)),
        ]);
        if !self.options.restore {
            fields.push(("MAC", "".to_value()));
        }
        vif::add(state, &fields);
    }

    /// What a client could have set, and the fields in `more`. References lead to what was made or found before, or
    /// nowhere; values that this server does not know are left out.
    fn fields(&self, object: &Object<'a>, more: &[&str]) -> Vec<(&'static str, Value)> {
        let Some(info) = schema::class(object.class) else {
            return Vec::new();
        };
        let wanted = info
            .fields()
            .iter()
            .filter(|field| field.qualifier != Qualifier::DynamicRo || more.contains(&field.name));
        wanted
            .filter_map(|field| {
                let value = match field.ty {
                    Type::Ref(_) => {
                        let target = self.known.get(object.text(field.name));
                        target.map_or(NULL, String::as_str).to_value()
                    }
                    Type::Set(Type::Ref(_)) => return None,
                    ty => schema::convert(ty, object.record.get(field.name)?).ok()?,
                };
                (field.name != "uuid").then_some((field.name, value))
            })
            .collect()
    }
}
